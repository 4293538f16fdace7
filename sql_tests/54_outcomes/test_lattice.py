"""Events settle a message the same way in whatever order, and however often, they come."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, OLGA, ZUID
from sql_tests.outcomes import account, event, outcome, sent, status_of, tell, under_way
from sql_tests.steps import change, denied, look, refused

pytestmark = pytest.mark.req("D9")

LATTICE = ("queued", "sending", "unknown", "sent", "failed", "delivered", "read")


def test_the_lattice_only_goes_forward(database: Database) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "select a, b, private.settle_delivery(a, array[b]) as settled"
            "  from unnest(%s::text[]) a, unnest(%s::text[]) b",
            (list(LATTICE), list(LATTICE)),
        ).fetchall()
    assert len(rows) == 49
    for row in rows:
        assert row["settled"] == max(row["a"], row["b"], key=LATTICE.index), row


@pytest.mark.parametrize("left_out", LATTICE)
def test_all_720_orders_of_six_statuses_end_alike(database: Database, left_out: str) -> None:
    words = [word for word in LATTICE if word != left_out]
    orders = [list(order) for order in permutations(words)]
    assert len(orders) == 720
    with database.connect() as connection:
        rows = connection.execute(
            """
            with recursive walks as (
                select o.order, 1 as step, o.order ->> 0 as status
                  from jsonb_array_elements(%s::jsonb) o ("order")
                union all
                select w.order, w.step + 1,
                       private.settle_delivery(w.status, array[w.order ->> w.step])
                  from walks w where w.step < 6)
            select status, count(*) as orders from walks where step = 6 group by status
            """,
            (Jsonb(orders),),
        ).fetchall()
    assert rows == [{"status": max(words, key=LATTICE.index), "orders": 720}]


STEPS = ("finish", "processed", "deferred", "failed", "delivered", "read")
STATUS = {"processed": "sent", "deferred": None, "failed": "failed", "delivered": "delivered", "read": "read"}


@pytest.mark.slow
@pytest.mark.parametrize("missing", [(), ("read",), ("read", "delivered"), ("read", "delivered", "failed")])
@pytest.mark.parametrize("finish", ["sent", "unknown", "failed"])
def test_a_row_ends_alike_whenever_its_worker_and_its_webhooks_come(
    database: Database, finish: str, missing: tuple[str, ...]
) -> None:
    steps = [step for step in STEPS if step not in missing]
    expected = max(
        [finish, *(STATUS[step] or "queued" for step in steps if step != "finish")], key=LATTICE.index
    )
    ended: dict[str, int] = {}
    with database.connect() as connection:
        for order in permutations(steps):
            (row,) = connection.execute(
                "insert into public.communications (garage_id, customer_id, channel, template, locale,"
                " recipient, status, attempt, claimed_at) values (%s, %s, 'email', 'message_received', 'nl',"
                " 'carla@example.test', 'sending', 1, clock_timestamp()) returning id::text",
                (NOORD, CARLA.customer_id),
            ).fetchall()
            for step in order:
                if step == "finish":
                    connection.execute(
                        "update public.communications set status = %s, provider_message_id = 'msg-1'"
                        " where id = %s and status = 'sending'",
                        (finish, row["id"]),
                    )
                    continue
                told = event(row["id"], STATUS[step], event=step)
                connection.execute("select private.record_delivery_events(null, %s)", (Jsonb([told]),))
            (end,) = connection.execute(
                "select status from public.communications where id = %s", (row["id"],)
            ).fetchall()
            ended[end["status"]] = ended.get(end["status"], 0) + 1
        connection.rollback()
    assert set(ended) == {expected}
    assert sum(ended.values()) in (720, 120, 24, 6)


def test_a_webhook_told_a_hundred_times_has_one_effect(database: Database) -> None:
    message = sent(database, CARLA.customer_id)
    told = event(message, "failed", event="bounce", code="5.1.1", suppression="bounce")
    assert tell(database, told) == {"stored": 1, "known": 0, "refused": 0}
    with OLGA.acting(database) as connection:
        connection.execute("select public.lift_suppression(id, 'Het werkt weer') from public.suppressions")
        connection.commit()
    for _ in range(99):
        assert tell(database, told, told) == {"stored": 0, "known": 2, "refused": 0}
    assert status_of(database, message) == "failed"
    assert (
        look(database, "select count(*) from public.delivery_events where communication_id = %s", message)
        == 1
    )
    assert look(database, "select count(*) from public.suppressions where lifted_at is null") == 0
    assert look(database, "select last_error from public.communications where id = %s", message) == "5.1.1"


def test_what_nobody_answered_is_settled_by_its_webhook(database: Database) -> None:
    arrived, lost = (under_way(database, CARLA.customer_id) for _ in range(2))
    for message in (arrived, lost):
        outcome(database, message, "unknown")
    tell(database, event(arrived, "delivered"), event(lost, "failed", code="5.0.0"))
    assert (status_of(database, arrived), status_of(database, lost)) == ("delivered", "failed")
    assert look(database, "select sent_at is not null from public.communications where id = %s", arrived)


def test_events_wait_while_a_worker_holds_the_message(database: Database) -> None:
    message = under_way(database, CARLA.customer_id)
    tell(database, event(message, "delivered"))
    assert status_of(database, message) == "sending"
    outcome(database, message, "sent", "msg-1")
    assert status_of(database, message) == "delivered"


def test_a_failure_of_an_earlier_attempt_does_not_fail_the_present_one(database: Database) -> None:
    message = sent(database, CARLA.customer_id, provider_id="msg-1")
    tell(database, event(message, "failed", provider_id="msg-1"))
    change(database, "update public.communications set status = 'queued' where id = %s", message)
    late = event(message, "failed", provider_id="msg-1", event="dropped")
    tell(database, late)
    assert status_of(database, message) == "queued", "nor does it undo the wish to try again"
    change(
        database,
        "update public.communications set status = 'sending', attempt = 2, claimed_at = clock_timestamp()"
        " where id = %s",
        message,
    )
    outcome(database, message, "sent", "msg-2")
    assert status_of(database, message) == "sent"
    tell(database, event(message, "failed", provider_id="msg-1", event="bounce"))
    assert status_of(database, message) == "sent"
    tell(database, event(message, "failed", provider_id="msg-2"))
    assert status_of(database, message) == "failed"


def test_what_went_out_before_and_failed_does_not_pass_for_the_next_attempt(database: Database) -> None:
    message = sent(database, CARLA.customer_id, provider_id="msg-1")
    tell(database, event(message, "sent", provider_id="msg-1"), event(message, "failed", provider_id="msg-1"))
    assert status_of(database, message) == "failed"
    again = (
        "update public.communications set status = 'queued' where id = %s",
        "update public.communications set status = 'sending', attempt = 2, claimed_at = clock_timestamp()"
        " where id = %s",
    )
    for step in again:
        change(database, step, message)
    outcome(database, message, "queued")
    assert status_of(database, message) == "queued", "it is still to be tried"
    tell(database, event(message, "sent", provider_id="msg-1", event="deferred"))
    assert status_of(database, message) == "queued"


def test_what_went_out_unanswered_counts_when_it_is_to_be_sent_again(database: Database) -> None:
    message = under_way(database, CARLA.customer_id)
    outcome(database, message, "unknown")
    change(database, "update public.communications set status = 'queued' where id = %s", message)
    tell(database, event(message, "sent", provider_id="msg-1"))
    assert status_of(database, message) == "sent", "it is not sent twice"


def test_an_arrival_counts_for_every_attempt_and_nothing_is_sent_twice(database: Database) -> None:
    message = under_way(database, CARLA.customer_id)
    outcome(database, message, "unknown")
    change(database, "update public.communications set status = 'queued' where id = %s", message)
    tell(database, event(message, "delivered"))
    assert status_of(database, message) == "delivered"
    with database.connect("worker") as connection:
        claimed = connection.execute("select * from private.claim_jobs('send', 50, 1)").fetchall()
    assert message not in [row["job"]["subject_id"] for row in claimed]


def test_an_account_tells_only_of_what_was_sent_by_it(database: Database) -> None:
    noord, zuid = account(database, NOORD, "email"), account(database, ZUID, "email")
    theirs = sent(database, CARLA_AT_ZUID.customer_id, account_id=zuid)
    ours = sent(database, KAREL.customer_id, account_id=noord)
    platform = sent(database, KAREL.customer_id)
    fresh = sent(database, KAREL.customer_id)
    change(database, "update public.communications set attempt = 0 where id = %s", fresh)
    refused_ones = [event(theirs), event(platform), event(fresh)]
    assert tell(database, *refused_ones, event(ours), account_id=noord) == {
        "stored": 1, "known": 0, "refused": 3,
    }  # fmt: skip
    assert tell(database, event(ours, "read"), event(theirs, "read")) == {
        "stored": 0, "known": 0, "refused": 2,
    }  # fmt: skip
    assert [status_of(database, one) for one in (ours, theirs, platform)] == ["delivered", "sent", "sent"]
    assert tell(database, event(theirs, "read"), account_id=zuid)["stored"] == 1
    assert status_of(database, theirs) == "read"
    with refused("provider_account_not_found", 404):
        tell(database, event(ours), account_id="99999999-0000-4000-8000-000000000001")


def test_events_are_added_and_never_changed(database: Database) -> None:
    message = sent(database, CARLA.customer_id)
    tell(database, event(message))
    with refused("history_is_append_only", 409):
        change(database, "update public.delivery_events set status = 'failed'")
    with OLGA.acting(database) as connection:
        assert connection.execute(
            "select source, event from public.delivery_history where communication_id = %s", (message,)
        ).fetchall() == [{"source": "provider", "event": "delivered"}]
        with denied():
            connection.execute("delete from public.delivery_events")
    with database.connect("edge") as connection, denied():
        connection.execute("select from public.delivery_events")


def test_batches_at_the_same_moment_never_wait_for_each_other(database: Database) -> None:
    messages = [sent(database, CARLA.customer_id) for _ in range(20)]
    told = [
        event(message, status, event=status, event_key=f"sendgrid:{message}:{status}", suppression=stops)
        for message in messages
        for status, stops in (("failed", "bounce"), ("delivered", None), ("read", None))
    ]
    batches = [random.Random(seed).sample(told, len(told)) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda batch: tell(database, *batch), batches))
    assert sum(answer["stored"] for answer in answers) == len(told)
    assert {status_of(database, message) for message in messages} == {"read"}
    live = (
        "select count(*) from public.suppressions where address = 'carla@example.test' and lifted_at is null"
    )
    assert look(database, live) == 1
