"""Wake, claim, handle, record: one thread per queue, so that a slow document does not hold up the mail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from workers.core.errors import JobSuperseded, QueueUnavailable
from workers.core.jobs import QUEUES, Job, QueueName, describe_invalid, parse_job
from workers.core.logs import crash, event
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater
from workers.core.retry import backoff
from workers.handlers import handle
from workers.ports import Claimed, Doorbell, Ports, Queue, Subject

log = logging.getLogger("workers.loop")

# How long a message stays invisible to other workers: longer than its slowest handling.
VISIBILITY_SECONDS: dict[QueueName, int] = {"render": 180, "send": 120, "push": 90, "erase": 60}
HOUSEKEEPING_SECONDS = 3600.0
LONGEST_OUTAGE_PAUSE = 30

Handler = Callable[[Job, Ports], Outcome]


@dataclass
class QueueWorker:
    """The loop of one queue; one job at a time, since a claim says that its call is about to go out."""

    name: QueueName
    queue: Queue
    ports: Ports
    poll_seconds: float
    stopping: threading.Event
    handler: Handler = handle

    def __post_init__(self) -> None:
        self.bell = threading.Event()

    def run(self) -> None:
        """Work until told to stop; what is held is finished first."""
        outages = 0
        while not self.stopping.is_set():
            try:
                self.drain()
                outages = 0
                self._sleep(self.poll_seconds)
            except QueueUnavailable as error:
                outages += 1
                log.warning(event("queue.unavailable", queue=self.name, reason=error.reason, outages=outages))
                self.stopping.wait(min(backoff(outages), LONGEST_OUTAGE_PAUSE))

    def drain(self) -> None:
        """Work until the queue is empty."""
        while not self.stopping.is_set():
            claimed = self.queue.claim(self.name, VISIBILITY_SECONDS[self.name])
            if claimed is None:
                return
            self.work(claimed)

    def work(self, claimed: Claimed) -> None:
        """Handle one claimed message and record what became of it."""
        started = time.monotonic()
        subject = subject_of(claimed.payload)
        if subject is None:
            log.error(event("job.unreadable", queue=self.name, msg_id=claimed.msg_id))
            return
        outcome = self._handle(claimed, subject)
        status = self._record(claimed, subject, outcome, deadline=started + VISIBILITY_SECONDS[self.name])
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

    def _record(self, claimed: Claimed, subject: Subject, outcome: Outcome, deadline: float) -> str | None:
        outages = 0
        while True:
            try:
                return self.queue.finish(self.name, claimed.msg_id, subject, outcome)
            except JobSuperseded:
                log.warning(
                    event("job.superseded", queue=self.name, subject=subject.id, attempt=subject.attempt)
                )
                return None
            except QueueUnavailable as error:
                outages += 1
                pause = min(backoff(outages), LONGEST_OUTAGE_PAUSE)
                log.warning(event("record.failed", queue=self.name, subject=subject.id, reason=error.reason))
                if time.monotonic() + pause > deadline:
                    return None
                time.sleep(pause)

    def _sleep(self, seconds: float) -> None:
        self.bell.wait(seconds)
        self.bell.clear()


class Loop:
    """All queues of one process, its doorbell and the hourly housekeeping."""

    def __init__(
        self,
        queue: Queue,
        ports: Ports,
        doorbell: Doorbell,
        poll_seconds: float,
        queues: Sequence[QueueName] = QUEUES,
    ) -> None:
        self._queue = queue
        self._doorbell = doorbell
        self._stopping = threading.Event()
        self._workers = {
            name: QueueWorker(name, queue, ports, poll_seconds, self._stopping) for name in queues
        }

    def run(self) -> None:
        """Work until `stop`; returns when the last held job is recorded."""
        threads = [
            threading.Thread(target=worker.run, name=f"queue-{name}")
            for name, worker in self._workers.items()
        ]
        log.info(event("worker.started", queues=",".join(self._workers)))
        self._doorbell.start(self.ring)
        for thread in threads:
            thread.start()
        self._housekeep_hourly()
        self._doorbell.stop()
        for thread in threads:
            thread.join()
        log.info(event("worker.stopped"))

    def stop(self) -> None:
        """Ask the loop to end; safe in a signal handler and from any thread."""
        self._stopping.set()
        self.ring(None)

    def ring(self, queue: str | None) -> None:
        """There may be work on `queue`, or on any for None; an unknown name rings all."""
        named = [worker for name, worker in self._workers.items() if name == queue]
        for worker in named or self._workers.values():
            worker.bell.set()

    def _housekeep_hourly(self) -> None:
        while not self._stopping.is_set():
            try:
                log.info(event("housekeeping.done", **self._queue.housekeep()))
                pause = HOUSEKEEPING_SECONDS
            except QueueUnavailable as error:
                log.warning(event("housekeeping.failed", reason=error.reason))
                pause = 60.0
            self._stopping.wait(pause)


def subject_of(payload: dict[str, Any]) -> Subject | None:
    """The row and attempt a payload names, readable even when the rest of it is not."""
    try:
        return Subject(UUID(str(payload["subject_id"])), int(payload["attempt"]))
    except (KeyError, TypeError, ValueError):
        return None
