"""One lane: claim, handle, record. A queue has several, so that a slow provider holds up one of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from workers.core.errors import JobSuperseded, QueueUnavailable, RecordRefused
from workers.core.jobs import Job, QueueName, describe_invalid, parse_job
from workers.core.logs import crash, event
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater, Unknown, bare
from workers.core.retry import backoff
from workers.handlers import handle
from workers.ports import Claimed, Measured, Meter, Ports, Queue, Silence, Subject

log = logging.getLogger("workers.loop")

# How long a message stays invisible to other workers: longer than its slowest handling.
VISIBILITY_SECONDS: dict[QueueName, int] = {
    "render": 180,
    "send": 120,
    "push": 90,
    "check": 60,
    "receipts": 60,
    "website": 120,
    "erase": 60,
}
LONGEST_OUTAGE_PAUSE = 10

Handler = Callable[[Job, Ports], Outcome]

_WORDS: dict[type[Outcome], str] = {
    Done: "done",
    RetryLater: "retry",
    GiveUp: "give_up",
    Unknown: "unknown",
}
_CHANNELS = frozenset({"email", "sms", "whatsapp"})
_PROVIDERS = frozenset({"sendgrid", "smtp", "twilio", "expo"})


class Bell:
    """The bell of one queue: a ring wakes one lane that sleeps, or is heard by the next that wants to."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_rung = False
        self._has_ended = False

    def ring(self) -> None:
        """There may be work."""
        with self._condition:
            self._is_rung = True
            self._condition.notify()

    def end(self) -> None:
        """Nobody is to sleep any more."""
        with self._condition:
            self._has_ended = True
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        """Sleep until it rings, the time is up, or the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_rung or self._has_ended, seconds)
            self._is_rung = False


@dataclass
class Lane:
    """Works on one queue, one job at a time, since a claim says that its call is about to go out.

    So nothing is ever held that has not begun, and a stop has nothing to hand back: it waits for the one.
    """

    name: QueueName
    queue: Queue
    ports: Ports
    poll_seconds: float
    stopping: threading.Event
    handler: Handler = handle
    bell: Bell = field(default_factory=Bell)
    meter: Meter = field(default_factory=Silence)

    def __post_init__(self) -> None:
        self.busy_since: float | None = None
        self.answered_at = time.monotonic()
        self._outages = 0

    def run(self) -> None:
        """Work until told to stop; what is held is finished first. Nothing but the stop ends it."""
        while not self.stopping.is_set():
            try:
                self.drain()
                self.bell.wait(self.poll_seconds)
            except QueueUnavailable as error:
                self._note_outage(error.reason)
            except Exception as error:  # noqa: BLE001 - a lane that ends is missed by nobody
                log.error(event("lane.crashed", queue=self.name, **crash(error)))
                self.stopping.wait(backoff(1))

    def drain(self) -> None:
        """Work until the queue is empty."""
        while not self.stopping.is_set():
            claimed = self.queue.claim(self.name, VISIBILITY_SECONDS[self.name])
            self._note_answer()
            if claimed is None:
                return
            # Where one message was there may be more: the next lane looks, too.
            self.bell.ring()
            self._keep_busy(claimed)

    def work(self, claimed: Claimed) -> None:
        """Handle one claimed message and record what became of it."""
        started = time.monotonic()
        subject = subject_of(claimed.payload)
        if subject is None:
            log.error(event("job.unreadable", queue=self.name, msg_id=claimed.msg_id))
            self.queue.set_aside(self.name, claimed.msg_id, "unreadable_job")
            self._measure(claimed, None, "set_aside", started)
            return
        outcome = self._handle(claimed, subject)
        status, word = self._record(claimed, subject, outcome, started + VISIBILITY_SECONDS[self.name])
        self._measure(claimed, outcome, word, started)
        log.info(
            event(
                "job.recorded",
                queue=self.name,
                subject=subject.id,
                attempt=subject.attempt,
                outcome=type(outcome).__name__,
                reason=None if isinstance(outcome, Done) else outcome.reason,
                status=status,
                ms=round((time.monotonic() - started) * 1000),
            )
        )

    def _keep_busy(self, claimed: Claimed) -> None:
        self.busy_since = time.monotonic()
        self.meter.lane(self.name, True)
        try:
            self.work(claimed)
        finally:
            self.meter.lane(self.name, False)
            self.busy_since = None

    def _handle(self, claimed: Claimed, subject: Subject) -> Outcome:
        try:
            return self.handler(parse_job(claimed.payload), self.ports)
        except ValidationError as error:
            return GiveUp(describe_invalid(error))
        except Exception as error:  # noqa: BLE001 - one bad job must not end the worker
            # Nothing went out yet: from the provider's call on, handlers turn a crash into silence.
            names = {"queue": self.name, "subject": subject.id, "attempt": subject.attempt}
            log.error(event("job.crashed", **names, **crash(error)))
            return RetryLater(type(error).__name__, backoff(subject.attempt))

    def _record(
        self, claimed: Claimed, subject: Subject, outcome: Outcome, deadline: float
    ) -> tuple[str | None, str]:
        """The row's status and the outcome's word; tells until the message is not ours any more."""
        outages = 0
        names = {"queue": self.name, "subject": subject.id, "attempt": subject.attempt}
        while True:
            try:
                return self.queue.finish(self.name, claimed.msg_id, subject, outcome), _WORDS[type(outcome)]
            except JobSuperseded:
                log.warning(event("job.superseded", **names))
                return None, "superseded"
            except RecordRefused as error:
                # What happened outside cannot be undone: better a poor record than none.
                log.error(event("record.refused", reason=error.reason, **names))
                poorer = bare(outcome)
                pause = LONGEST_OUTAGE_PAUSE if poorer == outcome else 0
                outcome = poorer
            except QueueUnavailable as error:
                outages += 1
                self.meter.lost("database")
                pause = min(backoff(outages), LONGEST_OUTAGE_PAUSE)
                log.warning(event("record.failed", reason=error.reason, **names))
            if time.monotonic() + pause > deadline:
                return None, "unrecorded"
            time.sleep(pause)

    def _measure(self, claimed: Claimed, outcome: Outcome | None, word: str, started: float) -> None:
        channel = claimed.payload.get("channel", self.name)
        provider = None if outcome is None else getattr(outcome, "result", {}).get("provider")
        self.meter.job(
            Measured(
                queue=self.name,
                channel=channel if channel in _CHANNELS else self.name,
                provider=provider if provider in _PROVIDERS else "none",
                outcome=word,
                seconds=time.monotonic() - started,
            )
        )

    def _note_answer(self) -> None:
        self.answered_at = time.monotonic()
        if self._outages:
            self._outages = 0
            self.meter.joined("database")
            log.info(event("queue.back", queue=self.name))

    def _note_outage(self, reason: str) -> None:
        self._outages += 1
        self.meter.lost("database")
        log.warning(event("queue.unavailable", queue=self.name, reason=reason, outages=self._outages))
        self.stopping.wait(min(backoff(self._outages), LONGEST_OUTAGE_PAUSE))


def subject_of(payload: dict[str, Any]) -> Subject | None:
    """The row and attempt a payload names, readable even when the rest of it is not."""
    try:
        return Subject(UUID(str(payload["subject_id"])), int(payload["attempt"]))
    except (KeyError, TypeError, ValueError):
        return None
