"""The words of mails and notifications, rendered from `templates/messages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import Template

from workers.core import money
from workers.core.jobs import (
    Locale,
    MailTemplate,
    MemberInvitedContext,
    MessageReceivedContext,
    PushDetails,
    PushTemplate,
    SendJob,
)
from workers.core.templating import template

MAIL_TEMPLATE_VERSIONS: dict[MailTemplate, str] = {
    "invoice_issued": "invoice_issued/1",
    "credit_note_issued": "credit_note_issued/1",
    "member_invited": "member_invited/1",
    "message_received": "message_received/1",
}


@dataclass(frozen=True)
class Mail:
    """A rendered e-mail; the subject is one line."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Push:
    """A rendered notification: fixed words, since it crosses other people's servers and lock screens.

    Names and what was written only where the customer allowed them on that device.
    """

    title: str
    body: str


def render_mail(job: SendJob, portal_url: str, dms_url: str) -> Mail:
    """The mail of a job, in its language; customers are sent to the portal, members to the DMS."""
    values = _values(job, portal_url, dms_url)
    text = template(f"messages/{job.template}.{job.locale}.txt.j2")
    html = template(f"messages/{job.template}.{job.locale}.html.j2")
    return Mail(
        subject=" ".join(_block(text, "subject", values).split()),
        text=_block(text, "text", values).strip() + "\n",
        html=html.render(values).strip() + "\n",
    )


def render_push(name: PushTemplate, locale: Locale, details: PushDetails | None = None) -> Push:
    """The notification of a template: no names, no amounts, but for `details`, which were allowed."""
    text = template(f"messages/{name}.{locale}.txt.j2")
    title, body = (_block(text, block, {}).strip() for block in ("push_title", "push_body"))
    return Push(title=details.title, body=details.body or body) if details else Push(title, body)


def _block(source: Template, name: str, values: dict[str, Any]) -> str:
    return "".join(source.blocks[name](source.new_context(values)))


def _values(job: SendJob, portal_url: str, dms_url: str) -> dict[str, Any]:
    context = job.context
    if isinstance(context, MessageReceivedContext):
        return {"locale": job.locale, "portal_url": portal_url, **context.model_dump()}
    if isinstance(context, MemberInvitedContext):
        return {
            "locale": job.locale,
            "garage_name": context.garage_name,
            "inviter_name": context.inviter_name,
            "expires_on": money.long_date(context.expires_on, job.locale),
            # Behind the #, so that no server on the way writes it into its log.
            "invitation_url": f"{dms_url}/invitation#token={context.token.get_secret_value()}",
        }
    return {
        "locale": job.locale,
        "portal_url": portal_url,
        "has_attachment": job.attachment is not None,
        **context.model_dump(),
        "gross_total": money.amount(context.gross_total, job.locale),
        "issue_date": money.long_date(context.issue_date, job.locale),
        "due_date": money.long_date(context.due_date, job.locale),
        "iban": money.iban_groups(context.iban),
        "has_payment": context.gross_total > 0,
    }
