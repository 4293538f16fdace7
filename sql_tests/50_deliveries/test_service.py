"""What operators see of the workers and queues, and what a garage sees of its own deliveries."""

from uuid import uuid4

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.steps import Row, change, claim, finish, issued_invoice, look

BEAT = "select private.worker_beat(%s, 'host-a', 4711, '0.1.0', '{\"send\": 4}', 60)"


def metrics(database: Database) -> dict[str, Row]:
    with database.connect("worker") as worker:
        rows = worker.execute("select * from private.queue_metrics()").fetchall()
    return {row["queue"]: row for row in rows}


def test_metrics_tell_depth_age_and_what_is_in_flight(fresh_database: Database) -> None:
    for _ in range(3):
        issued_invoice(fresh_database, RITA, CARLA)
    change(fresh_database, "update pgmq.q_render set vt = now() - interval '1 hour'")
    (held,) = claim(fresh_database, "render", max_jobs=1)
    render = metrics(fresh_database)["render"]
    assert (render["depth"], render["ready"], render["in_flight"]) == (3, 2, 1)
    assert 3600 <= render["oldest_seconds"] < 7200
    finish(fresh_database, "render", held, "retry", "later", 3600)
    render = metrics(fresh_database)["render"]
    assert (render["depth"], render["ready"], render["in_flight"]) == (3, 2, 0)
    assert metrics(fresh_database)["send"]["oldest_seconds"] == 0


def test_metrics_outlive_messages_that_nobody_can_read(fresh_database: Database) -> None:
    change(fresh_database, "select pgmq.send('send', '{\"id\": \"nonsense\"}', 60)")
    assert metrics(fresh_database)["send"]["depth"] == 1
    change(fresh_database, "update pgmq.q_send set vt = now()")
    claim(fresh_database, "send")
    found = metrics(fresh_database)["send"]
    assert (found["depth"], found["broken"], found["set_aside"]) == (0, 0, 1)


def test_metrics_name_no_garage(fresh_database: Database) -> None:
    issued_invoice(fresh_database, RITA, CARLA)
    assert NOORD not in str(metrics(fresh_database))
    assert set(metrics(fresh_database)) >= {"render", "send", "push"}


def test_a_worker_is_alive_while_it_beats_and_gone_once_it_left(fresh_database: Database) -> None:
    ours, silent = uuid4(), uuid4()
    with fresh_database.connect("worker", autocommit=True) as worker:
        for worker_id in (ours, silent, ours):
            worker.execute(BEAT, (worker_id,))
        change(
            fresh_database,
            "update private.worker_heartbeats set seen_at = now() - interval '2 minutes' where id = %s",
            silent,
        )
        seen = worker.execute("select * from private.worker_status()").fetchall()
        assert {(row["id"], row["is_alive"]) for row in seen} == {(ours, True), (silent, False)}
        assert {(row["host"], row["pid"], row["lanes"]["send"]) for row in seen} == {("host-a", 4711, 4)}
        worker.execute("select private.worker_left(%s)", (ours,))
        change(fresh_database, "update private.worker_heartbeats set seen_at = now() - interval '25 hours'")
        worker.execute(BEAT, (ours,))
        seen = worker.execute("select * from private.worker_status()").fetchall()
    assert [row["id"] for row in seen] == [ours], "who was silent for a day is forgotten"


@pytest.mark.req("D1", "D8", "D9")
def test_a_garage_sees_how_many_of_its_own_deliveries_are_unsettled(fresh_database: Database) -> None:
    issued_invoice(fresh_database, RITA, CARLA)
    issued_invoice(fresh_database, RITA, CARLA)
    first, _ = claim(fresh_database, "render")
    finish(fresh_database, "render", first)
    (mail,) = claim(fresh_database, "send")
    finish(fresh_database, "send", mail, "unknown", "sendgrid_TimeoutError")
    query = (
        "select kind, status, deliveries, oldest_at from public.unsettled_deliveries order by kind, status"
    )
    with OLGA.acting(fresh_database) as olga:
        found = olga.execute(query.encode()).fetchall()
    assert [(row["kind"], row["status"], row["deliveries"]) for row in found] == [
        ("communication", "unknown", 1),
        ("invoice_document", "rendering", 1),
        ("push_notification", "queued", 1),
    ]
    oldest = look(fresh_database, "select min(created_at) from public.push_notifications")
    assert found[-1]["oldest_at"] == oldest
    with OTTO.acting(fresh_database) as otto:
        assert otto.execute(query.encode()).fetchall() == []
    with MARC.acting(fresh_database) as marc:
        kinds = {row["kind"] for row in marc.execute(query.encode())}
    assert not kinds & {"communication", "push_notification"}, "a mechanic reads no deliveries"


@pytest.mark.req("D8")
def test_workers_that_died_hold_up_their_garages_next_messages_for_half_a_minute_at_most(
    fresh_database: Database,
) -> None:
    """A limit on calls at once counts calls, not what dead workers left behind."""
    change(
        fresh_database,
        "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
        " select garage_id, id, 'portal_notice', locale, n || '@example.test'"
        "   from public.customers, generate_series(1, 4) n where id = %s",
        CARLA.customer_id,
    )
    change(
        fresh_database,
        "update public.communications set status = 'sending', attempt = 1,"
        " claimed_at = clock_timestamp() - interval '31 seconds' where recipient < '4'",
    )
    wait = (
        "select w.seconds from public.communications c, private.wait_before_sending(c, true) w"
        " where c.recipient = '4@example.test'"
    )
    assert look(fresh_database, wait) is None
    change(fresh_database, "update public.communications set claimed_at = clock_timestamp()")
    assert look(fresh_database, wait) == 1
