"""Limits on what clients do, and on what is kept for those who do not read."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devstack.config import GatewayConfig
from devstack.realtime import limits
from devstack.realtime.authorization import Gate
from devstack.realtime.channel import Services
from devstack.realtime.feed import Feed
from devstack.realtime.hub import Hub
from devstack.realtime.presence import Presences
from devstack.realtime.protocol import V1
from devstack.realtime.sockets import MAX_QUEUED_BYTES, Socket

Monkey = pytest.MonkeyPatch
MESSAGE = {"type": "broadcast", "event": "e", "payload": {"text": "x" * 50_000}}


@pytest.fixture
def strict(monkeypatch: Monkey, request: pytest.FixtureRequest) -> str:
    """A gateway that allows two of everything."""
    monkeypatch.setattr(limits, "AVERAGE_SECONDS", 1)
    for name in ("EVENTS_PER_SECOND", "JOINS_PER_SECOND", "PRESENCE_EVENTS_PER_SECOND"):
        monkeypatch.setattr(limits, name, 2)
    monkeypatch.setattr(limits, "CHANNELS_PER_SOCKET", 2)
    return str(request.getfixturevalue("one_more"))


def test_too_many_events_close_the_channel(dial: Callable[..., Any], strict: str) -> None:
    client = dial(at=strict)
    client.join("busy", broadcast={"ack": True})
    for _ in range(3):
        client.send("realtime:busy", "broadcast", {"type": "broadcast", "event": "e", "payload": {}})
    assert [client.next()["event"] for _ in range(4)] == ["phx_reply", "phx_reply", "system", "phx_close"]
    time.sleep(1.1)
    assert client.join("busy")["status"] == "ok"


def test_too_many_events_over_http(strict: str, config: GatewayConfig) -> None:
    headers = {"apikey": config.keys.anon_key}
    one = {"topic": "t", "event": "e", "payload": {}}

    def post(count: int) -> tuple[int, str]:
        answer = httpx.post(f"{strict}/api/broadcast", json={"messages": [one] * count}, headers=headers)
        return answer.status_code, answer.text

    status, text = post(3)
    assert (status, "please reduce the batch size" in text) == (429, True)
    assert post(2)[0] == 202
    assert post(1) == (429, '{"message":"You have exceeded your rate limit"}')


def test_too_many_joins_end_the_connection(dial: Callable[..., Any], strict: str) -> None:
    client = dial(at=strict)
    assert [client.join(name)["status"] for name in ("a", "b")] == ["ok", "ok"]
    refused = client.join("c")
    assert refused["response"] == {"reason": "ClientJoinRateLimitReached: Too many joins per second"}
    with pytest.raises(ConnectionClosed) as closed:
        client.next()
    assert closed.value.rcvd and closed.value.rcvd.code == 1000
    with pytest.raises(InvalidStatus) as status:
        dial(at=strict)
    response = status.value.response
    assert (response.status_code, json.loads(response.body or b"")) == (
        429,
        {"error": "Too many joins per second"},
    )


def test_a_socket_has_only_so_many_channels(dial: Callable[..., Any], monkeypatch: Monkey) -> None:
    monkeypatch.setattr(limits, "CHANNELS_PER_SOCKET", 2)
    client = dial()
    assert [client.join(name)["status"] for name in ("a", "b")] == ["ok", "ok"]
    assert client.join("c")["response"] == {"reason": "ChannelRateLimitReached: Too many channels"}
    client.send("realtime:a", "phx_leave", {})
    client.next("phx_close")
    assert client.join("c")["status"] == "ok"


def test_too_much_presence_closes_the_channel(dial: Callable[..., Any], strict: str) -> None:
    client = dial(at=strict)
    client.join("crowd", presence={"enabled": True})
    for n in range(3):
        client.track("crowd", {"n": n})
    assert client.next("system")["payload"]["message"] == "Too many presence messages per second"


def test_what_is_too_large_goes_nowhere(client: Any, another: Any, monkeypatch: Monkey) -> None:
    monkeypatch.setattr(limits, "PAYLOAD_BYTES", 1000)
    client.join("large", broadcast={"ack": True}, presence={"enabled": True})
    another.join("large")
    client.send("realtime:large", "broadcast", MESSAGE)
    refused = client.next("phx_reply")["payload"]
    assert refused == {"status": "error", "response": {"reason": "payload_size_exceeded"}}
    assert another.is_silent(0.2)
    client.track("large", MESSAGE)
    assert client.next("system")["payload"]["message"] == "Track message size exceeded"


def test_a_slow_reader_is_dropped_and_the_others_are_not(
    dial: Callable[..., Any], another: Any, client: Any
) -> None:
    another.join("flood", broadcast={"ack": True})
    client.join("flood")
    slow = dial(max_queue=1, compression=None)
    slow.join("flood")
    for _ in range(450):
        another.send("realtime:flood", "broadcast", MESSAGE)
        assert another.next("phx_reply")["payload"]["status"] == "ok"
        assert client.next()["payload"] == MESSAGE
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            slow.socket.recv(10)
    # Nothing was said at the end: what the client did not read is not followed by a farewell.
    assert closed.value.rcvd is None
    another.send("realtime:flood", "broadcast", MESSAGE)
    assert client.next()["payload"] == MESSAGE


def test_a_large_transaction_overruns_nobody(client: Any, db: Any, token: Any) -> None:
    wanted = {"event": "INSERT", "schema": "public", "table": "open_notes"}
    client.subscribe("bulk", token(), wanted)
    db.execute("insert into open_notes select n, 'x' from generate_series(1, 5000) as n")
    seen = [client.next()["payload"]["data"]["record"]["id"] for _ in range(5000)]
    assert seen == list(range(1, 5001))
    db.execute("delete from open_notes")


class Line:
    """What a socket needs of a connection; a deaf client's takes in nothing."""

    def __init__(self, *, is_deaf: bool) -> None:
        self.is_deaf, self.sent = is_deaf, 0
        join = {"topic": "realtime:deaf", "event": "phx_join", "payload": {"config": {}}, "ref": "1"}
        self.frames = [{"type": "websocket.receive", "text": json.dumps(join)}]

    async def receive(self) -> dict[str, Any]:
        return self.frames.pop() if self.frames else await asyncio.Future()

    async def send_text(self, _: str) -> None:
        self.sent += 1
        if self.is_deaf:
            await asyncio.Future()


def test_readers_that_do_not_read_cost_little(config: GatewayConfig) -> None:
    """A hundred of them, and 100 MB for each: what waits for one waits for all, up to a limit."""

    async def flood() -> tuple[list[bool], int, int]:
        hub = Hub()
        feed, gate = Feed("", hub), Gate("")
        services = Services(hub, feed, gate, Presences(hub), limits.Limits(joins=limits.Rate(1000, 1)))
        lines = [Line(is_deaf=n > 0) for n in range(101)]
        running = [
            asyncio.create_task(
                Socket(cast(Any, line), V1, config.keys.anon_key, config.keys, services).run()
            )
            for line in lines
        ]
        await asyncio.sleep(0.2)
        tracemalloc.start()
        for n in range(1000):
            payload = {**MESSAGE, "payload": {"n": n, "text": "x" * 100_000}}
            hub.publish("realtime:deaf", "broadcast", payload, is_private=False)
            await asyncio.sleep(0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await asyncio.sleep(0.1)
        done = [task.done() for task in running]
        running[0].cancel()
        return done, peak, lines[0].sent

    done, peak, sent = asyncio.run(flood())
    assert done == [False] + [True] * 100
    # The reply to its join, and everything else.
    assert sent == 1001
    assert peak < 2 * MAX_QUEUED_BYTES
