"""The doorbell against a small server that speaks Realtime's protocol 1.0.0."""

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from workers.adapters import realtime
from workers.adapters.realtime import RealtimeDoorbell


class RealtimeServer:
    """Accepts joins; `ring` sends a change, `drop` cuts the line, `refuses` answers joins with an error."""

    def __init__(self) -> None:
        self.joins: queue.Queue[dict[str, Any]] = queue.Queue()
        self.sockets: list[ServerConnection] = []
        self.refuses = False
        self._server = serve(self._serve, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()

    def drop(self) -> None:
        self.sockets[-1].close(1012)

    def say(self, event: str, payload: dict[str, Any]) -> None:
        topic = "realtime:worker-doorbell"
        self.sockets[-1].send(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": None}))

    def ring(self, name: str) -> None:
        self.say(
            "postgres_changes",
            {
                "ids": [7],
                "data": {
                    "schema": "private",
                    "table": "wakeups",
                    "commit_timestamp": "2026-11-22T10:00:00.000Z",
                    "type": "INSERT",
                    "columns": [{"name": "queue", "type": "text"}],
                    "record": {"id": 1, "queue": name},
                    "errors": None,
                },
            },
        )

    def _serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        try:
            for text in socket:
                message = json.loads(text)
                if message["event"] == "phx_join":
                    self._join(socket, message)
        except (ConnectionClosed, OSError):
            return

    def _join(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        changes = message["payload"]["config"]["postgres_changes"]
        answer = (
            {"status": "error", "response": {"reason": "Unauthorized: no"}}
            if self.refuses
            else {
                "status": "ok",
                "response": {"postgres_changes": [{**change, "id": 7} for change in changes]},
            }
        )
        topic, ref = message["topic"], message["ref"]
        socket.send(json.dumps({"topic": topic, "event": "phx_reply", "payload": answer, "ref": ref}))
        self.joins.put(message["payload"])


@pytest.fixture
def server() -> Iterator[RealtimeServer]:
    server = RealtimeServer()
    yield server
    server.close()


@pytest.fixture
def rings(server: RealtimeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator["queue.Queue[str | None]"]:
    monkeypatch.setattr(realtime, "backoff", lambda failures: 0.05)
    heard: queue.Queue[str | None] = queue.Queue()
    doorbell = RealtimeDoorbell(server.url, "service-key")
    doorbell.start(heard.put)
    yield heard
    doorbell.stop()


Rings = "queue.Queue[str | None]"


def test_a_wakeup_rings_its_queue_and_joining_rings_all(server: RealtimeServer, rings: Rings) -> None:
    join = server.joins.get(timeout=5)
    assert join["config"]["postgres_changes"] == [
        {"event": "INSERT", "schema": "private", "table": "wakeups"}
    ]
    assert join["access_token"] == "service-key"
    assert rings.get(timeout=5) is None
    server.ring("render")
    assert rings.get(timeout=5) == "render"


def test_all_queues_are_looked_at_once_changes_begin_to_flow(server: RealtimeServer, rings: Rings) -> None:
    assert rings.get(timeout=5) is None
    server.say(
        "system",
        {
            "status": "ok",
            "message": "Subscribed to PostgreSQL",
            "extension": "postgres_changes",
            "channel": "worker-doorbell",
        },
    )
    assert rings.get(timeout=5) is None


def test_a_dropped_line_is_rebuilt_and_rings_all(server: RealtimeServer, rings: Rings) -> None:
    for _ in range(3):
        server.joins.get(timeout=5)
        assert rings.get(timeout=5) is None
        server.drop()
    server.joins.get(timeout=5)
    assert rings.get(timeout=5) is None
    server.ring("push")
    assert rings.get(timeout=5) == "push"


def test_a_failed_subscription_is_built_anew(server: RealtimeServer, rings: Rings) -> None:
    server.joins.get(timeout=5)
    assert rings.get(timeout=5) is None
    message = {"message": "Token has expired", "extension": "system", "channel": "worker-doorbell"}
    server.say("system", {"status": "error", **message})
    server.joins.get(timeout=5)
    assert rings.get(timeout=5) is None


def test_a_line_is_renewed_however_sound_it_looks(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(realtime, "LONGEST_SESSION", 0.05)
    request.getfixturevalue("rings")
    for _ in range(3):
        server.joins.get(timeout=5)


def test_a_refused_join_is_tried_again(server: RealtimeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "backoff", lambda failures: 0.05)
    server.refuses = True
    heard: queue.Queue[str | None] = queue.Queue()
    doorbell = RealtimeDoorbell(server.url, "service-key")
    doorbell.start(heard.put)
    try:
        server.joins.get(timeout=5)
        server.joins.get(timeout=5)
        assert heard.empty()
    finally:
        doorbell.stop()


def test_it_stops_at_once_also_when_nobody_answers() -> None:
    doorbell = RealtimeDoorbell("http://127.0.0.1:9", "service-key")
    doorbell.start(lambda queue: None)
    doorbell.stop()
    RealtimeDoorbell("http://127.0.0.1:9", "service-key").stop()
