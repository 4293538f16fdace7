"""The sandbox on its own, and somebody in the edge's place who hears its webhooks."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import httpx
import pytest

from devstack import keys, sandbox
from devstack.certificates import Certificates
from devstack.config import GatewayConfig, free_port

ACCOUNT = UUID("aaaaaaaa-0000-4000-8000-000000000001")
PATIENCE_SECONDS = 10.0


@dataclass
class Heard:
    """One webhook as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Edge:
    """What was heard, and the statuses to answer with next (200 when there are none)."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def expect(self, count: int) -> list[Heard]:
        """The webhooks, as soon as there are so many."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.heard) == count
        return self.heard


@pytest.fixture(scope="module")
def listening() -> Iterator[Edge]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            edge.heard.append(Heard(self.path, dict(self.headers), body))
            self.send_response(edge.statuses.pop(0) if edge.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    edge = Edge(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield edge
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def config(listening: Edge, tmp_path_factory: pytest.TempPathFactory) -> GatewayConfig:
    return GatewayConfig(
        db_url="",
        api_url=listening.url,
        keys=keys.generate(),
        data_dir=tmp_path_factory.mktemp("sandbox"),
        edge_url=listening.url,
        smtp_tls_port=free_port(),
        smtp_starttls_port=free_port(),
    )


@pytest.fixture(scope="module")
def url(serve: Callable[[Any], str]) -> str:
    return serve(sandbox.create_app)


@pytest.fixture
def edge(listening: Edge) -> Edge:
    listening.heard.clear()
    listening.statuses.clear()
    return listening


@pytest.fixture
def client(url: str, edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        client.post("/sandbox/settings", json={"webhook_delay_seconds": 0.02})
        yield client
        client.delete("/sandbox/faults")
        edge.statuses.clear()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.get("/sandbox/settings").json()["webhooks_pending"] and time.monotonic() < deadline:
            time.sleep(0.01)


@pytest.fixture
def ca_file(url: str, config: GatewayConfig) -> str:
    return str(Certificates(config.data_dir / "tls").authority)


@pytest.fixture
def inbox(client: httpx.Client) -> Callable[[], list[dict[str, Any]]]:
    """What is in the inbox, newest first."""
    return lambda: list(client.get("/inbox.json").json())
