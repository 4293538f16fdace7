"""How much clients may do: the defaults of a self-hosted server.

Tests and experiments set the constants before the application is made.
"""

import time
from collections import deque
from dataclasses import dataclass, field

EVENTS_PER_SECOND = 100
JOINS_PER_SECOND = 100
PRESENCE_EVENTS_PER_SECOND = 1000
CHANNELS_PER_SOCKET = 100
PRESENCE_CALLS, PRESENCE_CALLS_SECONDS = 5, 30.0
PAYLOAD_BYTES = 3_000_500
# Rates are averages, as the real server's are: a short burst passes.
AVERAGE_SECONDS = 10


class Rate:
    """At most so many events within so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque()

    def has_room(self, count: int = 1) -> bool:
        """Whether so many more would be within the limit."""
        start = time.monotonic() - self._seconds
        while self._times and self._times[0] <= start:
            self._times.popleft()
        return len(self._times) + count <= self._most

    def take(self, count: int = 1) -> bool:
        """Count them in, if there is room."""
        if not self.has_room(count):
            return False
        self._times.extend([time.monotonic()] * count)
        return True


def _per_second(most: int) -> Rate:
    return Rate(most * AVERAGE_SECONDS, AVERAGE_SECONDS)


def presence_calls() -> Rate:
    """What one channel may call."""
    return Rate(PRESENCE_CALLS, PRESENCE_CALLS_SECONDS)


@dataclass(frozen=True)
class Limits:
    """The counters that all sockets share."""

    joins: Rate = field(default_factory=lambda: _per_second(JOINS_PER_SECOND))
    events: Rate = field(default_factory=lambda: _per_second(EVENTS_PER_SECOND))
    presence: Rate = field(default_factory=lambda: _per_second(PRESENCE_EVENTS_PER_SECOND))
