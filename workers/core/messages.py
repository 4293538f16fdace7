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
    PortalContext,
    PortalEvent,
    PushDetails,
    PushTemplate,
    SendJob,
    WebsiteContext,
)
from workers.core.templating import template

MAIL_TEMPLATE_VERSIONS: dict[MailTemplate, str] = {
    "invoice_issued": "invoice_issued/1",
    "credit_note_issued": "credit_note_issued/1",
    "member_invited": "member_invited/1",
    "message_received": "message_received/1",
    "portal_invited": "portal_invited/1",
    "portal_password_reset": "portal_password_reset/1",
    "portal_device_code": "portal_device_code/1",
    "portal_email_change": "portal_email_change/1",
    "portal_notice": "portal_notice/1",
    "website_notice": "website_notice/1",
    "website_acknowledgement": "website_acknowledgement/1",
}

# Where a link leads on the portal.
PORTAL_PATHS: dict[str, str] = {
    "portal_invited": "activate",
    "portal_password_reset": "password",
    "portal_email_change": "email",
}
PORTAL_EVENTS: dict[PortalEvent, dict[Locale, str]] = {
    "password_changed": {
        "nl": "Uw wachtwoord is gewijzigd.",
        "fr": "Votre mot de passe a été modifié.",
        "en": "Your password was changed.",
    },
    "pin_changed": {
        "nl": "Uw pincode is gewijzigd.",
        "fr": "Votre code PIN a été modifié.",
        "en": "Your PIN was changed.",
    },
    "email_change_asked": {
        "nl": "Er is gevraagd om uw e-mailadres te wijzigen.",
        "fr": "La modification de votre adresse e-mail a été demandée.",
        "en": "A change of your e-mail address was asked for.",
    },
    "email_changed": {
        "nl": "U meldt u voortaan aan met een ander e-mailadres.",
        "fr": "Vous vous connecterez désormais avec une autre adresse e-mail.",
        "en": "From now on you sign in with another e-mail address.",
    },
    "device_added": {
        "nl": "Een toestel kan voortaan uw toegang gebruiken.",
        "fr": "Un appareil peut désormais utiliser votre accès.",
        "en": "A device can use your access from now on.",
    },
    "account_closed": {
        "nl": "Uw toegang is gesloten.",
        "fr": "Votre accès a été fermé.",
        "en": "Your access was closed.",
    },
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
    if isinstance(context, PortalContext):
        return _portal_values(job.template, job.locale, context, portal_url)
    if isinstance(context, WebsiteContext):
        return _website_values(job.locale, context)
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


def _website_values(locale: Locale, context: WebsiteContext) -> dict[str, Any]:
    return {
        "locale": locale,
        "garage_name": "Autexor",
        "kind": context.request_kind,
        "request_id": context.request_id,
        "reference": str(context.request_id)[:8],
        "at": money.long_moment(context.received_at, locale),
    }


def _portal_values(name: str, locale: Locale, context: PortalContext, portal_url: str) -> dict[str, Any]:
    token = context.token.get_secret_value() if context.token else ""
    return {
        "locale": locale,
        "garage_name": context.garage_name,
        "customer_name": context.customer_name,
        "at": money.long_moment(context.at, locale),
        # Behind the #, so that no server on the way writes it into its log.
        "link": f"{portal_url}/{PORTAL_PATHS.get(name, '')}#garage={context.garage_id}&token={token}",
        "code": "-".join(token[start : start + 4] for start in range(0, len(token), 4)),
        "said": PORTAL_EVENTS[context.event][locale] if context.event else "",
    }
