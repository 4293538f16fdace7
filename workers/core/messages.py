"""The words of mails, SMS, WhatsApp messages and notifications.

A garage's own wording is used where there is one and it can be; what ships is used otherwise, so that a
broken wording never stops a message. `wording_problem` then says why, with nothing of the message in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workers.core.accounts import Wording
from workers.core.gsm import measure
from workers.core.jobs import PushDetails, PushTemplate, SendJob
from workers.core.kinds import KINDS, MessageKind
from workers.core.payload import Locale
from workers.core.rendering import Draft, Parts, parts
from workers.core.sandbox import WordingRefused
from workers.core.shipped import shipped
from workers.core.values import Sites, opt_out_url, values_of
from workers.core.variables import NoVariables


@dataclass(frozen=True)
class Mail:
    """A rendered e-mail; the subject is one line. `wording_version` is the garage's own, if it was used.

    `opt_out_url` takes one POST to stop such mails (RFC 8058); empty for what cannot be stopped.
    """

    subject: str
    text: str
    html: str
    opt_out_url: str = ""
    wording_version: int | None = None
    wording_problem: str | None = None


@dataclass(frozen=True)
class Text:
    """A rendered SMS or WhatsApp message.

    A message of WhatsApp has one segment; `content_sid` and `variables` name an approved template, which
    WhatsApp wants outside the 24 hours since the customer wrote.
    """

    body: str
    segments: int
    content_sid: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    wording_version: int | None = None
    wording_problem: str | None = None


@dataclass(frozen=True)
class Push:
    """A rendered notification: fixed words, since it crosses other people's servers and lock screens.

    Names and what was written only where the customer allowed them on that device.
    """

    title: str
    body: str
    wording_version: int | None = None
    wording_problem: str | None = None


@dataclass(frozen=True)
class _Rendered:
    parts: Parts
    wording: Wording
    version: int | None
    problem: str | None


def opt_out_headers(mail: Mail) -> dict[str, str]:
    """What mail programs show as "unsubscribe", in one click (RFC 2369, RFC 8058)."""
    if not mail.opt_out_url:
        return {}
    return {
        "List-Unsubscribe": f"<{mail.opt_out_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def render_mail(job: SendJob, sites: Sites) -> Mail:
    """The mail of a job, in its language; customers are sent to the portal, members to the DMS."""
    said = _rendered(_draft(job, sites), job.wording)
    return Mail(
        said.parts.subject,
        said.parts.text,
        said.parts.html,
        opt_out_url=opt_out_url(job, sites),
        wording_version=said.version,
        wording_problem=said.problem,
    )


def render_text(job: SendJob, sites: Sites) -> Text:
    """The SMS or WhatsApp message of a job, in its language."""
    said = _rendered(_draft(job, sites), job.wording)
    size = measure(said.parts.text)
    text = Text(said.parts.text, size.segments)
    if job.channel == "whatsapp":
        text = replace(text, segments=1, variables=said.parts.variables)
        text = replace(text, content_sid=said.wording.content_sid)
    return replace(text, wording_version=said.version, wording_problem=said.problem)


def render_push(
    name: PushTemplate,
    locale: Locale,
    details: PushDetails | None = None,
    wording: Wording | None = None,
) -> Push:
    """The notification of a template: no names, no amounts, but for `details`, which were allowed."""
    draft = Draft(name, "push", locale, "", shipped(name, "push", locale), NoVariables(), is_ours=True)
    said = _rendered(draft, wording)
    title, body = said.parts.subject, said.parts.text
    if details:
        title, body = details.title, details.body or body
    return Push(title, body, said.version, said.problem)


def template_version(kind: MessageKind, wording_version: int | None) -> str:
    """What is kept of the wording that was used: `garage/3`, or `invoice_issued/2` of what ships."""
    return f"garage/{wording_version}" if wording_version else f"{kind}/{KINDS[kind].shipped}"


def _draft(job: SendJob, sites: Sites) -> Draft:
    ours = shipped(job.template, job.channel, job.locale)
    values = values_of(job, sites)
    garage = "Autexor" if KINDS[job.template].is_ours_alone else job.context.garage_name
    stop = opt_out_url(job, sites)
    return Draft(job.template, job.channel, job.locale, garage, ours, values, is_ours=True, opt_out_url=stop)


def _rendered(draft: Draft, own: Wording | None) -> _Rendered:
    problem = None
    if own is not None:
        try:
            said = parts(replace(draft, wording=own, is_ours=False))
            return _Rendered(said, own, own.version, None)
        except WordingRefused as refusal:
            problem = refusal.cause
        except Exception as error:  # noqa: BLE001 - whatever it is, what ships goes out
            problem = type(error).__name__
    return _Rendered(parts(draft), draft.wording, None, problem)
