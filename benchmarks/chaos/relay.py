"""Between the workers and the sandboxed providers: passes calls on, or misbehaves as providers do.

It is also the witness: it knows which call was accepted, and whether its caller was told.
"""

import http.client
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

# How often each happens, in a thousand calls; the rest is passed on.
BAD_DAY: Mapping[str, int] = {
    "429": 40,  # not taken, ask again
    "503": 10,
    "400": 4,  # refused for good
    "500": 10,  # not taken, but nobody can know
    "500 after": 10,  # taken, and then an error
    "hang up": 10,  # read, and then nothing
    "hang up after": 10,  # taken, and then nothing
    "slow": 20,  # taken, answered late
    "silent": 2,  # taken, never answered: the caller waits until its patience ends
}
GOOD_DAY: Mapping[str, int] = {}
SLOW_SECONDS = 1.5
SILENT_SECONDS = 30.0
_COMMUNICATION = re.compile(r"communication_id[\"'=: ]{1,5}([0-9a-f-]{36})")
_NOTIFICATION = re.compile(r"notification_id[\"'=: ]{1,5}([0-9a-f-]{36})")


@dataclass
class Call:
    """One call of a provider, at a time of day; `is_accepted` once the sandbox has taken it."""

    at: float
    fault: str
    is_accepted: bool = False
    is_answered: bool = False


@dataclass
class Relay:
    """Listens on a port of its own; `calls` by the id of the row they are about."""

    upstream: str
    seed: int
    faults: Mapping[str, int]
    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        relay = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                relay.serve(self)

        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def accepted(self) -> Counter[str]:
        """How often each row's message was taken."""
        with self._lock:
            return Counter(
                {name: sum(call.is_accepted for call in made) for name, made in self.calls.items()}
            )

    def happened(self) -> Counter[str]:
        """How often each fault was played."""
        with self._lock:
            return Counter(call.fault for made in self.calls.values() for call in made)

    def serve(self, request: "_Handler") -> None:
        """Play one call."""
        length = int(request.headers.get("Content-Length", 0))
        body = request.rfile.read(length)
        if len(body) < length:
            return  # its caller died in the midst of it
        reference = reference_of(body)
        if reference is None:
            request.answer(*self._pass_on(request, body))
            return
        call = self._note(reference)
        word = call.fault.removesuffix(" after")
        if call.fault in ("pass", "slow", "silent") or call.fault.endswith(" after"):
            status, headers, answer = self._pass_on(request, body)
            call.is_accepted = status < 300
        else:
            status, headers, answer = int(word) if word.isdigit() else 0, {}, b"{}"
        if word == "429":
            headers = {"Retry-After": "1"}
        if call.fault == "500 after":
            status, answer = 500, b"{}"
        if word == "slow":
            self._ended.wait(SLOW_SECONDS)
        if word == "silent":
            self._ended.wait(SILENT_SECONDS)
        if word in ("hang up", "silent"):
            return
        call.is_answered = request.answer(status, headers, answer)

    def _note(self, reference: str) -> Call:
        with self._lock:
            made = self.calls[reference]
            call = Call(time.time(), choose(self.faults, f"{self.seed} {reference} {len(made)}"))
            made.append(call)
        return call

    def _pass_on(self, request: "_Handler", body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            dropped = ("host", "connection", "accept-encoding")
            headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
            connection.request("POST", request.path, body, headers)
            answer = connection.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower().startswith(("x-", "content-type"))
            }
            return answer.status, kept, answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the caller was there to hear it."""
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return False
        return True

    def log_message(self, *args: Any) -> None:
        pass


def choose(faults: Mapping[str, int], key: str) -> str:
    """The same fault for the same key, whatever happens in between."""
    number = random.Random(key).randrange(1000)
    for name, weight in faults.items():
        number -= weight
        if number < 0:
            return name
    return "pass"


def reference_of(body: bytes) -> str | None:
    """The id of the row that a provider's request is about; None for one that sends nothing."""
    text = unquote(body.decode(errors="replace"))
    found = _COMMUNICATION.search(text) or _NOTIFICATION.search(text)
    return found[1] if found else None
