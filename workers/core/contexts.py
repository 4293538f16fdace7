"""What the database says of a message: the part of a job that its words are made from.

Descriptions and examples are those of the page docs/templates.md, and the sample a template is tried with.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from workers.core.payload import Payload

PortalEvent = Literal[
    "password_changed", "pin_changed", "email_change_asked", "email_changed", "device_added", "account_closed"
]


class GarageContext(Payload):
    """What every message knows."""

    garage_name: str = Field(description="The garage's trade name", examples=["Garage Noord"])


class CustomerContext(GarageContext):
    """What every message to a customer knows."""

    customer_name: str = Field(description="The customer's full name", examples=["Carla Peeters-Lefèvre"])


class InvoiceIssuedContext(CustomerContext):
    """What the messages `invoice_issued` and `credit_note_issued` say."""

    invoice_number: str = Field(
        description="The number of the invoice or credit note", examples=["2026-00001"]
    )
    issue_date: date = Field(description="When it was issued", examples=[date(2026, 11, 22)])
    due_date: date = Field(description="Until when it can be paid", examples=[date(2026, 12, 22)])
    gross_total: Decimal = Field(description="Its total with VAT, in euros", examples=[Decimal("1234.50")])
    structured_communication: str | None = Field(
        description="The structured communication to pay with; none on a credit note",
        examples=["+++001/2345/60325+++"],
    )
    iban: str = Field(description="The account to pay to", examples=["BE68539007547034"])
    credits_number: str | None = Field(
        default=None,
        description="The invoice that a credit note corrects; none on an invoice",
        examples=["2026-00001"],
    )


class PaymentReminderContext(InvoiceIssuedContext):
    """What the message `payment_reminder` says."""

    days_overdue: int = Field(description="How many days ago it was due", examples=[12])
    open_amount: Decimal = Field(description="What is still to be paid", examples=[Decimal("1034.50")])


class WorkReadyContext(CustomerContext):
    """What the message `work_ready` says."""

    plate: str | None = Field(description="The vehicle's plate; none without one", examples=["1-ABC-234"])
    vehicle: str = Field(description="Its make and model", examples=["Volkswagen Golf VIII"])
    work_order_number: str = Field(description="The number of the work order", examples=["WO2026-00001"])


class MessageReceivedContext(CustomerContext):
    """What the message `message_received` says: that there is something to read, never what."""


class ProviderTestContext(GarageContext):
    """What the message `provider_test` says."""


class MemberInvitedContext(Payload):
    """What the mail `member_invited` says; its token is nowhere else, so neither logged nor kept."""

    garage_name: str
    inviter_name: str
    token: SecretStr
    expires_on: date


class PortalContext(Payload):
    """What a mail about a customer's access says: a link or code, which is nowhere else, or what happened.

    `at` is the garage's own time: until when the token holds, or when it happened.
    """

    garage_id: UUID
    garage_name: str
    customer_name: str
    token: SecretStr | None
    event: PortalEvent | None
    at: datetime

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.token is None) == (self.event is None):
            raise ValueError("this mail has either a token or an event")
        return self


class WebsiteContext(GarageContext):
    """What a mail about a request on autexor.be says: that there is one, and nothing of what a visitor typed.

    `received_at` is the time at Brussels.
    """

    garage_name: str = "Autexor"
    request_id: UUID
    request_kind: Literal["contact", "demo", "privacy"]
    received_at: datetime


class SupportRequestedContext(GarageContext):
    """What the mail `support_requested` says to an owner: that Autexor asks to be let in, never why."""

    is_read_only: bool = Field(description="Whether it asks to read alone", examples=[True])
    hours: int = Field(description="For how many hours", examples=[2])


class BreachNotifiedContext(GarageContext):
    """What the mail `breach_notified` says to an owner: that there is a notice, and nothing of its facts.

    `noticed_at` is the garage's own time.
    """

    is_first: bool = Field(description="Whether they hear of it for the first time", examples=[True])
    noticed_at: datetime = Field(
        description="When Autexor noticed it", examples=[datetime(2026, 12, 6, 14, 30)]
    )


MessageContext = (
    InvoiceIssuedContext
    | PaymentReminderContext
    | WorkReadyContext
    | MessageReceivedContext
    | ProviderTestContext
    | MemberInvitedContext
    | PortalContext
    | WebsiteContext
    | SupportRequestedContext
    | BreachNotifiedContext
)
