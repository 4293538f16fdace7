"""Every kind of message: where it can go, what it knows, what it must say, and whether it can be stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from workers.core.contexts import (
    BreachNotifiedContext,
    InvoiceIssuedContext,
    MemberInvitedContext,
    MessageReceivedContext,
    PaymentReminderContext,
    PortalContext,
    ProviderTestContext,
    SupportRequestedContext,
    WebsiteContext,
    WorkReadyContext,
)
from workers.core.payload import Payload
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

MessageKind = Literal[
    "invoice_issued",
    "credit_note_issued",
    "payment_reminder",
    "work_ready",
    "message_received",
    "member_invited",
    "portal_invited",
    "portal_password_reset",
    "portal_device_code",
    "portal_email_change",
    "portal_notice",
    "provider_test",
    "website_notice",
    "website_acknowledgement",
    "support_requested",
    "breach_notified",
]
PushKind = Literal[
    "invoice_issued", "credit_note_issued", "payment_reminder", "work_ready", "message_received"
]
Channel = Literal["email", "sms", "whatsapp", "push"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)

_EVERYWHERE: tuple[Channel, ...] = ("email", "sms", "whatsapp", "push")
_BY_MAIL: tuple[Channel, ...] = ("email",)


@dataclass(frozen=True)
class Kind:
    """One kind; `shipped` is the version of the wording that Autexor ships.

    `must_say` names the variable without which the message is of no use. A message that `can_stop` is to a
    customer and says how to get no more of them; one that `is_about_access` is to whoever has to get in. What
    is `is_ours_alone` is Autexor's own, and no garage words it.
    """

    about: str
    context: type[Payload]
    variables: type[Payload]
    channels: tuple[Channel, ...] = _EVERYWHERE
    must_say: str | None = None
    is_about_access: bool = False
    can_stop: bool = True
    shipped: int = 1
    is_ours_alone: bool = False


def _access(
    about: str, variables: type[Payload], must_say: str, channels: tuple[Channel, ...] = _BY_MAIL
) -> Kind:
    return Kind(about, PortalContext, variables, channels, must_say, is_about_access=True, can_stop=False)


def _website(about: str) -> Kind:
    return Kind(about, WebsiteContext, WebsiteVariables, _BY_MAIL, can_stop=False, is_ours_alone=True)


def _to_owners(about: str, context: type[Payload], variables: type[Payload], must_say: str) -> Kind:
    return Kind(
        about,
        context,
        variables,
        _BY_MAIL,
        must_say,
        is_about_access=True,
        can_stop=False,
        is_ours_alone=True,
    )


KINDS: dict[MessageKind, Kind] = {
    "invoice_issued": Kind("An invoice was issued", InvoiceIssuedContext, InvoiceVariables, shipped=2),
    "credit_note_issued": Kind("A credit note was issued", InvoiceIssuedContext, InvoiceVariables, shipped=2),
    "payment_reminder": Kind("An invoice is overdue", PaymentReminderContext, ReminderVariables),
    "work_ready": Kind("The vehicle is ready to be fetched", WorkReadyContext, WorkReadyVariables),
    "message_received": Kind(
        "The garage wrote a message on the portal",
        MessageReceivedContext,
        MessageReceivedVariables,
        shipped=2,
    ),
    "member_invited": Kind(
        "A colleague is invited to work with the software",
        MemberInvitedContext,
        MemberInvitedVariables,
        _BY_MAIL,
        must_say="invitation_url",
        is_about_access=True,
        can_stop=False,
    ),
    "portal_invited": _access(
        "A customer is invited to the portal", PortalLinkVariables, "link", ("email", "sms", "whatsapp")
    ),
    "portal_password_reset": _access("A customer forgot their password", PortalLinkVariables, "link"),
    "portal_device_code": _access("A customer signs in on another device", PortalCodeVariables, "code"),
    "portal_email_change": _access("A customer changes their e-mail address", PortalLinkVariables, "link"),
    "portal_notice": _access("Something of a customer's access was changed", PortalNoticeVariables, "said"),
    "provider_test": Kind(
        "A member tests the garage's own account at a provider",
        ProviderTestContext,
        ProviderTestVariables,
        ("email", "sms", "whatsapp"),
        can_stop=False,
    ),
    "website_notice": _website("A visitor of autexor.be asks for something: to Autexor's staff"),
    "website_acknowledgement": _website("A visitor of autexor.be asked for something: to them"),
    "support_requested": _to_owners(
        "Autexor asks to be let into a garage: to its owners",
        SupportRequestedContext,
        SupportRequestedVariables,
        "support_url",
    ),
    "breach_notified": _to_owners(
        "A breach concerns a garage: to its owners",
        BreachNotifiedContext,
        BreachNotifiedVariables,
        "breaches_url",
    ),
}
GARAGE_KINDS: dict[MessageKind, Kind] = {name: kind for name, kind in KINDS.items() if not kind.is_ours_alone}
