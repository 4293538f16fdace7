"""What the loop and the handlers need from outside; `workers.adapters` fulfils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol
from uuid import UUID

from workers.core.accounts import MailAccount, TwilioAccount
from workers.core.jobs import QueueName, Recipient, Sender
from workers.core.messages import Mail, Push
from workers.core.outcomes import Outcome
from workers.core.text import Typeface
from workers.core.values import Sites


@dataclass(frozen=True)
class Claimed:
    """A message that this worker holds until its visibility runs out."""

    msg_id: int
    payload: dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """The row a job is about, and which attempt at it this is."""

    id: UUID
    attempt: int


@dataclass(frozen=True)
class RenderedPdf:
    """A finished document."""

    pdf: bytes
    pages: int


@dataclass(frozen=True)
class MailFile:
    """A file that goes along with a mail."""

    filename: str
    content: bytes
    media_type: str = "application/pdf"


@dataclass(frozen=True)
class TextMessage:
    """An SMS or WhatsApp message: a `body`, or the provider's own approved template and its variables.

    `to` is an E.164 number, for WhatsApp, too.
    """

    channel: Literal["sms", "whatsapp"]
    to: str
    body: str | None
    content_sid: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PushReceipt:
    """What a phone's own push service said of one ticket; `error` is its code, None when it was delivered."""

    error: str | None


@dataclass(frozen=True)
class Heartbeat:
    """One running process: where it is, what it runs, how many lanes it has for each queue."""

    id: UUID
    host: str
    pid: int
    version: str
    lanes: Mapping[QueueName, int]


@dataclass(frozen=True)
class QueueMetrics:
    """How one queue stands: counts of messages, and how long the first claimable one has waited.

    `in_flight` is None where nobody counts it; `broken` messages are still tried, `set_aside` ones are not.
    """

    queue: str
    depth: int
    ready: int
    oldest_seconds: float
    in_flight: int | None
    broken: int
    set_aside: int


class Queue(Protocol):
    """The database's side of the work; every method raises QueueUnavailable when it is away."""

    def claim(self, queue: QueueName, visibility_seconds: int) -> Claimed | None:
        """The next message, held for so many seconds, or None when there is none."""
        ...

    def finish(self, queue: QueueName, msg_id: int, subject: Subject, outcome: Outcome) -> str:
        """Record what became of it and return the row's status.

        Raises JobSuperseded for a late finish, RecordRefused for one that breaks a rule of the database.
        """
        ...

    def set_aside(self, queue: QueueName, msg_id: int, reason: str) -> bool:
        """Put a message away for good that nothing can be made of; False when it is no longer held."""
        ...

    def beat(self, heartbeat: Heartbeat, seconds_running: float) -> None:
        """Say that this process runs."""
        ...

    def leave(self, heartbeat: Heartbeat) -> None:
        """Say that this process has stopped in order."""
        ...

    def metrics(self) -> Sequence[QueueMetrics]:
        """How every queue stands."""
        ...

    def housekeep(self) -> Mapping[str, Any]:
        """The hourly clean-up; what was removed, by name."""
        ...


class Files(Protocol):
    """Private storage; raises ProviderUnavailable or ProviderRefused."""

    def download(self, bucket: str, path: str) -> bytes:
        """A stored file."""
        ...

    def upload(self, bucket: str, path: str, content: bytes, media_type: str) -> None:
        """Store a file, replacing what is there: an attempt that died half-way left the same document."""
        ...

    def remove(self, bucket: str, path: str) -> None:
        """Remove a stored file for good; one that is not there (any more) is as good."""
        ...


class Pdf(Protocol):
    """The renderer of documents."""

    @property
    def typeface(self) -> Typeface:
        """The metrics of the font it sets documents in."""
        ...

    def render(self, html: str, created: date) -> RenderedPdf:
        """The PDF of `html`; the same input gives the same bytes. Raises RenderFailed."""
        ...


class Mailer(Protocol):
    """A mail provider; raises ProviderUnavailable, ProviderRefused or ProviderSilent."""

    name: str

    def send(
        self, mail: Mail, to: Recipient, sender: Sender, file: MailFile | None, reference: UUID
    ) -> str | None:
        """Hand one mail over; the provider's message id. `reference` comes back in its webhooks."""
        ...


class Texter(Protocol):
    """A provider of SMS and WhatsApp; raises ProviderUnavailable, ProviderRefused or ProviderSilent."""

    name: str

    def send(self, message: TextMessage, sender: str, reference: UUID) -> str | None:
        """Hand one message over; the provider's id of it. `reference` comes back in its webhooks."""
        ...


class Providers(Protocol):
    """Who sends for a garage: its own account's provider. Raises ProviderRefused for a host not allowed."""

    def mailer(self, account: MailAccount | None) -> Mailer:
        """The mailer of an account; None is the platform's own."""
        ...

    def texter(self, account: TwilioAccount) -> Texter:
        """The texter of an account."""
        ...


class Pusher(Protocol):
    """A push service; raises ProviderUnavailable, ProviderRefused, RecipientGone or ProviderSilent."""

    name: str

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Hand one notification over; the id of its ticket."""
        ...

    def receipts(self, ids: Sequence[str]) -> Mapping[str, PushReceipt]:
        """What became of tickets, by id; one that is missing has no receipt yet, or none any more."""
        ...


class Doorbell(Protocol):
    """Rings when there may be work. It may miss some: the loop also looks by itself."""

    def start(self, ring: Callable[[str | None], None]) -> None:
        """Begin to listen; `ring` gets a queue's name, or None when any queue may hold work."""
        ...

    def stop(self) -> None:
        """Stop listening."""
        ...


@dataclass(frozen=True)
class Measured:
    """One handled job: what it was and what became of it, without a word about whom it concerned.

    `outcome` is done, retry, give_up, unknown, superseded, unrecorded or set_aside.
    """

    queue: QueueName
    channel: str
    provider: str
    outcome: str
    seconds: float


class Meter(Protocol):
    """What the loop tells those who watch it."""

    def lane(self, queue: QueueName, is_busy: bool) -> None:
        """A lane has taken up a job, or laid it down."""
        ...

    def job(self, measured: Measured) -> None:
        """A job was handled."""
        ...

    def lost(self, part: str) -> None:
        """A call to `database`, or the line to `realtime`, failed."""
        ...

    def joined(self, part: str) -> None:
        """It works (again)."""
        ...


class Silence:
    """A meter that nobody reads."""

    def lane(self, queue: QueueName, is_busy: bool) -> None:
        """Nothing."""

    def job(self, measured: Measured) -> None:
        """Nothing."""

    def lost(self, part: str) -> None:
        """Nothing."""

    def joined(self, part: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Ports:
    """What a handler may reach, and where mails lead."""

    files: Files
    pdf: Pdf
    providers: Providers
    pusher: Pusher
    sites: Sites
