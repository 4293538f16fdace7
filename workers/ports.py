"""What the loop and the handlers need from outside; `workers.adapters` fulfils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from workers.core.jobs import QueueName, Recipient, Sender
from workers.core.messages import Mail, Push
from workers.core.outcomes import Outcome
from workers.core.text import Typeface


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


class Queue(Protocol):
    """The database's side of the work; every method raises QueueUnavailable when it is away."""

    def claim(self, queue: QueueName, visibility_seconds: int) -> Claimed | None:
        """The next message, held for so many seconds, or None when there is none."""
        ...

    def finish(self, queue: QueueName, msg_id: int, subject: Subject, outcome: Outcome) -> str:
        """Record what became of it and return the row's status; raises JobSuperseded for a late finish."""
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


class Pusher(Protocol):
    """A push service; raises ProviderUnavailable, ProviderRefused, RecipientGone or ProviderSilent."""

    name: str

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Hand one notification over; the id of its ticket."""
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
class Ports:
    """What a handler may reach, and where mails point to: the customers' portal, the garages' DMS."""

    files: Files
    pdf: Pdf
    mailer: Mailer
    pusher: Pusher
    portal_url: str
    dms_url: str
