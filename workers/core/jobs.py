"""The payloads that `private.claim_jobs` hands out, one model per kind of work."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator

from workers.core.accounts import Account, TwilioAccount, Wording
from workers.core.contexts import MessageContext, PortalContext, WebsiteContext
from workers.core.kinds import KINDS, Channel, MessageKind, PushKind
from workers.core.payload import Locale as Locale
from workers.core.payload import Payload as Payload

MailTemplate = MessageKind
PushTemplate = PushKind
VatCategory = Literal["standard", "reverse_charge", "intra_community", "margin", "exempt"]
Mention = Literal["reverse_charge", "intra_community", "margin", "exempt", "attest_717"]
QueueName = Literal["render", "send", "push", "check", "receipts", "website", "erase"]
QUEUES: tuple[QueueName, ...] = ("render", "send", "push", "check", "receipts", "website", "erase")


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
    attempt: int


class RenderJob(JobBase):
    """Make the PDF of an invoice and file it."""

    kind: Literal["render_invoice"]
    garage_id: UUID
    invoice_id: UUID
    version: int
    storage_bucket: str
    storage_path: str
    snapshot: Snapshot
    logo_png_base64: str | None


class Recipient(Payload):
    """Who gets the message."""

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


class SendJob(JobBase):
    """Send one message, by the garage's own account and in its own words, where it has them.

    Without an account a mail goes by Autexor's; those of its own website are of no garage. `has_open_window`:
    the customer wrote by WhatsApp within 24 hours, so that free text may answer (else WhatsApp takes approved
    templates alone). `opt_out_token` stops such mails without a login.
    """

    kind: Literal["send_message"]
    garage_id: UUID | None
    channel: Literal["email", "sms", "whatsapp"]
    template: MailTemplate
    locale: Locale
    recipient: Recipient
    sender: Sender
    context: MessageContext
    attachment: Attachment | None
    account: Account | None = None
    wording: Wording | None = None
    has_open_window: bool = False
    opt_out_token: SecretStr | None = None

    @model_validator(mode="after")
    def _suits(self) -> Self:
        kind = KINDS[self.template]
        if type(self.context) is not kind.context:
            raise ValueError("this context is not of this template")
        if self.channel not in kind.channels:
            raise ValueError("this template does not go by this channel")
        if isinstance(self.account, TwilioAccount) == (self.channel == "email"):
            raise ValueError("this account does not send by this channel")
        if kind.is_ours_alone and (self.account or self.wording):
            raise ValueError("what Autexor says goes by its own account, in its own words")
        if self.channel == "email" and kind.can_stop and self.opt_out_token is None:
            raise ValueError("a mail that can be stopped carries the token for it")
        if isinstance(self.context, WebsiteContext) != (self.garage_id is None):
            raise ValueError("a mail is of a garage, or of the website")
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
    garage_id: UUID
    expo_token: str
    template: PushTemplate
    locale: Locale
    data: PushData
    details: PushDetails | None = None
    wording: Wording | None = None


class CheckJob(JobBase):
    """Try a garage's new wording before any message is made of it."""

    kind: Literal["check_template"]
    garage_id: UUID
    channel: Channel
    template: MessageKind
    locale: Locale
    wording: Wording


class ReceiptsJob(JobBase):
    """Ask what became of pushes: their tickets, the one that this job is about first."""

    kind: Literal["check_push_receipts"]
    garage_id: UUID
    tickets: tuple[str, ...] = Field(min_length=1, max_length=100)


class RemoveFileJob(JobBase):
    """Remove one stored file, whose row is erased."""

    kind: Literal["remove_file"]
    garage_id: UUID
    bucket: str
    path: str


AnyJob = RenderJob | SendJob | PushJob | CheckJob | ReceiptsJob | RemoveFileJob
Job = Annotated[AnyJob, Field(discriminator="kind")]
_JOB: TypeAdapter[AnyJob] = TypeAdapter(Job)


def parse_job(payload: dict[str, Any]) -> AnyJob:
    """The job of a claimed payload; raises pydantic's ValidationError."""
    return _JOB.validate_python(payload)


def describe_invalid(error: ValidationError) -> str:
    """Where and how a payload is wrong, without the values in it (they may be personal)."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    return f"invalid_payload {'.'.join(str(part) for part in first['loc'])} {first['type']}"[:200]
