"""What a template may name: the fields of these models and nothing else.

They are what the database said (`workers.core.contexts`) and what the worker adds to it: addresses, links.
A link or code is shown by no repr.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from workers.core.contexts import (
    BreachNotifiedContext,
    CustomerContext,
    GarageContext,
    InvoiceIssuedContext,
    MessageReceivedContext,
    PaymentReminderContext,
    ProviderTestContext,
    SupportRequestedContext,
    WorkReadyContext,
)
from workers.core.payload import Payload

Variables = Payload


class _Portal(Payload):
    portal_url: str = Field(
        description="The address of the customers' portal", examples=["https://portal.autexor.be"]
    )


class _File(Payload):
    has_attachment: bool = Field(
        description="Whether the PDF is attached; never by SMS or WhatsApp", examples=[True]
    )


class InvoiceVariables(_File, _Portal, InvoiceIssuedContext):
    """Of an invoice or a credit note."""

    has_payment: bool = Field(description="Whether there is anything to pay", examples=[True])


class ReminderVariables(_File, _Portal, PaymentReminderContext):
    """Of an invoice that is overdue."""


class WorkReadyVariables(_Portal, WorkReadyContext):
    """Of a work order whose vehicle can be fetched."""


class MessageReceivedVariables(_Portal, MessageReceivedContext):
    """Of a message that waits on the portal."""


class ProviderTestVariables(ProviderTestContext):
    """Of a test of the garage's own account at a provider."""


class MemberInvitedVariables(GarageContext):
    """Of an invitation to a colleague."""

    inviter_name: str = Field(description="Who invites", examples=["Olga Peeters"])
    expires_on: date = Field(description="Until when the invitation holds", examples=[date(2026, 11, 30)])
    invitation_url: str = Field(
        description="The link to accept it with; it must be said",
        examples=["https://app.autexor.be/invitation#token=0123abcd"],
        repr=False,
    )


class _Access(CustomerContext):
    at: datetime = Field(
        description="Until when the link or code holds, or when it happened",
        examples=[datetime(2026, 12, 6, 14, 30)],
    )


class PortalLinkVariables(_Access):
    """Of a link that opens something once."""

    link: str = Field(
        description="The link, which works once; it must be said",
        examples=["https://portal.autexor.be/activate#garage=11111111&token=0123ABCD4567"],
        repr=False,
    )


class PortalCodeVariables(_Access):
    """Of a code to type in."""

    code: str = Field(
        description="The code, which works once; it must be said", examples=["0123-ABCD-4567"], repr=False
    )


class PortalNoticeVariables(_Access):
    """Of a change that was made."""

    said: str = Field(
        description="What happened, as a sentence; it must be said", examples=["Uw pincode is gewijzigd."]
    )


class WebsiteVariables(GarageContext):
    """Of a request on Autexor's own website."""

    request_name: str = Field(description="What kind of request it is", examples=["Demo-aanvraag"])
    request_id: str = Field(
        description="Which one, for the command line", examples=["0f8fad5b-d9cb-469f-a165-70867728950e"]
    )
    reference: str = Field(description="Which one, for the visitor", examples=["0f8fad5b"])
    at: datetime = Field(description="When it came in", examples=[datetime(2026, 12, 6, 14, 30)])


class SupportRequestedVariables(SupportRequestedContext):
    """Of a request of Autexor's to be let into a garage."""

    support_url: str = Field(
        description="Where an owner answers; it must be said", examples=["https://app.autexor.be/support"]
    )


class BreachNotifiedVariables(BreachNotifiedContext):
    """Of a notice of a breach."""

    breaches_url: str = Field(
        description="Where the facts are; it must be said", examples=["https://app.autexor.be/breaches"]
    )


class NoVariables(Payload):
    """A notification crosses other people's servers and lock screens: its words are fixed."""
