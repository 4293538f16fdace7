"""Webhooks to the edge, as the services send them: later, signed, in batches, sometimes twice.

What was sent is at GET /sandbox/webhooks; POST /sandbox/settings `{"webhook_delay_seconds": 0.1}` sets the
pace. What is still to be sent is forgotten when the gateway ends.
"""

import asyncio
import base64
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator

from devstack.config import HOST
from devstack.sandbox.faults import Faults

MOST_REMEMBERED = 2000
DELAY_SECONDS = 0.2
# SendGrid repeats a batch that was not answered with 2xx; Twilio repeats only what was not answered at all.
SENDGRID_TRIES = 6
TWILIO_TRIES = 2
_LOCAL = (HOST, "localhost", "::1")

Event = dict[str, Any]
Form = Mapping[str, str]


@dataclass(frozen=True)
class _Call:
    provider: str
    url: str
    tries: int
    # Signed anew for each try: the time is part of it.
    build: Callable[[], tuple[bytes, dict[str, str]]]


class Webhooks:
    """The sender; lives in the gateway's loop."""

    def __init__(self, faults: Faults, key: ec.EllipticCurvePrivateKey) -> None:
        self.delay_seconds = DELAY_SECONDS
        self.sent: deque[dict[str, Any]] = deque(maxlen=MOST_REMEMBERED)
        self._faults, self._key = faults, key
        self._client = httpx.AsyncClient(timeout=15, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._batches: defaultdict[str, list[Event]] = defaultdict(list)

    @property
    def pending(self) -> int:
        """Of how many messages more is to be told."""
        return len(self._tasks)

    async def close(self) -> None:
        """Forget what is still to be sent."""
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError):
                await task
        await self._client.aclose()

    def tell_sendgrid(self, url: str, events: Sequence[Event]) -> None:
        """One event after the other, each with whatever else is to be told to that address by then."""
        self._later(self._events(url, events))

    def tell_twilio(self, url: str, token: str, forms: Sequence[Form]) -> None:
        """One call per form, in order."""
        self._later(self._forms(url, token, forms))

    async def tell_twilio_now(self, url: str, token: str, form: Form) -> list[int]:
        """Call at once; the statuses of the answers, several when it was to be told twice."""
        calls = self._disturbed("twilio", [_form_call(url, token, form)])
        return [await self._send(call) for call in calls]

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _events(self, url: str, events: Sequence[Event]) -> None:
        ordered = list(events)
        if self._faults.of_webhook("sendgrid", "out-of-order"):
            ordered.reverse()
        for event in ordered:
            is_first = not self._batches[url]
            self._batches[url].append(event)
            await asyncio.sleep(self.delay_seconds)
            if is_first:
                batch = self._batches.pop(url)
                for call in self._disturbed("sendgrid", [self._batch_call(url, batch)]):
                    await self._send(call)

    def _batch_call(self, url: str, batch: list[Event]) -> _Call:
        # One event per line, as SendGrid writes it: whoever verifies must take the bytes as they came.
        body = ("[" + ",\r\n".join(json.dumps(event) for event in batch) + "]\r\n").encode()

        def build() -> tuple[bytes, dict[str, str]]:
            at = str(int(time.time()))
            signature = self._key.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))
            return body, {
                "Content-Type": "application/json",
                "User-Agent": "SendGrid Event API",
                "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
                "X-Twilio-Email-Event-Webhook-Timestamp": at,
            }

        return _Call("sendgrid", url, SENDGRID_TRIES, build)

    async def _forms(self, url: str, token: str, forms: Sequence[Form]) -> None:
        ordered = list(forms)
        if self._faults.of_webhook("twilio", "out-of-order"):
            ordered.reverse()
        for form in ordered:
            await asyncio.sleep(self.delay_seconds)
            for call in self._disturbed("twilio", [_form_call(url, token, form)]):
                await self._send(call)

    def _disturbed(self, provider: str, calls: list[_Call]) -> list[_Call]:
        if self._faults.of_webhook(provider, "lost-webhooks"):
            return []
        return calls * 2 if self._faults.of_webhook(provider, "duplicate-webhooks") else calls

    async def _send(self, call: _Call) -> int:
        status = 0
        for number in range(1, call.tries + 1):
            body, headers = call.build()
            try:
                answer = await self._client.post(call.url, content=body, headers=headers)
                status = answer.status_code
            except httpx.HTTPError:
                status = 0
            self.sent.append(
                {
                    "provider": call.provider,
                    "url": call.url,
                    "status": status,
                    "try": number,
                    "at": time.time(),
                }
            )
            is_repeated = status == 0 if call.provider == "twilio" else not 200 <= status < 300
            # There is no such endpoint, or no edge: nothing will be there a moment later.
            if not is_repeated or status in (404, 405):
                break
            await asyncio.sleep(self.delay_seconds * 2**number)
        return status


def _form_call(url: str, token: str, form: Form) -> _Call:
    def build() -> tuple[bytes, dict[str, str]]:
        return urlencode(form).encode(), {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": RequestValidator(token).compute_signature(url, dict(form)),
        }

    return _Call("twilio", url, TWILIO_TRIES, build)


def is_local(url: str) -> bool:
    """Whether a webhook may go there: nothing leaves this machine."""
    return urlsplit(url).hostname in _LOCAL and urlsplit(url).scheme in ("http", "https")
