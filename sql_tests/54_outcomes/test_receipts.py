"""Receipts of pushes: asked for after a quarter, in hundreds, for a day; a dead token is retired."""

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests.cast import CARLA, NOORD, RITA
from sql_tests.steps import Row, change, claim, finish, issued_invoice, look, refused

pytestmark = pytest.mark.req("P14", "D9")

PUSHED = """
insert into public.push_notifications
    (garage_id, push_device_id, template, locale, status, attempt, claimed_at)
select garage_id, id, 'invoice_issued', 'nl', 'sending', 1, now() from public.push_devices
 where garage_id = %s order by id limit 1 returning id::text
"""
TOOK = """
update public.push_notifications set status = 'sent', ticket_id = %s, sent_at = now() - %s::interval
 where id = %s
"""


@pytest.fixture(autouse=True)
def nothing_waits(database: Database) -> None:
    change(
        database,
        "delete from public.delivery_events; delete from public.delivery_attempts;"
        " delete from public.push_notifications; delete from pgmq.q_receipts; delete from pgmq.q_push;"
        " update public.push_devices set retired_at = null, updated_at = now() - interval '30 days'",
    )


def pushed(database: Database, ticket: str, ago: str = "20 minutes") -> str:
    """A push that Expo took so long ago; the id."""
    push = str(look(database, PUSHED, NOORD))
    change(database, TOOK, ticket, ago, push)
    change(database, "delete from pgmq.q_push")
    return push


def show(database: Database) -> None:
    change(database, "update pgmq.q_receipts set vt = now() - interval '1 second'")


def state(database: Database, push: str) -> tuple[str, str | None, str | None]:
    with database.connect() as connection:
        row = connection.execute(
            "select status, receipt, last_error from public.push_notifications where id = %s", (push,)
        ).fetchone()
    assert row is not None
    return row["status"], row["receipt"], row["last_error"]


def record(database: Database, claimed: Row, receipts: Row, outcome: str = "done") -> str:
    with database.connect("worker") as connection:
        row = connection.execute(
            "select private.finish_job('receipts', %s, %s, %s, %s, null, 30, %s) as status",
            (
                claimed["msg_id"],
                claimed["job"]["subject_id"],
                claimed["job"]["attempt"],
                outcome,
                Jsonb({"receipts": receipts}),
            ),
        ).fetchone()
    assert row is not None
    return str(row["status"])


def test_a_push_that_was_taken_is_asked_for_after_a_quarter(database: Database) -> None:
    issued_invoice(database, RITA, CARLA)
    for queue in ("render", "push"):
        (claimed,) = claim(database, queue)
        finish(database, queue, claimed)
    assert claim(database, "receipts") == []
    wait = "select round(extract(epoch from vt - enqueued_at)) from pgmq.q_receipts"
    assert look(database, wait) == 900


def test_receipts_settle_a_push_and_those_asked_for_along_with_it(database: Database) -> None:
    arrived, failed, late = (pushed(database, ticket) for ticket in ("t-1", "t-2", "t-3"))
    young, old = pushed(database, "t-4", "14 minutes"), pushed(database, "t-5", "25 hours")
    show(database)
    (first, *_) = claim(database, "receipts", max_jobs=1)
    assert first["job"]["kind"] == "check_push_receipts" and first["job"]["attempt"] == 1
    assert set(first["job"]["tickets"]) == {"t-1", "t-2", "t-3"}
    told = {"t-1": {"error": None}, "t-2": {"error": "MessageTooBig"}, "t-9": {"error": None}}
    assert record(database, first, told) == "delivered"
    assert state(database, arrived) == ("delivered", "ok", None)
    assert state(database, failed) == ("failed", "error", "MessageTooBig")
    assert [state(database, one) for one in (late, young)] == [("sent", None, None)] * 2
    with refused("job_superseded", 409):
        record(database, first, told)
    show(database)
    asked = [row["job"]["tickets"][0] for row in claim(database, "receipts", max_jobs=5)]
    assert "t-3" in asked and not {"t-1", "t-2", "t-5"} & set(asked)
    assert state(database, old) == ("sent", "missing", None)
    events = "select count(*) from public.delivery_events where push_notification_id is not null"
    assert look(database, events) == 2


def test_a_hundred_are_asked_for_at_a_time_and_nobody_twice(database: Database) -> None:
    for number in range(130):
        pushed(database, f"t-{number}")
    show(database)
    (first,) = claim(database, "receipts", max_jobs=1)
    (second,) = claim(database, "receipts", max_jobs=1)
    one, other = (row["job"]["tickets"] for row in (first, second))
    assert (len(one), len(set(one) | set(other))) == (100, 130)
    assert set(one) & set(other) <= {other[0]}, "a job always asks for its own push"


def test_what_has_no_receipt_yet_is_asked_for_again_ever_more_seldom(database: Database) -> None:
    push = pushed(database, "t-1")
    waits = []
    for _ in range(7):
        show(database)
        (claimed,) = claim(database, "receipts")
        assert record(database, claimed, {}) == "sent"
        waits.append(
            int(look(database, "select round(extract(epoch from vt - enqueued_at)) from pgmq.q_receipts"))
        )
    assert waits == [900, 1800, 3600, 7200, 14400, 14400, 14400]
    change(database, "update public.push_notifications set sent_at = now() - interval '25 hours'")
    show(database)
    assert claim(database, "receipts") == []
    assert state(database, push) == ("sent", "missing", None)
    assert look(database, "select count(*) from pgmq.q_receipts") == 0


def test_a_failed_asking_is_repeated(database: Database) -> None:
    push = pushed(database, "t-1")
    show(database)
    (claimed,) = claim(database, "receipts")
    assert record(database, claimed, {}, "retry") == "sent"
    assert claim(database, "receipts") == []
    show(database)
    (again,) = claim(database, "receipts")
    assert again["job"]["attempt"] == 2
    with refused("job_superseded", 409):
        record(database, claimed, {"t-1": {"error": "late"}})
    record(database, again, {"t-1": {"error": None}})
    assert state(database, push)[0] == "delivered"


@pytest.mark.parametrize("has_registered_since", [False, True])
def test_a_device_that_is_gone_is_retired_unless_it_came_back(
    database: Database, has_registered_since: bool
) -> None:
    push = pushed(database, "t-1")
    if has_registered_since:
        change(database, "update public.push_devices set updated_at = now()")
    show(database)
    (claimed,) = claim(database, "receipts")
    record(database, claimed, {"t-1": {"error": "DeviceNotRegistered"}})
    assert state(database, push) == ("failed", "error", "DeviceNotRegistered")
    device = (
        "select d.retired_at is null from public.push_devices d join public.push_notifications p"
        " on p.push_device_id = d.id where p.id = %s"
    )
    assert look(database, device, push) is has_registered_since


def test_a_push_sent_once_more_has_a_ticket_of_its_own(database: Database) -> None:
    push = pushed(database, "t-1")
    show(database)
    (claimed,) = claim(database, "receipts")
    record(database, claimed, {"t-1": {"error": "MessageRateExceeded"}})
    with RITA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (push,))
        connection.commit()
    (again,) = claim(database, "push")
    assert again["job"]["subject_id"] == push
    assert state(database, push)[1] is None
    assert finish(database, "push", again) == "sent"
    assert look(database, "select count(*) from pgmq.q_receipts") == 1
