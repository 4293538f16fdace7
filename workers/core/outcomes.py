"""What a handler can say about a job. The words are those of `private.finish_job`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """It happened; `result` is written to the row."""

    result: Result = field(default_factory=dict)


@dataclass(frozen=True)
class RetryLater:
    """It did not happen; try again in `delay` seconds."""

    reason: str
    delay: int


@dataclass(frozen=True)
class GiveUp:
    """It will not happen, however often it is tried; `result` holds what is known anyway."""

    reason: str
    result: Result = field(default_factory=dict)


@dataclass(frozen=True)
class Unknown:
    """Nobody answered: it is never tried again by itself, a webhook or a person settles it."""

    reason: str
    result: Result = field(default_factory=dict)


Outcome = Done | RetryLater | GiveUp | Unknown
