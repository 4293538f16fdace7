"""What a handler can say about a job. The words are those of `private.finish_job`."""

from __future__ import annotations

import re
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

_IDS = ("provider", "provider_message_id", "ticket_id")
_ODD = re.compile(r"[^ -~]")


def bare(outcome: Outcome) -> Outcome:
    """The same outcome in plain ASCII, with nothing but the provider's ids: what any row can hold."""
    if isinstance(outcome, RetryLater):
        return RetryLater(_ascii(outcome.reason), outcome.delay)
    known = {name: _ascii(str(outcome.result[name])) for name in _IDS if outcome.result.get(name)}
    if isinstance(outcome, Done):
        return Done(known)
    return type(outcome)(_ascii(outcome.reason), known)


def _ascii(text: str) -> str:
    return _ODD.sub("?", text)[:200]
