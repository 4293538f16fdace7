"""Push notifications through Expo's own library."""

from __future__ import annotations

from collections.abc import Mapping
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
from urllib3.exceptions import MaxRetryError, NewConnectionError

from workers.core.errors import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
)
from workers.core.messages import Push
from workers.core.retry import retry_after_seconds

_TIMEOUT_SECONDS = 15


class ExpoPusher:
    """Hands notifications to Expo; a ticket says that Expo has it, not that the phone does."""

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

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Hand one notification over; the id of its ticket."""
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
        except ValueError as error:
            raise ProviderRefused("expo_invalid_token") from error
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
    if status == 429 or status >= 500:
        return ProviderUnavailable(reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status < 400:
        return ProviderSilent(f"{reason}_unreadable")
    return ProviderRefused(reason)


def _unanswered(error: requests.RequestException) -> ProviderError:
    reason = f"expo_{type(error).__name__}"
    if isinstance(error, requests.TooManyRedirects):
        return ProviderRefused(reason)
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError) or _never_connected(error):
        return ProviderUnavailable(reason)
    return ProviderSilent(reason)


def _never_connected(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
