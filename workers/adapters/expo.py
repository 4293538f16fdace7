"""Push notifications through Expo's own library."""

from __future__ import annotations

from collections.abc import Mapping
from ssl import SSLCertVerificationError
from urllib.parse import urlsplit

import requests
from exponent_server_sdk import (
    DeviceNotRegisteredError,
    MessageRateExceededError,
    PushClient,
    PushMessage,
    PushServerError,
    PushTicketError,
)
from urllib3.exceptions import MaxRetryError, NewConnectionError, SSLError

from workers.core.errors import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
)
from workers.core.messages import Push
from workers.core.retry import NOTHING_HAPPENED, retry_after_seconds

_TIMEOUT_SECONDS = 15


class ExpoPusher:
    """Hands notifications to Expo; a ticket says that Expo has it, not that the phone does.

    Expo takes no idempotency key, so only 429 and 503 are tried again: they say that nothing was taken.
    A 500, 502 or 504 may come after the push went out, and counts as silence. Neither redirects nor
    proxies named in the environment are followed.
    """

    name = "expo"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        # The library joins its path onto the host and would drop a path given with it.
        self._client = PushClient(
            host=f"{parts.scheme}://{parts.netloc}",
            api_url=parts.path.rstrip("/") + PushClient.DEFAULT_BASE_API_URL,
            timeout=_TIMEOUT_SECONDS,
        )
        self._client.session.max_redirects = 0
        self._client.session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Hand one notification over; the id of its ticket."""
        if not PushClient.is_exponent_push_token(token):
            raise ProviderRefused("expo_invalid_token")
        message = PushMessage(to=token, title=push.title, body=push.body, data=dict(data), sound="default")
        try:
            ticket = self._client.publish(message)
            ticket.validate_response()
        except PushTicketError as error:
            raise _refused_ticket(error) from error
        except (PushServerError, requests.HTTPError) as error:
            raise _answered(error.response) from error
        except requests.RequestException as error:
            raise _unanswered(error) from error
        return ticket.id or None


def _refused_ticket(error: PushTicketError) -> ProviderError:
    if isinstance(error, DeviceNotRegisteredError):
        return RecipientGone("DeviceNotRegistered")
    if isinstance(error, MessageRateExceededError):
        return ProviderUnavailable("MessageRateExceeded")
    details = error.push_response.details or {}
    return ProviderRefused(str(details.get("error", "expo_ticket_error")))


def _answered(response: requests.Response | None) -> ProviderError:
    assert response is not None
    status = response.status_code
    reason = f"expo_http_{status}"
    if status in NOTHING_HAPPENED:
        return ProviderUnavailable(reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status >= 500:
        return ProviderSilent(reason)
    if status < 400:
        return ProviderSilent(f"{reason}_unreadable")
    return ProviderRefused(reason)


def _unanswered(error: requests.RequestException) -> ProviderError:
    reason = f"expo_{type(error).__name__}"
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
