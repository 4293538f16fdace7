"""The one tree of exceptions that workers raise and decide by (by type, never by text).

    WorkerError
    ├── HostRefused             an address outside the register, or plain http
    ├── PortTaken               the health endpoint cannot listen where it was told to
    ├── RenderFailed            the document could not be made this time
    ├── ProviderError
    │   ├── ProviderUnavailable never reached, or said 429 or 503: nothing happened
    │   ├── ProviderRefused     answered no: the same request will be refused again
    │   │   └── RecipientGone   answered that this device no longer exists
    │   └── ProviderSilent      the request went out and no answer came, or one that settles
    │                           nothing (500, 502, 504, unreadable): perhaps it happened
    └── QueueError
        ├── QueueUnavailable    the database is away or refused the call
        ├── RecordRefused       the database will not take this record, however often it is told
        └── JobSuperseded       another worker owns this job now

Storage is the exception: its calls can be repeated, so whatever is not a refusal is ProviderUnavailable.

`reason` is a short stable text that is stored with the delivery: never addresses,
contents or secrets.
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root; `reason` is what gets recorded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HostRefused(WorkerError):
    """An outgoing address that is not in the register, or not https."""


class PortTaken(WorkerError):
    """Another program listens there, or the address is none of this machine's."""


class RenderFailed(WorkerError):
    """The document could not be made; another attempt may succeed."""


class ProviderError(WorkerError):
    """Something outside did not do what was asked."""


class ProviderUnavailable(ProviderError):
    """Nothing happened and a later attempt may succeed; `retry_after` is the provider's, in seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ProviderRefused(ProviderError):
    """The provider understood the request and refused it."""


class RecipientGone(ProviderRefused):
    """The device is no longer registered with the push service."""


class ProviderSilent(ProviderError):
    """The request went out and no answer settles it: it may or may not have been carried out."""


class QueueError(WorkerError):
    """The queue could not be read or written."""


class QueueUnavailable(QueueError):
    """The database is away or refused the call; try again later."""


class RecordRefused(QueueError):
    """What was to be recorded breaks a rule of the database: the same record will be refused again."""


class JobSuperseded(QueueError):
    """A late finish: the message was claimed again since (SQLSTATE PT409, `job_superseded`)."""
