"""Wake, claim, handle, record: the lanes of one process, its doorbell, its heartbeat and its housekeeping."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

from workers.core.errors import QueueUnavailable
from workers.core.jobs import QUEUES, QueueName
from workers.core.logs import event
from workers.lane import VISIBILITY_SECONDS, Bell, Lane
from workers.ports import Doorbell, Heartbeat, Meter, Ports, Queue, Silence

log = logging.getLogger("workers.loop")

ONE_EACH: dict[QueueName, int] = dict.fromkeys(QUEUES, 1)
HOUSEKEEPING_SECONDS = 3600.0
HOUSEKEEPING_PAUSE = 60.0
BEAT_SECONDS = 15.0
# How long a lane may stay without an answer beyond three polls, or beyond its visibility, and still be well.
READY_SLACK = 15.0
LIVE_SLACK = 60.0


@dataclass(frozen=True)
class LaneState:
    """One lane now: for how long it has been busy, and since when no claim was answered, in seconds."""

    queue: QueueName
    is_alive: bool
    busy_seconds: float | None
    silent_seconds: float


@dataclass(frozen=True)
class LoopState:
    """The loop now, as its health is judged by."""

    lanes: tuple[LaneState, ...]
    poll_seconds: float
    is_stopping: bool

    def dead(self) -> list[str]:
        """Why this process should be ended and started anew; empty when it is alive.

        While it stops, lanes end one after the other: that is no reason to kill those that still work.
        """
        return [
            f"{lane.queue}: {'stuck' if lane.is_alive else 'ended'}"
            for lane in self.lanes
            if not (lane.is_alive or self.is_stopping)
            or (lane.busy_seconds or 0) > VISIBILITY_SECONDS[lane.queue] + LIVE_SLACK
        ]

    def unready(self) -> list[str]:
        """Why it does not work at the moment; empty when it does."""
        limit = 3 * self.poll_seconds + READY_SLACK
        silent = [
            f"{lane.queue}: no claim answered"
            for lane in self.lanes
            if lane.busy_seconds is None and lane.silent_seconds > limit
        ]
        return ["stopping"] * self.is_stopping + self.dead() + silent


class Loop:
    """All lanes of one process, its doorbell, its heartbeat and the hourly housekeeping."""

    def __init__(
        self,
        queue: Queue,
        ports: Ports,
        doorbell: Doorbell,
        poll_seconds: float,
        lanes: Mapping[QueueName, int] = ONE_EACH,
        meter: Meter | None = None,
    ) -> None:
        self._queue = queue
        self._doorbell = doorbell
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._bells = {name: Bell() for name, count in lanes.items() if count}
        meter = meter or Silence()
        self._lanes = [
            Lane(name, queue, ports, poll_seconds, self._stopping, bell=bell, meter=meter)
            for name, bell in self._bells.items()
            for _ in range(lanes[name])
        ]
        self._threads = [
            threading.Thread(target=lane.run, name=f"lane-{lane.name}-{number}")
            for number, lane in enumerate(self._lanes)
        ]
        self._heartbeat = Heartbeat(uuid4(), socket.gethostname(), os.getpid(), _version(), dict(lanes))
        self._is_heard = False

    def run(self) -> None:
        """Work until `stop`; returns when the last held job is recorded."""
        log.info(event("worker.started", queues=",".join(self._bells), lanes=len(self._lanes)))
        self._doorbell.start(self.ring)
        for thread in self._threads:
            thread.start()
        self._keep_house()
        log.info(event("worker.stopping", busy=sum(lane.busy_since is not None for lane in self._lanes)))
        self._doorbell.stop()
        for thread in self._threads:
            thread.join()
        self._leave()
        log.info(event("worker.stopped"))

    def stop(self) -> None:
        """Ask the loop to end, from any thread; not from a signal handler, which may interrupt the wait."""
        self._stopping.set()
        for bell in self._bells.values():
            bell.end()

    def ring(self, queue: str | None) -> None:
        """There may be work on `queue`, or on any for None; an unknown name rings all."""
        named = [bell for name, bell in self._bells.items() if name == queue]
        for bell in named or self._bells.values():
            bell.ring()

    def state(self) -> LoopState:
        """How the lanes are."""
        now = time.monotonic()
        lanes = (
            LaneState(
                lane.name,
                thread.is_alive(),
                None if lane.busy_since is None else now - lane.busy_since,
                now - lane.answered_at,
            )
            for lane, thread in zip(self._lanes, self._threads, strict=True)
        )
        return LoopState(tuple(lanes), self._poll_seconds, self._stopping.is_set())

    def _keep_house(self) -> None:
        started = due = time.monotonic()
        while not self._stopping.is_set():
            self._tell(lambda: self._queue.beat(self._heartbeat, time.monotonic() - started))
            if self._is_heard and not self._stopping.is_set() and time.monotonic() >= due:
                due = time.monotonic() + self._housekeep()
            self._stopping.wait(BEAT_SECONDS)

    def _leave(self) -> None:
        # A database that did not hear the last beat is not waited for once more.
        if self._is_heard:
            self._tell(lambda: self._queue.leave(self._heartbeat))

    def _tell(self, heartbeat: Callable[[], None]) -> None:
        try:
            heartbeat()
            self._is_heard = True
        except QueueUnavailable as error:
            self._is_heard = False
            log.warning(event("heartbeat.failed", reason=error.reason))

    def _housekeep(self) -> float:
        """Clean up; how many seconds until the next time."""
        try:
            log.info(event("housekeeping.done", **self._queue.housekeep()))
            return HOUSEKEEPING_SECONDS
        except QueueUnavailable as error:
            log.warning(event("housekeeping.failed", reason=error.reason))
            return HOUSEKEEPING_PAUSE


def _version() -> str:
    try:
        return version("autexor")
    except PackageNotFoundError:
        return "unknown"
