"""A whole stack under kill -9, a stop of the whole machine and restarts: it comes back with all it had."""

import asyncio
import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from realtime import AsyncRealtimeClient

from devstack import disk
from devstack.config import Settings, free_port
from devstack.errors import StackError
from devstack.stack import Stack, running

PARTS = ("postgres", "postgrest", "gateway", "edge", "worker")
WAYS = ("/rest/v1/ticks?limit=1", "/auth/v1/admin/users", "/storage/v1/bucket", "/functions/v1/ready")
USER = {"email": "kept@example.test", "password": "kept-by-the-stack", "email_confirm": True}
PDF = b"%PDF-1.7 kept"
TABLES = """
create table public.ticks (id int primary key);
grant all on public.ticks to service_role;
alter publication supabase_realtime add table public.ticks;
select pgmq.create('kept');
select pgmq.send('kept', '{"parcel": 1}');
notify pgrst, 'reload schema';
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def beaten(scratch: Path) -> Iterator[Stack]:
    """A stack with everything, a worker included, holding a user, an object, rows and a queue."""
    with running(Settings(scratch / "a beaten stack", free_port())) as stack:
        environment = stack.environment()
        with psycopg.connect(environment["DB_URL"], autocommit=True) as conn:
            conn.execute(TABLES)
        with client(stack) as http:
            http.post("/auth/v1/admin/users", json=USER).raise_for_status()
            http.post("/storage/v1/bucket", json={"id": "kept", "name": "kept"}).raise_for_status()
            http.post("/storage/v1/object/kept/a b.pdf", content=PDF).raise_for_status()
        yield stack


def client(stack: Stack) -> httpx.Client:
    key = stack.environment()["SERVICE_ROLE_KEY"]
    return httpx.Client(
        base_url=stack.api_url, headers={"apikey": key, "Authorization": f"Bearer {key}"}, timeout=10
    )


def eventually(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def pids(stack: Stack) -> dict[str, int]:
    return {part["part"]: part["pid"] for part in stack.status()["parts"] if part["state"] == "running"}


def is_whole(stack: Stack) -> bool:
    """Whether all parts run and a request gets through to the database by every way there is."""
    with contextlib.suppress(httpx.TransportError), client(stack) as http:
        paths = (
            "/rest/v1/ticks?limit=1",
            "/auth/v1/admin/users",
            "/storage/v1/bucket",
            "/functions/v1/ready",
        )
        return set(PARTS) <= set(pids(stack)) and all(http.get(path).status_code == 200 for path in paths)
    return False


def assert_kept(stack: Stack) -> None:
    with client(stack) as http:
        http.post("/auth/v1/token?grant_type=password", json=USER).raise_for_status()
        assert http.get("/storage/v1/object/kept/a b.pdf").content == PDF
    with psycopg.connect(stack.environment()["DB_URL"]) as conn:
        assert conn.execute("select message from pgmq.read('kept', 0, 1)").fetchall() == [({"parcel": 1},)]


_ids = count(1)


@contextlib.contextmanager
def traffic(stack: Stack) -> Iterator[list[int]]:
    """Rows inserted one after the other over the API; yields the ids that were acknowledged."""
    acknowledged: list[int] = []
    is_over = threading.Event()

    def insert() -> None:
        with client(stack) as http:
            while not is_over.wait(0.005):
                number = next(_ids)
                with contextlib.suppress(httpx.TransportError):
                    if http.post("/rest/v1/ticks", json={"id": number}).status_code == 201:
                        acknowledged.append(number)

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        eventually(lambda: len(acknowledged) > 5)
        yield acknowledged
    finally:
        is_over.set()
        thread.join()


def stored(stack: Stack) -> set[int]:
    with psycopg.connect(stack.environment()["DB_URL"]) as conn:
        return {row[0] for row in conn.execute("select id from public.ticks")}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_killed_under_traffic_comes_back_and_nothing_acknowledged_is_lost(
    beaten: Stack, part: str
) -> None:
    before = pids(beaten)[part]
    with traffic(beaten) as acknowledged:
        os.kill(before, signal.SIGKILL)
        eventually(lambda: pids(beaten).get(part, before) != before and is_whole(beaten))
        recovered = len(acknowledged)
        eventually(lambda: len(acknowledged) > recovered + 5)
    assert set(acknowledged) <= stored(beaten)
    assert_kept(beaten)


def test_the_worker_joins_again_when_the_gateway_was_killed(beaten: Stack) -> None:
    log = beaten.settings.paths.logs / "worker.log"

    def joined() -> int:
        return log.read_text().count("doorbell.state state=SUBSCRIBED")

    eventually(lambda: joined() > 0)
    before, worker = joined(), pids(beaten)["worker"]
    os.kill(pids(beaten)["gateway"], signal.SIGKILL)
    eventually(lambda: joined() > before, seconds=60)
    assert pids(beaten)["worker"] == worker


def test_a_killed_supervisor_costs_nothing_but_a_start(beaten: Stack) -> None:
    with traffic(beaten) as acknowledged:
        os.kill(pids(beaten)["supervisor"], signal.SIGKILL)
    eventually(lambda: not beaten.is_up)
    beaten.up()
    eventually(lambda: is_whole(beaten))
    assert set(acknowledged) <= stored(beaten)
    assert_kept(beaten)


def test_a_restart_keeps_users_objects_rows_and_queues_and_what_was_removed_stays_removed(
    beaten: Stack,
) -> None:
    rows = stored(beaten)
    with psycopg.connect(beaten.environment()["DB_URL"]) as conn:
        conn.execute("delete from public.push_devices")
    beaten.down()
    beaten.up()
    assert stored(beaten) == rows
    assert_kept(beaten)
    with psycopg.connect(beaten.environment()["DB_URL"]) as conn:
        assert conn.execute("select from public.push_devices").rowcount == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_a_stopped_laptop_goes_on_where_it_was(beaten: Stack) -> None:
    eventually(lambda: is_whole(beaten))
    with client(beaten) as http:
        session = http.post("/auth/v1/token?grant_type=password", json=USER).json()
    before = pids(beaten)
    told = asyncio.run(_told_after(beaten, lambda: _freeze(before["supervisor"], 5)))
    assert told == {"id": 1_000_000}
    assert pids(beaten) == before
    with client(beaten) as http:
        user = http.get("/auth/v1/user", headers={"Authorization": f"Bearer {session['access_token']}"})
        assert user.json()["email"] == USER["email"]
        token = {"refresh_token": session["refresh_token"]}
        http.post("/auth/v1/token?grant_type=refresh_token", json=token).raise_for_status()
    assert is_whole(beaten)
    assert_kept(beaten)


async def _told_after(stack: Stack, pause: Callable[[], None]) -> Any:
    """What a socket that was joined before the pause is told of a row inserted after it."""
    environment = stack.environment()
    url = f"{stack.api_url.replace('http', 'ws')}/realtime/v1"
    realtime = AsyncRealtimeClient(url, environment["SERVICE_ROLE_KEY"])
    await realtime.connect()
    loop = asyncio.get_running_loop()
    ready, told = loop.create_future(), loop.create_future()
    channel = realtime.channel("ticks")
    channel.on_postgres_changes("INSERT", table="ticks", schema="public", callback=told.set_result)
    channel.on_system(lambda message: ready.done() or ready.set_result(message))
    await channel.subscribe()
    try:
        await asyncio.wait_for(ready, 20)
        await asyncio.to_thread(pause)
        with psycopg.connect(environment["DB_URL"]) as conn:
            conn.execute("insert into public.ticks values (1000000)")
        return (await asyncio.wait_for(told, 20))["data"]["record"]
    finally:
        await realtime.close()


def _freeze(supervisor: int, seconds: float) -> None:
    """Stop the supervisor and everything below it, as closing a laptop does."""
    processes = _family(supervisor)
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in reversed(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def test_two_stacks_side_by_side_know_nothing_of_each_other(beaten: Stack, scratch: Path) -> None:
    with (
        running(Settings(scratch / "the other stack", free_port()), is_bare=True) as other,
        client(other) as http,
    ):
        assert http.get("/rest/v1/ticks").json()["code"] in ("42P01", "PGRST205")
        assert http.get("/storage/v1/bucket").json() == []
        assert not set(pids(other).values()) & set(pids(beaten).values())
    assert is_whole(beaten)
    assert_kept(beaten)


class _Usage(NamedTuple):
    free: int


def test_a_full_disk_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free=3_000_000))
    with pytest.raises(StackError, match=f"The disk of {tmp_path} is full") as error:
        Stack(Settings(tmp_path / "not" / "yet there", free_port())).up()
    assert f"3 MB are free, the stack needs {disk.NEEDED_MB} MB" in error.value.why
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_to_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="cannot be written to") as error:
        Stack(Settings(tmp_path / "file" / "stack", free_port())).up()
    assert "DEVSTACK_DIR=" in error.value.fix
