"""What a message's wording may name, filled in from what the database said."""

from __future__ import annotations

from dataclasses import dataclass

from workers.core.contexts import (
    BreachNotifiedContext,
    InvoiceIssuedContext,
    MemberInvitedContext,
    MessageReceivedContext,
    PaymentReminderContext,
    PortalContext,
    PortalEvent,
    ProviderTestContext,
    SupportRequestedContext,
    WebsiteContext,
    WorkReadyContext,
)
from workers.core.jobs import SendJob
from workers.core.kinds import KINDS
from workers.core.payload import Locale, Payload
from workers.core.variables import (
    BreachNotifiedVariables,
    InvoiceVariables,
    MemberInvitedVariables,
    MessageReceivedVariables,
    PortalCodeVariables,
    PortalLinkVariables,
    PortalNoticeVariables,
    ProviderTestVariables,
    ReminderVariables,
    SupportRequestedVariables,
    WebsiteVariables,
    WorkReadyVariables,
)

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

REQUESTS: dict[str, dict[Locale, str]] = {
    "contact": {"nl": "Contactaanvraag", "fr": "Demande de contact", "en": "Contact request"},
    "demo": {"nl": "Demo-aanvraag", "fr": "Demande de démonstration", "en": "Demo request"},
    "privacy": {"nl": "Privacyverzoek", "fr": "Demande relative à la vie privée", "en": "Privacy request"},
}


@dataclass(frozen=True)
class Sites:
    """Where links lead: the customers' portal, the garages' DMS, and the edge for who signs in nowhere."""

    portal_url: str
    dms_url: str
    edge_url: str


def opt_out_url(job: SendJob, sites: Sites) -> str:
    """Where a mail is stopped without signing in; empty for what cannot be stopped."""
    token = job.opt_out_token if KINDS[job.template].can_stop else None
    return f"{sites.edge_url}/opt-out/{token.get_secret_value()}" if token else ""


def values_of(job: SendJob, sites: Sites) -> Payload:
    """The variables of a job's message."""
    portal_url = sites.portal_url
    match job.context:
        case PaymentReminderContext() as context:
            return ReminderVariables(
                **dict(context), portal_url=portal_url, has_attachment=job.attachment is not None
            )
        case InvoiceIssuedContext() as context:
            return InvoiceVariables(
                **dict(context),
                portal_url=portal_url,
                has_attachment=job.attachment is not None,
                has_payment=context.gross_total > 0,
            )
        case WorkReadyContext() as context:
            return WorkReadyVariables(**dict(context), portal_url=portal_url)
        case MessageReceivedContext() as context:
            return MessageReceivedVariables(**dict(context), portal_url=portal_url)
        case ProviderTestContext() as context:
            return ProviderTestVariables(**dict(context))
        case MemberInvitedContext() as context:
            # Behind the #, so that no server on the way writes it into its log.
            url = f"{sites.dms_url}/invitation#token={context.token.get_secret_value()}"
            return MemberInvitedVariables(
                garage_name=context.garage_name,
                inviter_name=context.inviter_name,
                expires_on=context.expires_on,
                invitation_url=url,
            )
        case PortalContext() as context:
            return _access(job, context, portal_url)
        case WebsiteContext() as context:
            return WebsiteVariables(
                garage_name=context.garage_name,
                request_name=REQUESTS[context.request_kind][job.locale],
                request_id=str(context.request_id),
                reference=str(context.request_id)[:8],
                at=context.received_at,
            )
        # Links without a token: who follows them signs in.
        case SupportRequestedContext() as context:
            return SupportRequestedVariables(**dict(context), support_url=f"{sites.dms_url}/support")
        case BreachNotifiedContext() as context:
            return BreachNotifiedVariables(**dict(context), breaches_url=f"{sites.dms_url}/breaches")


def _access(job: SendJob, context: PortalContext, portal_url: str) -> Payload:
    known = {"garage_name": context.garage_name, "customer_name": context.customer_name, "at": context.at}
    if context.event:
        return PortalNoticeVariables.model_validate(
            {**known, "said": PORTAL_EVENTS[context.event][job.locale]}
        )
    token = context.token.get_secret_value() if context.token else ""
    if job.template == "portal_device_code":
        groups = (token[start : start + 4] for start in range(0, len(token), 4))
        return PortalCodeVariables.model_validate({**known, "code": "-".join(groups)})
    # Behind the #, so that no server on the way writes it into its log.
    link = f"{portal_url}/{PORTAL_PATHS[job.template]}#garage={context.garage_id}&token={token}"
    return PortalLinkVariables.model_validate({**known, "link": link})
