"""In-memory twins of the ports, for tests and demonstrations."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from workers.core.accounts import MailAccount, TwilioAccount
from workers.core.errors import ProviderRefused
from workers.core.jobs import QueueName, Recipient, Sender
from workers.core.messages import Mail, Push
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater, Unknown
from workers.ports import (
    Claimed,
    Heartbeat,
    MailFile,
    Measured,
    PushReceipt,
    QueueMetrics,
    RenderedPdf,
    Subject,
    TextMessage,
)

_STATUS = {Done: "done", RetryLater: "queued", GiveUp: "failed", Unknown: "unknown"}


@dataclass
class MemoryQueue:
    """Queues as lists; `finished` keeps every recorded outcome, `failures` raises the next ones given."""

    waiting: dict[str, deque[Claimed]] = field(default_factory=lambda: defaultdict(deque))
    finished: list[tuple[str, Subject, Outcome]] = field(default_factory=list)
    claim_failures: deque[Exception] = field(default_factory=deque)
    finish_failures: deque[Exception] = field(default_factory=deque)
    housekept: int = 0
    aside: list[tuple[str, int, str]] = field(default_factory=list)
    beating: dict[UUID, Heartbeat] = field(default_factory=dict)
    beats: int = 0

    def put(self, queue: QueueName, payload: dict[str, Any]) -> None:
        """Add a message."""
        self.waiting[queue].append(Claimed(msg_id=len(self.waiting[queue]) + 1, payload=payload))

    def claim(self, queue: QueueName, visibility_seconds: int) -> Claimed | None:
        """The oldest message."""
        if self.claim_failures:
            raise self.claim_failures.popleft()
        return self.waiting[queue].popleft() if self.waiting[queue] else None

    def finish(self, queue: QueueName, msg_id: int, subject: Subject, outcome: Outcome) -> str:
        """Keep the outcome."""
        if self.finish_failures:
            raise self.finish_failures.popleft()
        self.finished.append((queue, subject, outcome))
        return _STATUS[type(outcome)]

    def set_aside(self, queue: QueueName, msg_id: int, reason: str) -> bool:
        """Keep what was set aside."""
        self.aside.append((queue, msg_id, reason))
        return True

    def beat(self, heartbeat: Heartbeat, seconds_running: float) -> None:
        """Keep who beats."""
        self.beating[heartbeat.id] = heartbeat
        self.beats += 1

    def leave(self, heartbeat: Heartbeat) -> None:
        """Forget who beat."""
        self.beating.pop(heartbeat.id, None)

    def metrics(self) -> Sequence[QueueMetrics]:
        """The lengths of the lists."""
        return [
            QueueMetrics(name, len(held), len(held), 0.0, None, 0, 0) for name, held in self.waiting.items()
        ]

    def housekeep(self) -> Mapping[str, Any]:
        """Count the call."""
        self.housekept += 1
        return {}


@dataclass
class MemoryFiles:
    """Files by (bucket, path)."""

    stored: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def download(self, bucket: str, path: str) -> bytes:
        """A stored file; a missing one is refused."""
        try:
            return self.stored[bucket, path]
        except KeyError:
            raise ProviderRefused("storage_http_404") from None

    def upload(self, bucket: str, path: str, content: bytes, media_type: str) -> None:
        """Keep the file."""
        self.stored[bucket, path] = content

    def remove(self, bucket: str, path: str) -> None:
        """Forget the file."""
        self.stored.pop((bucket, path), None)


@dataclass
class MonospaceTypeface:
    """Every character is half as wide as it is high, and all of the basic plane is drawn."""

    def width(self, text: str, points: float, bold: bool = False) -> float:
        """Half an em per character."""
        return len(text) * points / 2

    def has(self, character: str) -> bool:
        """Whether it is in the basic plane."""
        return ord(character) < 0x10000


@dataclass
class MemoryPdf:
    """Keeps the HTML and answers with it; `pages` is what it claims to have set."""

    typeface: MonospaceTypeface = field(default_factory=MonospaceTypeface)
    rendered: list[str] = field(default_factory=list)
    pages: Callable[[str], int] = lambda html: html.count("<pdf:nextpage>") + 1

    def render(self, html: str, created: date) -> RenderedPdf:
        """The HTML as if it were a PDF."""
        self.rendered.append(html)
        return RenderedPdf(pdf=html.encode("utf-8"), pages=self.pages(html))


@dataclass
class SentMail:
    """One mail that was handed over."""

    mail: Mail
    to: Recipient
    sender: Sender
    file: MailFile | None
    reference: UUID


@dataclass
class MemoryMailer:
    """Keeps the mails; `failure` is raised instead when set."""

    name: str = "memory"
    sent: list[SentMail] = field(default_factory=list)
    failure: Exception | None = None

    def send(
        self, mail: Mail, to: Recipient, sender: Sender, file: MailFile | None, reference: UUID
    ) -> str | None:
        """Keep the mail, or fail."""
        if self.failure:
            raise self.failure
        self.sent.append(SentMail(mail, to, sender, file, reference))
        return f"mail-{len(self.sent)}"


@dataclass
class MemoryTexter:
    """Keeps the messages as (message, sender, reference); `failure` is raised instead when set."""

    name: str = "memory"
    sent: list[tuple[TextMessage, str, UUID]] = field(default_factory=list)
    failure: Exception | None = None

    def send(self, message: TextMessage, sender: str, reference: UUID) -> str | None:
        """Keep the message, or fail."""
        if self.failure:
            raise self.failure
        self.sent.append((message, sender, reference))
        return f"text-{len(self.sent)}"


@dataclass
class MemoryProviders:
    """One mailer and one texter for everybody; `accounts` are those that were asked for."""

    mail: MemoryMailer = field(default_factory=MemoryMailer)
    text: MemoryTexter = field(default_factory=MemoryTexter)
    accounts: list[MailAccount | TwilioAccount | None] = field(default_factory=list)

    def mailer(self, account: MailAccount | None) -> MemoryMailer:
        """The mailer."""
        self.accounts.append(account)
        return self.mail

    def texter(self, account: TwilioAccount) -> MemoryTexter:
        """The texter."""
        self.accounts.append(account)
        return self.text


@dataclass
class MemoryPusher:
    """Keeps the notifications; `failure` is raised instead when set. `told` are the receipts it has."""

    name: str = "memory"
    sent: list[tuple[str, Push, dict[str, str]]] = field(default_factory=list)
    failure: Exception | None = None
    told: dict[str, PushReceipt] = field(default_factory=dict)

    def receipts(self, ids: Sequence[str]) -> Mapping[str, PushReceipt]:
        """The receipts of those it has, or fail."""
        if self.failure:
            raise self.failure
        return {one: self.told[one] for one in ids if one in self.told}

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Keep the notification, or fail."""
        if self.failure:
            raise self.failure
        self.sent.append((token, push, dict(data)))
        return f"ticket-{len(self.sent)}"


class MemoryDoorbell:
    """A doorbell to be rung by hand."""

    def __init__(self) -> None:
        self.ring: Callable[[str | None], None] = lambda queue: None

    def start(self, ring: Callable[[str | None], None]) -> None:
        """Remember whom to ring."""
        self.ring = ring

    def stop(self) -> None:
        """Forget it again."""
        self.ring = lambda queue: None


@dataclass
class MemoryMeter:
    """Keeps what it is told."""

    jobs: list[Measured] = field(default_factory=list)
    busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    losses: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)

    def lane(self, queue: QueueName, is_busy: bool) -> None:
        """Count busy lanes, and the most there were."""
        self.busy[queue] += 1 if is_busy else -1
        self.most_busy[queue] = max(self.most_busy[queue], self.busy[queue])

    def job(self, measured: Measured) -> None:
        """Keep it."""
        self.jobs.append(measured)

    def lost(self, part: str) -> None:
        """Keep it."""
        self.losses.append(part)

    def joined(self, part: str) -> None:
        """Keep it."""
        self.joins.append(part)
