"""Push notifications through Expo's own library.

Its limits are from "Send notifications with the Expo Push Service": six connections at a time, 600
notifications a second per project, at most 100 a request (this sends one), receipts for at most 1000 tickets
a request (a job asks for 100).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from exponent_server_sdk import PushClient, PushMessage, PushServerError, PushTicket
from requests.adapters import HTTPAdapter

from workers.adapters.answers import answered, unanswered
from workers.core.errors import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
)
from workers.core.messages import Push
from workers.ports import PushReceipt

_TIMEOUT_SECONDS = 15
MOST_CONNECTIONS = 6
MOST_PER_SECOND = 600


class ExpoPusher:
    """Hands notifications to Expo; a ticket says that Expo has it, not that the phone does.

    Expo takes no idempotency key, so only 429 and 503 are tried again: they say that nothing was taken.
    A 500, 502 or 504 may come after the push went out, and counts as silence. Neither redirects nor
    proxies named in the environment are followed. The limits are kept per process.
    """

    name = "expo"

    def __init__(self, url: str, pace: Pace | None = None) -> None:
        parts = urlsplit(url)
        # The library joins its path onto the host and would drop a path given with it.
        self._client = PushClient(
            host=f"{parts.scheme}://{parts.netloc}",
            api_url=parts.path.rstrip("/") + PushClient.DEFAULT_BASE_API_URL,
            timeout=_TIMEOUT_SECONDS,
        )
        self._pace = pace or Pace(MOST_PER_SECOND)
        self._client.session.max_redirects = 0
        self._client.session.trust_env = False
        for scheme in ("https://", "http://"):
            # One more caller than there are connections waits for one.
            self._client.session.mount(
                scheme, HTTPAdapter(pool_connections=1, pool_maxsize=MOST_CONNECTIONS, pool_block=True)
            )

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()

    def push(self, token: str, push: Push, data: Mapping[str, str]) -> str | None:
        """Hand one notification over; the id of its ticket."""
        if not PushClient.is_exponent_push_token(token):
            raise ProviderRefused("expo_invalid_token")
        self._pace.wait(1)
        message = PushMessage(to=token, title=push.title, body=push.body, data=dict(data), sound="default")
        try:
            return _ticket_id(self._client.publish(message))
        except (PushServerError, requests.RequestException) as error:
            raise _failed(error) from error

    def receipts(self, ids: Sequence[str]) -> Mapping[str, PushReceipt]:
        """What became of tickets; asking changes nothing, so an unanswered call is simply unavailable."""
        tickets = [PushTicket(None, "ok", "", None, one) for one in dict.fromkeys(ids)]
        try:
            told = self._client.check_receipts_multiple(tickets)
        except (PushServerError, requests.RequestException) as error:
            raise _repeatable(_failed(error)) from error
        return {receipt.id: PushReceipt(_receipt_error(receipt)) for receipt in told}


class Pace:
    """Lets so many things a second pass, evenly; safe in any thread."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, count: int) -> None:
        """Wait until `count` more may pass."""
        with self._lock:
            now = self._now()
            pause = max(self._free_at - now, 0.0)
            self._free_at = now + pause + count / self._per_second
        if pause:
            self._sleep(pause)


def _ticket_id(ticket: Any) -> str | None:
    if ticket.is_success():
        return str(ticket.id) or None
    error = (ticket.details or {}).get("error")
    if error == "DeviceNotRegistered":
        raise RecipientGone(error)
    if error == "MessageRateExceeded":
        raise ProviderUnavailable(error)
    raise ProviderRefused(_code(error, "expo_ticket_error"))


def _receipt_error(receipt: Any) -> str | None:
    if receipt.is_success():
        return None
    return _code((receipt.details or {}).get("error"), "expo_receipt_error")


def _code(error: object, otherwise: str) -> str:
    """Expo's own word for an error; never a text that may quote a token."""
    return error if isinstance(error, str) and error.isalnum() and len(error) < 60 else otherwise


def _failed(error: PushServerError | requests.RequestException) -> ProviderError:
    if isinstance(error, PushServerError | requests.HTTPError):
        assert error.response is not None
        return answered("expo", error.response)
    return unanswered("expo", error)


def _repeatable(error: ProviderError) -> ProviderError:
    return ProviderUnavailable(error.reason) if isinstance(error, ProviderSilent) else error
