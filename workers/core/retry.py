"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_DELAY = 5
LONGEST_DELAY = 15 * 60
LONGEST_RETRY_AFTER = 60 * 60
NOTHING_HAPPENED = frozenset({429, 503})
"""A provider that took nothing in and wants to be asked later (RFC 6585, 4; RFC 9110, 15.6.4)."""


def backoff(
    attempt: int, retry_after: float | None = None, jitter: Callable[[], float] = random.random
) -> int:
    """Seconds to wait after attempt number `attempt` (from 1): doubling, spread over the upper half.

    A provider's `retry_after` is honoured when it is longer, up to an hour.
    """
    ceiling: int = min(FIRST_DELAY << min(max(attempt, 1) - 1, 16), LONGEST_DELAY)
    delay = ceiling * (0.5 + jitter() / 2)
    return max(1, round(max(delay, min(retry_after or 0, LONGEST_RETRY_AFTER))))


def retry_after_seconds(header: str | None) -> float | None:
    """The seconds form of a Retry-After header (RFC 9110, 10.2.3); the date form and nonsense give None."""
    text = (header or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
