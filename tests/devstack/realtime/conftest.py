"""Realtime on a database with a few tables, and clients that show every frame."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.sync.client import ClientConnection, connect

from devstack import realtime
from devstack.config import GatewayConfig
from devstack.testing import Database

RITA, OTTO = "22222222-0000-4000-8000-000000000002", "22222222-0000-4000-8000-000000000004"
TABLES = """
create table notes (
    id int primary key, owner uuid, body text, secret text, size numeric(6,2), details jsonb,
    at timestamptz default '2026-01-02 03:04:05+01', bytes bytea, tags text[], is_done boolean
);
alter table notes enable row level security;
revoke all on notes from anon, authenticated;
grant select (id, owner, body, size, details, at, bytes, tags, is_done) on notes to authenticated;
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
create policy read_talk on realtime.messages for select to authenticated
    using (realtime.topic() = 'talk' and extension = 'broadcast');
create policy read_own on realtime.messages for select to authenticated
    using (realtime.topic() = 'of:' || current_setting('request.jwt.claim.sub'));
create policy write_room on realtime.messages for insert to authenticated
    with check (realtime.topic() = 'room'
        and current_setting('request.jwt.claim.sub') = '22222222-0000-4000-8000-000000000002');
"""


def mounted(config: GatewayConfig) -> Starlette:
    """Realtime where the gateway has it."""
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
def one_more(db: psycopg.Connection[dict[str, Any]], serve: Any) -> str:
    """The address of another gateway on the same database."""
    return str(serve(mounted)) + "/realtime/v1"


@pytest.fixture
def rita() -> str:
    return RITA


@pytest.fixture
def otto() -> str:
    return OTTO


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

    def track(self, name: str, payload: Any, event: str = "track") -> None:
        self.send(f"realtime:{name}", "presence", {"type": "presence", "event": event, "payload": payload})


Dial = Callable[..., Phoenix]


@pytest.fixture
def dial(url: str, config: GatewayConfig) -> Iterator[Dial]:
    """Connect a client, by default with the anon key and the first protocol."""
    with ExitStack() as open_sockets:

        def connected(
            *, key: str | None = None, version: str = "1.0.0", at: str = "", **more: Any
        ) -> Phoenix:
            base = (at or url).replace("http", "ws", 1)
            address = f"{base}/websocket?apikey={config.keys.anon_key if key is None else key}&vsn={version}"
            return Phoenix(open_sockets.enter_context(connect(address, proxy=None, **more)), version)

        yield connected


@pytest.fixture(params=["1.0.0", "2.0.0"])
def client(request: pytest.FixtureRequest, dial: Dial) -> Phoenix:
    return dial(version=request.param)


@pytest.fixture
def another(dial: Dial) -> Phoenix:
    return dial()
