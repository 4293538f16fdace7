"""What the sandbox was told to do wrong: POST, GET and DELETE /sandbox/faults.

A fault is `{"provider": "sendgrid", "kind": "status-429", "count": 3, "retry_after": 2}`:

- `provider`: sendgrid, smtp, twilio, expo, or `*` for all of them
- `kind`, of a call: `status-NNN` (refused with that status, nothing taken), `accepted-NNN` (taken, then
  answered with that status), `timeout` (nothing taken, no answer for `seconds`), `silent` (taken, then hung
  up on); for SMTP a status is a reply code. `accepted-NNN` is HTTP's alone
- `kind`, of webhooks: `duplicate-webhooks` (each sent twice), `out-of-order` (sent in reverse),
  `lost-webhooks`
- `count`: for how many calls, without end when left out; `probability`: of 0 to 1, for each call
"""

import asyncio
import random
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PROVIDERS = ("sendgrid", "smtp", "twilio", "expo")
WEBHOOK_KINDS = ("duplicate-webhooks", "out-of-order", "lost-webhooks")
_CALL_KINDS = re.compile(r"(?:status|accepted)-[45]\d\d|timeout|silent")
_FIELDS = {"provider", "kind", "count", "probability", "retry_after", "seconds"}


@dataclass
class Fault:
    """One thing to do wrong; `count` counts down."""

    provider: str
    kind: str
    count: int | None = None
    probability: float = 1.0
    retry_after: int | None = None
    seconds: float = 30.0

    @property
    def status(self) -> int:
        """The NNN of its kind; 0 when it has none."""
        number = self.kind.rpartition("-")[2]
        return int(number) if number.isdigit() else 0


class Faults:
    """All that was asked for, oldest first; safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Do this wrong, too."""
        with self._lock:
            self._wanted.append(fault)

    def clear(self) -> None:
        """Do everything right again."""
        with self._lock:
            self._wanted.clear()

    def all(self) -> list[dict[str, Any]]:
        """What is still to be done wrong."""
        with self._lock:
            return [asdict(fault) for fault in self._wanted]

    def of_call(self, provider: str) -> Fault | None:
        """What this call is to suffer, if anything; it is counted."""
        return self._take(provider, lambda kind: kind not in WEBHOOK_KINDS)

    def of_webhook(self, provider: str, kind: str) -> bool:
        """Whether this webhook is to suffer that; it is counted."""
        return self._take(provider, lambda each: each == kind) is not None

    def _take(self, provider: str, suits: Callable[[str], bool]) -> Fault | None:
        with self._lock:
            for fault in self._wanted:
                if fault.provider not in (provider, "*") or not suits(fault.kind):
                    continue
                if random.random() >= fault.probability:
                    continue
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._wanted.remove(fault)
                return fault
        return None


async def control(request: Request, faults: Faults) -> Response:
    """GET, POST and DELETE /sandbox/faults; the answer is what is still to be done wrong."""
    if request.method == "DELETE":
        faults.clear()
    elif request.method == "POST":
        try:
            faults.add(_read(await request.json()))
        except ValueError as error:
            return JSONResponse({"message": str(error)}, status_code=422)
    return JSONResponse(faults.all())


def _read(body: Any) -> Fault:
    if not isinstance(body, dict) or body.keys() - _FIELDS:
        raise ValueError(f"A fault is an object of {', '.join(sorted(_FIELDS))}")
    fault = Fault(**{"provider": "*", "kind": "", **body})
    if fault.provider not in (*PROVIDERS, "*"):
        raise ValueError(f"provider is one of {', '.join(PROVIDERS)} or *")
    if not _CALL_KINDS.fullmatch(fault.kind) and fault.kind not in WEBHOOK_KINDS:
        raise ValueError(f"kind is status-NNN, accepted-NNN, timeout, silent, {', '.join(WEBHOOK_KINDS)}")
    if fault.count is not None and (not isinstance(fault.count, int) or fault.count < 1):
        raise ValueError("count is a number from 1")
    if not 0 <= fault.probability <= 1:
        raise ValueError("probability is a number from 0 to 1")
    return fault


async def suffer(
    fault: Fault | None,
    request: Request,
    accept: Callable[[], Awaitable[Response]],
    refuse: Callable[[int], Response],
) -> Response:
    """Answer a call as its fault wants: `accept` does what was asked, `refuse` gives the service's error."""
    if fault is None:
        return await accept()
    if fault.kind == "timeout":
        await asyncio.sleep(fault.seconds)
        return await hang_up(request)
    if not fault.kind.startswith("status-"):
        answer = await accept()
        if answer.status_code >= 300:
            return answer
        if fault.kind == "silent":
            return await hang_up(request)
    refusal = refuse(fault.status)
    if fault.retry_after is not None:
        refusal.headers["Retry-After"] = str(fault.retry_after)
    return refusal


async def hang_up(request: Request) -> Response:
    """End the connection without an answer; what this returns reaches nobody.

    ASGI has no word for it, so uvicorn's own object is asked for its transport.
    """
    transport = getattr(getattr(request.receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        await asyncio.sleep(0.01)
    return Response(status_code=500)
