"""Supabase Realtime's stand-in: frames as the real server's own tests assert them, and official clients."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from devstack import realtime
from devstack.config import ROOT, GatewayConfig
from devstack.testing import Database

RITA, OTTO = "22222222-0000-4000-8000-000000000002", "22222222-0000-4000-8000-000000000004"
TABLES = """
create table notes (
    id int primary key, owner uuid, body text, secret text, size numeric(6,2), details jsonb,
    at timestamptz default '2026-01-02 03:04:05+01', bytes bytea, tags text[]
);
alter table notes enable row level security;
revoke all on notes from anon, authenticated;
grant select (id, owner, body, size, details, at, bytes, tags) on notes to authenticated;
create policy select_owner on notes for select to authenticated
    using (owner = (current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid);

create table open_notes (id int primary key, body text);
grant select on open_notes to anon, authenticated;
alter table open_notes replica identity full;

create table raising (id int primary key);
alter table raising enable row level security;
create policy select_raising on raising for select to authenticated using (1 / (id - 1) >= 0);

create table hidden_notes (id int primary key);
revoke all on hidden_notes from anon, authenticated;
create table unpublished (id int primary key);
create table keyless (body text);
create schema inner_room;
grant usage on schema inner_room to service_role;
create table inner_room.wakeups (id int primary key, queue text);
alter table inner_room.wakeups enable row level security;
grant select on inner_room.wakeups to service_role;

alter publication supabase_realtime
    add table notes, open_notes, raising, hidden_notes, keyless, inner_room.wakeups;
create policy read_room on realtime.messages for select to authenticated using (realtime.topic() = 'room');
create policy write_room on realtime.messages for insert to authenticated
    with check (realtime.topic() = 'room' and extension = 'broadcast'
        and current_setting('request.jwt.claim.sub') = '22222222-0000-4000-8000-000000000002');
"""


def mounted(config: GatewayConfig) -> Starlette:
    app = realtime.create_app(config)
    return Starlette(routes=[Mount("/realtime/v1", app)], lifespan=lambda _: app.router.lifespan_context(app))


@pytest.fixture(scope="module")
def db(bare: Database) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with bare.connect("postgres", autocommit=True) as connection:
        connection.execute(TABLES.encode())
        yield connection


@pytest.fixture(scope="module")
def url(db: psycopg.Connection[dict[str, Any]], serve: Any) -> str:
    return str(serve(mounted)) + "/realtime/v1"


@pytest.fixture
def token(config: GatewayConfig) -> Callable[..., str]:
    def make(sub: str = RITA, *, seconds: float = 600) -> str:
        return config.keys.sign({"role": "authenticated", "sub": sub, "exp": int(time.time() + seconds)})

    return make


class Phoenix:
    """A client that shows every frame."""

    def __init__(self, socket: ClientConnection, version: str) -> None:
        self.socket, self.version, self.ref = socket, version, 0

    def send(self, topic: str, event: str, payload: Any) -> str:
        self.ref += 1
        ref = str(self.ref)
        if self.version == "2.0.0":
            self.socket.send(json.dumps(["1", ref, topic, event, payload]))
        else:
            self.socket.send(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref}))
        return ref

    def next(self, event: str = "", timeout: float = 5) -> dict[str, Any]:
        """The next frame (with this event), in the first version's form."""
        while True:
            frame = json.loads(self.socket.recv(timeout))
            if isinstance(frame, list):
                frame = dict(zip(("join_ref", "ref", "topic", "event", "payload"), frame, strict=True))
            if event in ("", frame["event"]):
                return frame

    def is_silent(self, seconds: float = 0.4) -> bool:
        try:
            frame = self.socket.recv(seconds)
        except TimeoutError:
            return True
        raise AssertionError(f"unexpected: {frame!r}")

    def join(self, name: str, **config: Any) -> dict[str, Any]:
        token = config.pop("token", None)
        payload = {"config": config, **({"access_token": token} if token else {})}
        self.send(f"realtime:{name}", "phx_join", payload)
        return self.next("phx_reply")["payload"]

    def subscribe(self, name: str, token: str, *wanted: dict[str, Any]) -> dict[str, Any]:
        assert self.join(name, postgres_changes=list(wanted), token=token)["status"] == "ok"
        return self.next("system")["payload"]


@contextmanager
def phoenix(url: str, key: str, version: str = "1.0.0") -> Iterator[Phoenix]:
    address = f"{url.replace('http', 'ws', 1)}/websocket?apikey={key}&vsn={version}"
    with connect(address, proxy=None) as socket:
        yield Phoenix(socket, version)


@pytest.fixture(params=["1.0.0", "2.0.0"])
def client(request: pytest.FixtureRequest, url: str, config: GatewayConfig) -> Iterator[Phoenix]:
    with phoenix(url, config.keys.anon_key, request.param) as client:
        yield client


@pytest.fixture
def another(url: str, config: GatewayConfig) -> Iterator[Phoenix]:
    with phoenix(url, config.keys.anon_key) as client:
        yield client


def notes(event: str = "*", **more: str) -> dict[str, Any]:
    return {"event": event, "schema": "public", "table": "notes", **more}


def test_the_frames_of_a_subscription(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    wanted = {"event": "INSERT", "schema": "public"}
    client.send(
        "realtime:any", "phx_join", {"config": {"postgres_changes": [wanted]}, "access_token": token()}
    )
    reply = client.next()
    number = reply["payload"]["response"]["postgres_changes"][0]["id"]
    assert (reply["event"], reply["ref"]) == ("phx_reply", "1")
    response = {"postgres_changes": [{**wanted, "id": number}]}
    assert reply["payload"] == {"status": "ok", "response": response}
    system = client.next()
    assert (system["event"], system["ref"]) == ("system", None)
    words = {"extension": "postgres_changes", "message": "Subscribed to PostgreSQL", "status": "ok"}
    assert system["payload"] == {"channel": "any", **words}
    db.execute("delete from open_notes; insert into open_notes values (1, 'test')")
    change = client.next()
    moment = change["payload"]["data"].pop("commit_timestamp")
    assert len(moment) == len("2026-01-01T00:00:00.000Z")
    columns = [{"name": "id", "type": "int4"}, {"name": "body", "type": "text"}]
    about = {"schema": "public", "table": "open_notes", "type": "INSERT", "errors": None, "columns": columns}
    assert change["payload"] == {"ids": [number], "data": {**about, "record": {"id": 1, "body": "test"}}}
    db.execute("delete from open_notes")


def test_values_are_typed_and_hidden_columns_left_out(
    client: Phoenix, db: Any, token: Callable[..., str]
) -> None:
    db.execute("delete from notes")
    client.subscribe("typed", token(), notes())
    db.execute(
        "insert into notes (id, owner, body, secret, size, details, bytes, tags)"
        """ values (7, %s, 'hé', 'x', 12.5, '{"a": [1, null]}', '\\xbeef', '{a,b}')""",
        [RITA],
    )
    data = client.next("postgres_changes")["payload"]["data"]
    assert data["record"] == {
        "id": 7,
        "owner": RITA,
        "body": "hé",
        "size": 12.5,
        "details": {"a": [1, None]},
        "at": "2026-01-02T02:04:05+00:00",
        "bytes": "beef",
        "tags": ["a", "b"],
    }
    types = {column["name"]: column["type"] for column in data["columns"]}
    assert "secret" not in types
    assert (types["tags"], types["at"]) == ("_text", "timestamptz")
    db.execute("update notes set body = 'neu' where id = 7")
    data = client.next("postgres_changes")["payload"]["data"]
    assert (data["type"], data["record"]["body"], data["old_record"]) == ("UPDATE", "neu", {"id": 7})
    db.execute("delete from notes")
    data = client.next("postgres_changes")["payload"]["data"]
    assert (data["type"], data["old_record"], "record" in data) == ("DELETE", {"id": 7}, False)


def test_an_unchanged_long_value_is_not_lost(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from notes; alter table notes alter body set storage external")
    db.execute("insert into notes (id, owner, body) values (8, %s, repeat('x', 5000))", [RITA])
    client.subscribe("long", token(), notes("UPDATE"))
    db.execute("update notes set size = 1 where id = 8")
    record = client.next("postgres_changes")["payload"]["data"]["record"]
    assert (len(record["body"]), record["size"]) == (5000, 1)


def test_policies_hide_rows_from_those_they_do_not_concern(
    client: Phoenix, another: Phoenix, db: Any, token: Callable[..., str]
) -> None:
    db.execute("delete from notes")
    client.subscribe("mine", token(RITA), notes("INSERT"))
    another.subscribe("mine", token(OTTO), notes("INSERT"))
    db.execute("insert into notes (id, owner) values (1, %s), (2, %s)", [RITA, OTTO])
    assert client.next()["payload"]["data"]["record"]["id"] == 1
    assert another.next()["payload"]["data"]["record"]["id"] == 2
    assert client.is_silent() and another.is_silent(0.1)


def test_two_bindings_get_one_frame(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from notes")
    joined = client.join("both", postgres_changes=[notes("*"), notes("INSERT")], token=token())
    ids = [entry["id"] for entry in joined["response"]["postgres_changes"]]
    client.next("system")
    db.execute("insert into notes (id, owner) values (1, %s)", [RITA])
    assert client.next()["payload"]["ids"] == ids
    assert client.is_silent()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("id=eq.2", [2]),
        ("id=neq.2", [1, 3]),
        ("id=lt.2", [1]),
        ("size=gte.9.5", [2, 3]),
        ("size=gt.9.50", [3]),
        ("size=lte.9.5", [1, 2]),
        ("body=in.(one,three)", [1, 3]),
        ("at=eq.2026-01-02T02:04:05Z", [1, 2, 3]),
    ],
)
def test_filters_choose_rows(
    another: Phoenix, db: Any, token: Callable[..., str], condition: str, expected: list[int]
) -> None:
    db.execute("delete from notes")
    another.subscribe("filtered", token(), notes("INSERT", filter=condition))
    db.execute(
        "insert into notes (id, owner, body, size) values (1, %(r)s, 'one', 1), (2, %(r)s, 'two', 9.5),"
        " (3, %(r)s, 'three', 10)",
        {"r": RITA},
    )
    assert [another.next()["payload"]["data"]["record"]["id"] for _ in expected] == expected
    assert another.is_silent(0.2)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"event": "*", "schema": "public", "table": "unpublished"}, "Please check Realtime is enabled"),
        (notes(filter="secret=eq.x"), "invalid column for filter secret"),
        (notes(filter="id=eq.x"), "invalid input syntax"),
        (notes(filter="id~x"), "Error parsing `filter` params"),
        ({"event": "*"}, "No subscription params provided"),
    ],
)
def test_a_subscription_that_cannot_be_says_why(
    another: Phoenix, token: Callable[..., str], wanted: dict[str, Any], words: str
) -> None:
    system = another.subscribe("bad", token(), wanted)
    assert system["status"] == "error"
    assert words in system["message"]


def test_a_raising_policy_stops_nobody_else(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from raising; delete from open_notes")
    client.subscribe("raising", token(), {"event": "INSERT", "schema": "public"})
    db.execute("insert into raising values (1), (2); insert into open_notes values (5, 'still here')")
    seen = [client.next()["payload"]["data"] for _ in range(2)]
    assert [(data["table"], data["record"]["id"]) for data in seen] == [("raising", 2), ("open_notes", 5)]


def test_a_role_without_rights_is_told_only_that(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from hidden_notes")
    client.subscribe("hidden", token(), {"event": "INSERT", "schema": "public"})
    db.execute("insert into hidden_notes values (1)")
    about = {"schema": "public", "table": "hidden_notes", "type": "INSERT"}
    assert client.next()["payload"]["data"] == {**about, "errors": ["Error 401: Unauthorized"]}
    db.execute("insert into keyless values ('x')")
    assert client.next()["payload"]["data"]["errors"] == ["Error 400: Bad Request, no primary key"]


def test_without_policies_a_delete_shows_what_the_replica_identity_keeps(
    client: Phoenix, db: Any, token: Callable[..., str]
) -> None:
    db.execute("delete from open_notes; insert into open_notes values (1, 'old')")
    client.subscribe("full", token(), {"event": "*", "schema": "public", "table": "open_notes"})
    db.execute("update open_notes set body = 'new'")
    assert client.next()["payload"]["data"]["old_record"] == {"id": 1, "body": "old"}
    db.execute("delete from open_notes")
    assert client.next()["payload"]["data"]["old_record"] == {"id": 1, "body": "new"}


def test_the_service_role_hears_the_doorbell_and_others_do_not(
    client: Phoenix, another: Phoenix, db: Any, config: GatewayConfig, token: Callable[..., str]
) -> None:
    db.execute("delete from inner_room.wakeups")
    wanted = {"event": "INSERT", "schema": "inner_room", "table": "wakeups"}
    client.subscribe("doorbell", config.keys.service_role_key, wanted)
    another.subscribe("doorbell", token(), wanted)
    db.execute("insert into inner_room.wakeups values (1, 'render')")
    assert client.next()["payload"]["data"]["record"] == {"id": 1, "queue": "render"}
    assert "record" not in another.next()["payload"]["data"]


def test_another_token_changes_what_is_seen(client: Phoenix, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from notes")
    client.subscribe("renewed", token(OTTO), notes("INSERT"))
    client.send("realtime:renewed", "access_token", {"access_token": token(RITA)})
    assert client.next("system")["payload"]["message"] == "Subscribed to PostgreSQL"
    db.execute("insert into notes (id, owner) values (1, %s), (2, %s)", [OTTO, RITA])
    assert client.next()["payload"]["data"]["record"]["id"] == 2


def test_an_expired_token_closes_the_channel(client: Phoenix, token: Callable[..., str]) -> None:
    assert client.join("short", token=token(seconds=2.5))["status"] == "ok"
    assert client.next()["payload"]["message"].startswith("Token has expired")
    assert client.next()["event"] == "phx_close"
    refused = client.join("short", token=token(seconds=-5))
    assert refused["response"]["reason"].startswith("InvalidJWTToken: Token has expired")


def test_heartbeat_leave_and_unknown_topics(client: Phoenix) -> None:
    client.send("phoenix", "heartbeat", {})
    beat = client.next()
    assert (beat["topic"], beat["payload"]) == ("phoenix", {"status": "ok", "response": {}})
    client.send("realtime:nowhere", "broadcast", {})
    assert client.next()["payload"]["response"] == {"reason": "unmatched topic"}
    assert client.join("")["response"]["reason"].startswith("TopicNameRequired")
    client.join("here")
    client.send("realtime:here", "phx_leave", {})
    assert [client.next()["event"] for _ in range(2)] == ["phx_reply", "phx_close"]


def test_broadcasts_reach_the_others(client: Phoenix, another: Phoenix) -> None:
    message = {"type": "broadcast", "event": "shout", "payload": {"text": "hoi"}}
    client.join("hall", broadcast={"ack": True})
    another.join("hall", broadcast={"self": True})
    client.send("realtime:hall", "broadcast", message)
    assert client.next()["payload"] == {"status": "ok", "response": {}}
    assert another.next()["payload"] == message
    another.send("realtime:hall", "broadcast", message)
    assert another.next()["payload"] == client.next()["payload"] == message


def test_binary_broadcasts(url: str, config: GatewayConfig, another: Phoenix) -> None:
    topic, event = b"realtime:bin", b"shout"
    sizes = bytes([3, 1, 1, len(topic), len(event), 0])
    with phoenix(url, config.keys.anon_key, "2.0.0") as client:
        client.join("bin", broadcast={"self": True})
        another.join("bin")
        client.socket.send(sizes + b"\x01" + b"12" + topic + event + b'{"a":1}')
        wanted = {"type": "broadcast", "event": "shout", "payload": {"a": 1}}
        assert client.next()["payload"] == another.next()["payload"] == wanted
        client.socket.send(sizes + b"\x00" + b"12" + topic + event + b"\xff\x00")
        frame = client.socket.recv(5)
        assert frame == bytes([4, len(topic), len(event), 0, 0]) + topic + event + b"\xff\x00"
        assert another.is_silent(0.2)


def test_private_channels_obey_policies(
    client: Phoenix, another: Phoenix, url: str, config: GatewayConfig, token: Callable[..., str]
) -> None:
    refused = client.join("cellar", private=True, token=token())
    assert refused["response"]["reason"].startswith("Unauthorized: You do not have permissions to read")
    assert client.join("room", private=True, token=token(RITA), broadcast={"ack": True})["status"] == "ok"
    assert another.join("room", private=True, token=token(OTTO), broadcast={"ack": True})["status"] == "ok"
    message = {"type": "broadcast", "event": "shout", "payload": {}}
    another.send("realtime:room", "broadcast", message)
    assert client.is_silent()
    client.send("realtime:room", "broadcast", message)
    assert another.next()["payload"] == message


def test_broadcasts_over_http_and_from_the_database(
    client: Phoenix, url: str, config: GatewayConfig, db: Any, token: Callable[..., str]
) -> None:
    client.join("room", private=True, token=token())
    one = {"topic": "room", "event": "e", "payload": {"n": 1}, "private": True}
    headers = {"apikey": config.keys.service_role_key}
    assert httpx.post(f"{url}/api/broadcast", json={"messages": [one]}, headers=headers).status_code == 202
    assert client.next()["payload"] == {"type": "broadcast", "event": "e", "payload": {"n": 1}}
    bad = httpx.post(f"{url}/api/broadcast", json={"messages": [{"topic": "room"}]}, headers=headers)
    assert bad.status_code == 422
    assert httpx.post(f"{url}/api/broadcast", json={"messages": [one]}).status_code == 401
    db.execute("""select realtime.send('{"n": 2}', 'e', 'room')""")
    received = client.next()["payload"]
    assert (received["event"], received["payload"]["n"]) == ("e", 2)


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "API key is missing"), ("x.y.z", "The token provided is not a valid JWT")],
)
def test_a_bad_key_is_refused_at_the_door(url: str, key: str, words: str) -> None:
    with pytest.raises(InvalidStatus) as refused, phoenix(url, key):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"") == {"error": words}


def test_nonsense_ends_the_connection(client: Phoenix) -> None:
    client.socket.send("nonsense")
    with pytest.raises(ConnectionClosed):
        client.next()


def test_a_slow_reader_is_dropped(url: str, config: GatewayConfig, another: Phoenix) -> None:
    address = f"{url.replace('http', 'ws', 1)}/websocket?apikey={config.keys.anon_key}"
    another.join("flood", broadcast={"ack": True})
    message = {"type": "broadcast", "event": "e", "payload": {"text": "x" * 50_000}}
    with connect(address, proxy=None, max_queue=1, compression=None) as socket:
        Phoenix(socket, "1.0.0").join("flood")
        for _ in range(1500):
            another.send("realtime:flood", "broadcast", message)
            another.next("phx_reply")
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(10)


def test_no_slot_is_left_behind(bare: Database, postgres: Any, config: GatewayConfig) -> None:
    async def start_and_stop() -> None:
        app = realtime.create_app(config)
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0.5)

    count = "select count(*) from pg_replication_slots where database = %s and slot_name like 'realtime_%%'"
    with bare.connect("supabase_admin", autocommit=True) as connection:
        before = connection.execute(count, [bare.name]).fetchone()
        asyncio.run(start_and_stop())
        time.sleep(0.3)
        assert connection.execute(count, [bare.name]).fetchone() == before


def test_the_official_python_client(
    url: str, config: GatewayConfig, db: Any, token: Callable[..., str]
) -> None:
    async def talk() -> list[Any]:
        client = AsyncRealtimeClient(url, config.keys.anon_key)
        await client.set_auth(token())
        seen: asyncio.Queue[Any] = asyncio.Queue()
        ready = asyncio.Event()
        channel = client.channel("py")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Insert, seen.put_nowait, table="notes", schema="public"
        )
        channel.on_system(lambda _: ready.set())
        channel.on_broadcast("shout", seen.put_nowait)
        await channel.subscribe()
        await asyncio.wait_for(ready.wait(), 5)
        db.execute("insert into notes (id, owner) values (70, %s)", [RITA])
        got = [await asyncio.wait_for(seen.get(), 5)]
        headers = {"apikey": config.keys.anon_key}
        message = {"topic": "py", "event": "shout", "payload": {"n": 1}}
        async with httpx.AsyncClient() as http:
            await http.post(f"{url}/api/broadcast", json={"messages": [message]}, headers=headers)
        got.append(await asyncio.wait_for(seen.get(), 5))
        await channel.unsubscribe()
        await client.close()
        return got

    db.execute("delete from notes")
    change, broadcast = asyncio.run(talk())
    assert change["data"]["record"]["id"] == 70
    assert broadcast["payload"] == {"n": 1}


def test_the_official_javascript_client(
    url: str, config: GatewayConfig, db: Any, token: Callable[..., str]
) -> None:
    db.execute("delete from notes")
    environment = {"API_URL": url.removesuffix("/realtime/v1"), "KEY": config.keys.anon_key, "TOKEN": token()}
    script = Path(__file__).parent / "realtime_client.mjs"
    with subprocess.Popen(
        ["node", str(script)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdin and node.stdout
        assert node.stdout.readline().strip() == "ready"
        db.execute("insert into notes (id, owner) values (71, %s)", [RITA])
        said = json.loads(node.stdout.readline())
    assert said["inserted"] == 71
    assert said["broadcast"] == {"n": 1}
    assert said["bytes"] == [255, 0]
