"""A worker's health over HTTP, for whatever runs it: `/health/live`, `/health/ready` and `/metrics`.

Nothing here is about a garage or a person, and nothing can be changed through it; still it listens on
loopback unless told otherwise, since how much waits is nobody else's business.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from workers.core.errors import PortTaken
from workers.core.logs import crash, event
from workers.loop import LoopState

log = logging.getLogger("workers.health")

# A client that dawdles holds one thread for so long, in seconds.
_PATIENCE = 5.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthServer:
    """Answers on a thread of its own. Raises PortTaken when the address cannot be had."""

    def __init__(
        self, bind: str, port: int, state: Callable[[], LoopState], metrics: Callable[[], bytes]
    ) -> None:
        class Handler(_Handler):
            answers: ClassVar[dict[str, Callable[[], tuple[int, str, bytes]]]] = {
                "/health/live": lambda: _health(state().dead()),
                "/health/ready": lambda: _health(state().unready()),
                "/metrics": lambda: (200, _METRICS_TYPE, metrics()),
            }

        try:
            self._server = _Server((bind, port), Handler)
        except OSError as error:
            raise PortTaken(f"AUTEXOR_HEALTH_PORT: {bind}:{port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.2)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, not a traceback: mostly a client that did not wait for the answer."""
        error = sys.exception()
        log.warning(event("health.failed", **(crash(error) if error else {})))


class _Handler(BaseHTTPRequestHandler):
    """GET alone; says neither which program nor which version it is, and logs nothing."""

    answers: ClassVar[dict[str, Callable[[], tuple[int, str, bytes]]]] = {}
    timeout = _PATIENCE
    server_version = "autexor"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        answer = self.answers.get(self.path.partition("?")[0])
        status, media_type, body = answer() if answer else (404, "application/json", b"{}")
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a probe every few seconds would drown the log."""


def _health(problems: list[str]) -> tuple[int, str, bytes]:
    body = {"status": "unwell" if problems else "ok", "problems": problems}
    return (503 if problems else 200), "application/json", json.dumps(body).encode()
