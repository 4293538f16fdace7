"""Several gateways on one database, each with a replication slot of its own."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from devstack import realtime
from devstack.config import GatewayConfig
from devstack.testing import Database

SLOTS = """
    select slot_name, active from pg_replication_slots
    where database = current_database() and slot_name like 'realtime_%'
"""


@pytest.fixture
def operator(bare: Database) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with bare.connect("supabase_admin", autocommit=True) as connection:
        yield connection


def _slots(operator: Any) -> set[str]:
    return {row["slot_name"] for row in operator.execute(SLOTS)}


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came about")


def test_each_gateway_tells_its_clients_every_change(
    dial: Callable[..., Any], url: str, one_more: str, db: Any, operator: Any, token: Any
) -> None:
    wanted = {"event": "INSERT", "schema": "public", "table": "open_notes"}
    clients = [dial(), dial(at=one_more)]
    for client in clients:
        client.subscribe("two", token(), wanted)
        client.join("room", private=True, token=token())
    assert len(_slots(operator)) == 2
    for n in range(20):
        db.execute("insert into open_notes values (%s, 'x')", [n])
    db.execute("select realtime.send('{}', 'e', 'room')")
    for client in clients:
        frames = [client.next() for _ in range(21)]
        changes = [frame["payload"] for frame in frames if frame["event"] == "postgres_changes"]
        assert [change["data"]["record"]["id"] for change in changes] == list(range(20))
        assert [frame["event"] for frame in frames].count("broadcast") == 1


def test_no_slot_is_left_behind(url: str, operator: Any, config: GatewayConfig) -> None:
    async def start_and_stop() -> set[str]:
        app = realtime.create_app(config)
        async with app.router.lifespan_context(app):
            for _ in range(200):
                if _slots(operator) != before:
                    break
                await asyncio.sleep(0.05)
            return _slots(operator)

    before = _slots(operator)
    assert len(asyncio.run(start_and_stop()) - before) == 1
    _wait_until(lambda: _slots(operator) == before)


def test_a_stale_slot_is_removed_and_a_live_one_is_not(
    url: str, operator: Any, request: pytest.FixtureRequest
) -> None:
    _wait_until(lambda: len(_slots(operator)) > 0)
    alive = _slots(operator)
    operator.execute("select pg_create_logical_replication_slot('realtime_stale', 'pgoutput')")
    operator.execute("select pg_create_logical_replication_slot('someone_elses', 'pgoutput')")
    request.getfixturevalue("one_more")
    _wait_until(lambda: alive < (slots := _slots(operator)) and "realtime_stale" not in slots)
    # It is not ours: dropping it here fails unless it is still there.
    operator.execute("select pg_drop_replication_slot('someone_elses')")


def test_after_a_lost_connection_the_subscribers_are_told(
    dial: Any, db: Any, operator: Any, token: Any
) -> None:
    client = dial()
    client.subscribe("lost", token(), {"event": "INSERT", "schema": "public", "table": "open_notes"})
    operator.execute(
        "select pg_terminate_backend(active_pid) from pg_replication_slots"
        " where database = current_database()"
    )
    assert client.next("system")["payload"]["message"] == "Subscribed to PostgreSQL"
    db.execute("insert into open_notes values (100, 'after')")
    assert client.next("postgres_changes")["payload"]["data"]["record"]["id"] == 100
