"""The payloads that `private.claim_jobs` hands out, one model per kind of work."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

Locale = Literal["nl", "fr", "en"]
MailTemplate = Literal[
    "invoice_issued",
    "credit_note_issued",
    "member_invited",
    "message_received",
    "portal_invited",
    "portal_password_reset",
    "portal_device_code",
    "portal_email_change",
    "portal_notice",
]
PortalEvent = Literal[
    "password_changed", "pin_changed", "email_change_asked", "email_changed", "device_added", "account_closed"
]
PushTemplate = Literal["invoice_issued", "credit_note_issued", "message_received"]
VatCategory = Literal["standard", "reverse_charge", "intra_community", "margin", "exempt"]
Mention = Literal["reverse_charge", "intra_community", "margin", "exempt", "attest_717"]
QueueName = Literal["render", "send", "push", "erase"]
QUEUES: tuple[QueueName, ...] = ("render", "send", "push", "erase")


class Payload(BaseModel):
    """Frozen and closed: a field nobody knows is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SnapshotGarage(Payload):
    """The issuing garage as it was at issue."""

    legal_name: str
    trade_name: str
    vat_number: str
    enterprise_number: str
    street: str
    postal_code: str
    city: str
    country_code: str
    email: str
    phone: str | None
    iban: str
    bic: str | None
    accent_color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None
    logo_sha256: str | None


class SnapshotCustomer(Payload):
    """The customer as they were at issue."""

    name: str
    company_name: str | None
    street: str | None
    postal_code: str | None
    city: str | None
    country_code: str
    vat_number: str | None


class SnapshotVehicle(Payload):
    """The vehicle: Belgian law wants the VIN and the odometer on every garage invoice."""

    plate: str | None
    make: str
    model: str
    vin: str | None
    odometer_km: int | None
    attest_717_reference: str | None = None


class SnapshotLine(Payload):
    """One line; amounts without VAT, the discount (a percentage) taken off `net_amount`."""

    position: int
    description: str
    quantity: Decimal
    unit_price: Decimal
    vat_rate: Decimal
    net_amount: Decimal
    discount_percent: Decimal = Decimal(0)
    vat_category: VatCategory = "standard"


class SnapshotVat(Payload):
    """The VAT of one category and rate (a percentage), computed on their total, discount taken off."""

    rate: Decimal
    base: Decimal
    vat: Decimal
    category: VatCategory = "standard"
    discount: Decimal = Decimal(0)


class SnapshotTotals(Payload):
    """The totals in the snapshot's currency."""

    net: Decimal
    vat: Decimal
    gross: Decimal


class SnapshotCredits(Payload):
    """The invoice that a credit note corrects."""

    number: str
    issue_date: date


class Snapshot(Payload):
    """The frozen invoice or credit note: the renderer's only input, so the document can be made again.

    Schema 1 had neither credit notes, nor discounts, nor mentions: their defaults say the same.
    """

    schema_version: Literal[1, 2] = Field(alias="schema")
    kind: Literal["invoice", "credit_note"]
    number: str
    issue_date: date
    supply_date: date
    due_date: date
    locale: Locale
    currency: Literal["EUR"]
    garage: SnapshotGarage
    customer: SnapshotCustomer
    vehicle: SnapshotVehicle | None
    lines: tuple[SnapshotLine, ...] = Field(min_length=1)
    vat: tuple[SnapshotVat, ...]
    totals: SnapshotTotals
    structured_communication: str | None
    note: str | None
    credits: SnapshotCredits | None = None
    discount_percent: Decimal = Decimal(0)
    mentions: tuple[Mention, ...] = ()


class JobBase(Payload):
    """What every job carries; `subject_id` is the row it is about, `attempt` counts from 1."""

    subject_id: UUID
    garage_id: UUID
    attempt: int


class RenderJob(JobBase):
    """Make the PDF of an invoice and file it."""

    kind: Literal["render_invoice"]
    invoice_id: UUID
    version: int
    storage_bucket: str
    storage_path: str
    snapshot: Snapshot
    logo_png_base64: str | None


class Recipient(Payload):
    """Who gets the mail."""

    address: str
    name: str


class Sender(Payload):
    """In whose name it is sent, and where answers go."""

    address: str
    name: str
    reply_to: str


class Attachment(Payload):
    """A stored file that goes along."""

    bucket: str
    path: str
    filename: str


class InvoiceIssuedContext(Payload):
    """What the mails `invoice_issued` and `credit_note_issued` say."""

    garage_name: str
    customer_name: str
    invoice_number: str
    issue_date: date
    due_date: date
    gross_total: Decimal
    structured_communication: str | None
    iban: str
    credits_number: str | None = None


class MemberInvitedContext(Payload):
    """What the mail `member_invited` says; its token is nowhere else, so neither logged nor kept."""

    garage_name: str
    inviter_name: str
    token: SecretStr
    expires_on: date


class MessageReceivedContext(Payload):
    """What the mail `message_received` says: that there is something to read, never what."""

    garage_name: str
    customer_name: str


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


MAIL_CONTEXTS: dict[MailTemplate, type[Payload]] = {
    "invoice_issued": InvoiceIssuedContext,
    "credit_note_issued": InvoiceIssuedContext,
    "member_invited": MemberInvitedContext,
    "message_received": MessageReceivedContext,
    "portal_invited": PortalContext,
    "portal_password_reset": PortalContext,
    "portal_device_code": PortalContext,
    "portal_email_change": PortalContext,
    "portal_notice": PortalContext,
}


class SendJob(JobBase):
    """Send one e-mail."""

    kind: Literal["send_message"]
    channel: Literal["email"]
    template: MailTemplate
    locale: Locale
    recipient: Recipient
    sender: Sender
    context: InvoiceIssuedContext | MemberInvitedContext | MessageReceivedContext | PortalContext
    attachment: Attachment | None

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if not isinstance(self.context, MAIL_CONTEXTS[self.template]):
            raise ValueError("this context is not of this template")
        if isinstance(self.context, PortalContext) and (
            (self.template == "portal_notice") != (self.context.event is not None)
        ):
            raise ValueError("a notice tells an event, and no other mail does")
        return self


class PushData(Payload):
    """What the app receives beside the text: ids, nothing personal."""

    notification_id: UUID
    kind: str


class PushDetails(Payload):
    """What the customer allowed on this device's screen; a message without words has no `body`."""

    title: str
    body: str | None


class PushJob(JobBase):
    """Push one notification to one device; `details` are None unless its customer allowed them."""

    kind: Literal["send_push"]
    expo_token: str
    template: PushTemplate
    locale: Locale
    data: PushData
    details: PushDetails | None = None


class RemoveFileJob(JobBase):
    """Remove one stored file, whose row is erased."""

    kind: Literal["remove_file"]
    bucket: str
    path: str


Job = Annotated[RenderJob | SendJob | PushJob | RemoveFileJob, Field(discriminator="kind")]
_JOB: TypeAdapter[RenderJob | SendJob | PushJob | RemoveFileJob] = TypeAdapter(Job)


def parse_job(payload: dict[str, Any]) -> RenderJob | SendJob | PushJob | RemoveFileJob:
    """The job of a claimed payload; raises pydantic's ValidationError."""
    return _JOB.validate_python(payload)


def describe_invalid(error: ValidationError) -> str:
    """Where and how a payload is wrong, without the values in it (they may be personal)."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    return f"invalid_payload {'.'.join(str(part) for part in first['loc'])} {first['type']}"[:200]
