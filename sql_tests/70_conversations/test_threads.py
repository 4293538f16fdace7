"""One open thread per customer, and a push for what the garage writes: the edges of a conversation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, KAREL, MARC, NOORD, OTTO, RITA, SERVICE_ROLE, Actor, Customer
from sql_tests.steps import denied, look, one, refused, sign_in

pytestmark = pytest.mark.req("P12")

ANSWER = "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, 'Ja')"
REOPEN = "update public.conversations set closed_at = null where id = %s"
BEGIN = "insert into public.conversations (garage_id, customer_id) values (%s, %s) returning id"
SWITCH = "update public.garage_modules set is_enabled = false where garage_id = %s and module = %s"


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def thread_of(connection: Connection, customer: Customer) -> str:
    query = "select id::text from public.conversations where customer_id = %s and closed_at is null"
    return str(one(connection, query, customer.customer_id))


def pushes(connection: Connection) -> int:
    return int(one(connection, "select count(*) from public.push_notifications"))


def test_parallel_first_messages_share_one_conversation(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, KAREL)
    start = Barrier(6)

    def send(number: int) -> str:
        with KAREL.with_session(session["session_id"]).acting(fresh_database) as connection:
            start.wait(30)
            found = one(connection, "select (portal.send_message(%s)).conversation_id", f"Bericht {number}")
            connection.commit()
        return str(found)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(send, range(6)))) == 1
    assert look(fresh_database, "select count(*) from public.messages") == 6


def test_the_message_is_answered_as_stored(busy_database: Database) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        sent = connection.execute("select * from portal.send_message('  Dag  ')").fetchone()
        assert sent is not None
        stored = connection.execute("select * from portal.messages where id = %s", (sent["id"],)).fetchone()
        assert sent == stored
        assert (sent["sender"], sent["read_at"], sent["body"]) == ("customer", None, "  Dag  ")


@pytest.mark.parametrize("body", ["\n", "\t\n "])
def test_a_message_of_white_space_is_empty(busy_database: Database, body: str) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        connection.execute("select portal.send_message('Dag')")
        with refused("message_body_invalid"):
            connection.execute("select portal.send_message(%s)", (body,))


@pytest.mark.parametrize("body", ["x" * 4000, "é" * 4000, "regel\nregel", "' or true --", "🚗"])
def test_whatever_else_people_write_is_kept(busy_database: Database, body: str) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        assert one(connection, "select (portal.send_message(%s)).body", body) == body


@pytest.mark.req("D2")
def test_a_switched_off_module_refuses_both_sides(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    calls = (
        (CARLA.actor, "select portal.send_message('Dag')"),
        (RITA, f"select public.mark_conversation_read('{thread}')"),
        (RITA, ANSWER.replace("%s", "'{}'").format(NOORD, thread)),
    )
    for actor, call in calls:
        with probes.acting(connection, actor):
            connection.execute(call.encode())
    connection.execute(SWITCH, (NOORD, "conversations"))
    for actor, call in calls:
        with refused("module_closed", 403), probes.acting(connection, actor):
            connection.execute(call.encode())
    with probes.acting(connection, CARLA.actor):
        assert one(connection, f"select portal.mark_conversation_read('{thread}')") == 0


def test_staff_open_one_conversation_per_customer_and_write_in_open_ones_alone(
    connection: Connection,
) -> None:
    thread = thread_of(connection, CARLA)
    with refused("conversation_open_already", 409), probes.acting(connection, RITA):
        connection.execute(BEGIN, (NOORD, CARLA.customer_id))
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread))
        connection.execute("update public.conversations set closed_at = now() where id = %s", (thread,))
        second = one(connection, BEGIN, NOORD, CARLA.customer_id)
        connection.execute(ANSWER, (NOORD, second))
        with refused("conversation_open_already", 409), connection.transaction():
            connection.execute(REOPEN, (thread,))
        with refused("conversation_not_found", 404):
            connection.execute(ANSWER, (NOORD, thread))


@pytest.mark.req("D1")
def test_staff_of_another_garage_write_into_no_thread(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    theirs = str(OTTO.claims["garage_id"])
    for garage_id in (NOORD, theirs):
        with refused("conversation_not_found", 404), probes.acting(connection, OTTO):
            connection.execute(ANSWER, (garage_id, thread))
    with denied(), probes.acting(connection, OTTO):
        connection.execute(BEGIN, (NOORD, KAREL.customer_id))
    with pytest.raises(psycopg.Error), probes.acting(connection, OTTO):
        connection.execute(BEGIN, (theirs, KAREL.customer_id))
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread))


@pytest.mark.req("D3")
def test_a_mechanic_marks_nothing_as_read(connection: Connection) -> None:
    call, thread = "select public.mark_conversation_read(%s)", thread_of(connection, CARLA)
    with refused("permission_missing", 403), probes.acting(connection, MARC):
        connection.execute(call, (thread,))
    with probes.acting(connection, RITA):
        assert one(connection, call, thread) == 1


def test_a_read_mark_keeps_the_moment_of_the_first_reading(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    connection.execute("update public.messages set read_at = timestamptz '2026-01-01 12:00+00'")
    for actor, call in ((CARLA.actor, "portal"), (RITA, "public")):
        with probes.acting(connection, actor):
            assert one(connection, f"select {call}.mark_conversation_read(%s)", thread) == 0
    moments = "select count(*) from public.messages where read_at <> timestamptz '2026-01-01 12:00+00'"
    assert one(connection, moments) == 0
    connection.execute("update public.messages set read_at = null")
    for actor, call in ((CARLA.actor, "portal"), (RITA, "public")):
        with probes.acting(connection, actor):
            assert one(connection, f"select {call}.mark_conversation_read(%s)", thread) > 0


@pytest.mark.parametrize("actor", [ANON, SERVICE_ROLE, OTTO], ids=lambda actor: actor.name)
def test_only_customers_speak_for_customers(busy_database: Database, actor: Actor) -> None:
    for call in ("send_message('Dag')", "mark_conversation_read(null)"):
        with CARLA.actor.acting(busy_database) as connection:
            connection.execute(f"select portal.{call}".encode())
        with actor.acting(busy_database) as connection, denied():
            connection.execute(f"select portal.{call}".encode())


@pytest.mark.req("P14")
def test_what_the_garage_writes_is_pushed_and_what_the_customer_writes_is_not(connection: Connection) -> None:
    before = pushes(connection)
    with probes.acting(connection, CARLA.actor):
        connection.execute("select portal.send_message('Dag')")
        connection.execute("reset role")
        assert pushes(connection) == before
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread_of(connection, CARLA)))
        connection.execute("reset role")
        assert pushes(connection) == before + 1
        newest = "select template || ' ' || locale || ' ' || status from public.push_notifications"
        assert one(connection, f"{newest} order by created_at desc limit 1") == "message_received nl queued"


@pytest.mark.req("P14", "D2")
@pytest.mark.parametrize(
    "closing",
    [
        "update public.push_devices set retired_at = now()",
        "update public.portal_devices set revoked_at = now()",
        "update public.portal_accounts set deactivated_at = now()",
        "update public.garage_modules set is_enabled = false where module = 'push'",
        "delete from public.push_notifications; delete from public.push_devices",
    ],
    ids=["retired token", "revoked device", "closed account", "module off", "no token"],
)
def test_nothing_is_pushed_to_a_phone_that_is_no_longer_theirs(connection: Connection, closing: str) -> None:
    connection.execute("delete from public.delivery_attempts where push_notification_id is not null")
    connection.execute(closing.encode())
    before = pushes(connection)
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread_of(connection, CARLA)))
        connection.execute("reset role")
        assert pushes(connection) == before
