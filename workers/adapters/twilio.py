"""SMS and WhatsApp through Twilio's own library (Messages resource, API version 2010-04-01)."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import requests
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from workers.adapters.answers import answered, unanswered
from workers.core.errors import HostRefused, ProviderError, ProviderRefused, ProviderUnavailable
from workers.ports import TextMessage

_TIMEOUT_SECONDS = 20
_OFFICIAL_URL = "https://api.twilio.com"
# "Too many requests" and "queue is full" (Twilio's error codes): nothing was taken, whatever the status.
_LATER = frozenset({20429, 21611})


class _DirectHttp(HttpClient):  # type: ignore[misc]
    """Talks to one host alone, and logs nothing: neither redirects nor proxies nor a .netrc are followed."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.session = requests.Session()
        self.session.trust_env = False

    def request(
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One call; raises a ProviderError for an answer whose status says all, and for none."""
        if not uri.startswith(f"{_OFFICIAL_URL}/"):
            raise HostRefused("twilio_host_not_registered")
        try:
            answer = self.session.request(
                method,
                self._url + uri.removeprefix(_OFFICIAL_URL),
                params=params,
                data=data,
                headers=headers,
                auth=auth,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise unanswered("twilio", error) from error
        if answer.status_code >= 500 or answer.status_code == requests.codes.too_many_requests:
            raise answered("twilio", answer)
        return Response(answer.status_code, answer.text, answer.headers)


class TwilioTexter:
    """Hands messages to one Twilio account; what becomes of them is told to `status_url`.

    Twilio takes no idempotency key, so only 429 and 503 are tried again: they say that nothing was taken.
    A 500, 502 or 504 may come after the message was accepted, and counts as silence.
    """

    name = "twilio"

    def __init__(self, account_sid: str, auth_token: str, url: str, status_url: str) -> None:
        self._status_url = status_url
        # Something must be in `environment`, else the library looks into the process's own.
        self._messages = Client(
            account_sid, auth_token, http_client=_DirectHttp(url), environment={"TWILIO_REGION": ""}
        ).api.v2010.account.messages

    def send(self, message: TextMessage, sender: str, reference: UUID) -> str | None:
        """Hand one message over; its SID. The reference comes back as `communication_id`."""
        try:
            sent = self._messages.create(
                to=_address(message.channel, message.to),
                status_callback=f"{self._status_url}?communication_id={reference}",
                **_from(message, sender),
                **_said(message),
            )
        except (TwilioRestException, TwilioServiceException) as error:
            raise _refused(error) from None
        return None if sent.sid is None else str(sent.sid)


def _address(channel: str, number: str) -> str:
    return f"whatsapp:{number}" if channel == "whatsapp" else number


def _from(message: TextMessage, sender: str) -> dict[str, str]:
    if sender.startswith("MG"):
        return {"messaging_service_sid": sender}
    return {"from_": _address(message.channel, sender)}


def _said(message: TextMessage) -> dict[str, str]:
    if message.content_sid is not None:
        variables = json.dumps(dict(message.variables), ensure_ascii=False)
        return {
            "content_sid": message.content_sid,
            **({"content_variables": variables} if message.variables else {}),
        }
    return {"body": message.body or ""}


def _refused(error: TwilioRestException | TwilioServiceException) -> ProviderError:
    # Its code alone: the words beside it quote the number.
    code = error.code if isinstance(error.code, int) else None
    has_code = code is not None and code != error.status
    reason = f"twilio_http_{error.status} {code}" if has_code else f"twilio_http_{error.status}"
    return ProviderUnavailable(reason) if code in _LATER else ProviderRefused(reason)
