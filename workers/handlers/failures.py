"""Which outcome an exception is: decided by its type alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from workers.core.errors import ProviderRefused, ProviderSilent, ProviderUnavailable, WorkerError
from workers.core.logs import crash, event
from workers.core.outcomes import GiveUp, Outcome, Result, RetryLater, Unknown
from workers.core.retry import backoff

log = logging.getLogger("workers.handlers")


@contextmanager
def calling_provider() -> Iterator[None]:
    """Surround a call that must not be made twice.

    What nobody foresaw may be raised while reading the answer to an accepted mail: it is raised on as
    ProviderSilent, so that a crash never sends a second one. Raises any WorkerError as it is.
    """
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        log.error(event("provider.crashed", **crash(error)))
        raise ProviderSilent(type(error).__name__) from error


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
