"""Which outcome an exception is: decided by its type alone."""

from __future__ import annotations

from workers.core.errors import ProviderRefused, ProviderSilent, ProviderUnavailable, WorkerError
from workers.core.outcomes import GiveUp, Outcome, Result, RetryLater, Unknown
from workers.core.retry import backoff


def outcome_of(error: WorkerError, attempt: int, known: Result | None = None) -> Outcome:
    """The outcome of an attempt that raised `error`; `known` is what can be told of it anyway."""
    match error:
        case ProviderSilent():
            return Unknown(error.reason, known or {})
        case ProviderRefused():
            return GiveUp(error.reason, known or {})
        case ProviderUnavailable():
            return RetryLater(error.reason, backoff(attempt, error.retry_after))
        case _:
            return RetryLater(error.reason, backoff(attempt))
