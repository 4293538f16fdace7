"""How the workers and queues are, for those who run the platform; and deliveries, for a garage."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devstack.stack import Stack

Autexor = Callable[..., Any]
OTTO = "otto@garage-zuid.test"
BEAT = "select private.worker_beat(%s, 'host-a', 4711, '0.1.0', '{\"send\": 4, \"push\": 2}', 60)"


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection]:
    """The worker's own connection."""
    with psycopg.connect(stack.environment()["AUTEXOR_DATABASE_URL"], autocommit=True) as connection:
        yield connection


def test_without_a_living_worker_the_status_says_so(autexor: Autexor) -> None:
    said = autexor("worker", "status")
    assert said.code == 1
    assert "No worker is alive" in said.err
    assert {"push", "render", "send"} <= {line.split("\t")[0] for line in said.out.splitlines()}


def test_a_worker_that_beats_is_listed_until_it_leaves(
    autexor: Autexor, database: psycopg.Connection
) -> None:
    worker = uuid4()
    database.execute(BEAT, (worker,))
    try:
        found = json.loads(autexor("worker", "status", "--json").out)
        ((row,),) = [found["workers"]]
        assert (row["host"], row["pid"], row["is_alive"]) == ("host-a", 4711, True)
        assert row["lanes"] == {"push": 2, "send": 4}
        assert {queue["queue"] for queue in found["queues"]} >= {"render", "send", "push"}
        assert autexor("worker", "status", "--quiet").out == f"{worker}\n"
        said = autexor("worker", "status")
        assert (said.code, said.err) == (0, "")
        assert "push=2 send=4" in said.out
    finally:
        database.execute("select private.worker_left(%s)", (worker,))
    assert json.loads(autexor("worker", "status", "--json").out)["workers"] == []


def test_poisoned_messages_are_listed_with_their_reason(autexor: Autexor, stack: Stack) -> None:
    with psycopg.connect(stack.environment()["DB_URL"], autocommit=True) as owner:
        owner.execute("select pgmq.send('push', '{\"id\": \"nonsense\"}')")
        owner.execute("select * from private.claim_jobs('push', 1, 0)")
        (row,) = json.loads(autexor("worker", "poisoned", "--json").out)
        owner.execute("delete from private.poisoned_messages")
    assert (row["queue"], row["reason"], row["subject_id"]) == ("push", "unreadable_message", None)
    assert autexor("worker", "poisoned").out == ""


def test_the_status_of_the_platform_wants_the_workers_own_setting(
    autexor: Autexor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTEXOR_DATABASE_URL")
    said = autexor("worker", "status")
    assert (said.code, "[setting_missing]" in said.err) == (2, True)
    monkeypatch.setenv("AUTEXOR_DATABASE_URL", "postgresql://worker:hidden@127.0.0.1:1/postgres")
    said = autexor("worker", "status")
    assert (said.code, "[database_unreachable]" in said.err, "hidden" in said.err) == (1, True, False)


@pytest.mark.req("D1")
def test_the_status_of_deliveries_is_the_garages_own(autexor: Autexor, stack: Stack) -> None:
    with psycopg.connect(stack.environment()["DB_URL"], autocommit=True) as owner:
        before = json.loads(autexor("deliveries", "status", "--json").out)
        theirs = json.loads(autexor("deliveries", "status", "--json", who=OTTO).out)
        made = owner.execute(
            "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
            " select garage_id, id, 'portal_notice', 'nl', 'carla@example.test' from public.customers"
            " where garage_id = '11111111-0000-4000-8000-000000000001' limit 1 returning id"
        ).fetchone()
        after = json.loads(autexor("deliveries", "status", "--json").out)
        strange = json.loads(autexor("deliveries", "status", "--json", who=OTTO).out)
        owner.execute("delete from public.communications where id = %s", made)
        owner.execute("delete from pgmq.q_send")
    (new,) = [row for row in after if row not in before]
    assert (new["kind"], new["status"]) == ("communication", "queued")
    assert strange == theirs
