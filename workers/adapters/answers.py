"""What an HTTP call through `requests` means when it was answered with an error, or not answered."""

from __future__ import annotations

from ssl import SSLCertVerificationError

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, SSLError

from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.retry import NOTHING_HAPPENED, retry_after_seconds


def answered(provider: str, response: requests.Response) -> ProviderError:
    """The error of an answer that is no success: an error beyond 500 may follow acceptance."""
    status = response.status_code
    reason = f"{provider}_http_{status}"
    if status in NOTHING_HAPPENED:
        return ProviderUnavailable(reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status >= 500:
        return ProviderSilent(reason)
    if status < 300:
        return ProviderSilent(f"{reason}_unreadable")
    return ProviderRefused(reason)


def unanswered(provider: str, error: requests.RequestException) -> ProviderError:
    """The error of a call without an answer: silence, unless it surely never began."""
    reason = f"{provider}_{type(error).__name__}"
    if isinstance(error, requests.TooManyRedirects):
        return ProviderRefused(reason)
    if isinstance(error, requests.ConnectTimeout) or _never_connected(error):
        return ProviderUnavailable(reason)
    return ProviderSilent(reason)


def _never_connected(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    # Other TLS errors may come after the request.
    is_stranger = isinstance(reason, SSLError) and isinstance(reason.args[0], SSLCertVerificationError)
    return is_stranger or isinstance(reason, NewConnectionError)
