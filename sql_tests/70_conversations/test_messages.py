"""Customer and garage write to each other; nobody speaks or reads for the other side."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import change, denied, look, one, refused, sign_in

pytestmark = pytest.mark.req("P12")

NOWHERE = "99999999-0000-4000-8000-000000000009"


def conversation_of(database: Database, customer_id: str) -> str:
    return str(look(database, "select id from public.conversations where customer_id = %s", customer_id))


def say(connection: Connection, body: str | None, conversation_id: str | None = None) -> dict[str, object]:
    row = connection.execute("select * from portal.send_message(%s, %s)", (body, conversation_id)).fetchone()
    assert row is not None
    return row


def test_a_message_reaches_the_garage_and_its_answer_the_customer(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    with carla.acting(fresh_database) as connection:
        sent = say(connection, "Is mijn auto klaar?")
        assert say(connection, "En wanneer?")["conversation_id"] == sent["conversation_id"]
        connection.commit()
    assert (sent["sender"], sent["read_at"], str(sent["garage_id"])) == ("customer", None, NOORD)
    answer = "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, 'Om vijf uur')"
    with RITA.acting(fresh_database) as connection:
        query = "select body from public.messages where sender = 'customer' order by created_at, body"
        assert [row["body"] for row in connection.execute(query)] == ["En wanneer?", "Is mijn auto klaar?"]
        connection.execute(answer, (NOORD, sent["conversation_id"]))
        assert (
            one(connection, "select author_user_id::text from public.messages where sender = 'garage'")
            == RITA.claims["sub"]
        )
        connection.commit()
    with carla.acting(fresh_database) as connection:
        assert one(connection, "select body from portal.messages where sender = 'garage'") == "Om vijf uur"
    assert look(fresh_database, "select template from public.push_notifications") == "message_received"


def test_each_side_marks_only_what_the_other_wrote(busy_database: Database) -> None:
    conversation_id = conversation_of(busy_database, CARLA.customer_id)
    unread = "select array_agg(sender order by sender) from {} where read_at is null"
    with CARLA.actor.acting(busy_database) as connection:
        assert one(connection, unread.format("portal.messages")) == ["customer", "garage"]
        assert one(connection, "select portal.mark_conversation_read(%s)", conversation_id) == 1
        assert one(connection, unread.format("portal.messages")) == ["customer"]
        assert one(connection, "select portal.mark_conversation_read(%s)", conversation_id) == 0
    with RITA.acting(busy_database) as connection:
        assert one(connection, "select public.mark_conversation_read(%s)", conversation_id) == 1
        mine = "select count(*) from public.messages where read_at is not null and sender = 'garage'"
        assert one(connection, mine) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update public.messages set read_at = now()",
        "update public.messages set body = 'x'",
        "delete from public.messages",
        "insert into public.messages (garage_id, conversation_id, body, sender)"
        " select garage_id, id, 'x', 'customer' from public.conversations limit 1",
        "insert into public.messages (garage_id, conversation_id, body, read_at)"
        " select garage_id, id, 'x', now() from public.conversations limit 1",
        "insert into public.messages (garage_id, conversation_id, body, author_user_id)"
        " select garage_id, id, 'x', null from public.conversations limit 1",
    ],
)
def test_staff_forge_no_receipt_no_sender_and_no_text(busy_database: Database, statement: str) -> None:
    with RITA.acting(busy_database) as connection, denied():
        connection.execute(statement.encode())


@pytest.mark.req("D1")
def test_foreign_closed_and_missing_conversations_are_refused_alike(busy_database: Database) -> None:
    foreign = [conversation_of(busy_database, who.customer_id) for who in (KAREL, CARLA_AT_ZUID)]
    for conversation_id in (*foreign, NOWHERE):
        with CARLA.actor.acting(busy_database) as connection:
            with refused("conversation_not_found", 404), connection.transaction():
                say(connection, "Hallo", conversation_id)
            assert one(connection, "select portal.mark_conversation_read(%s)", conversation_id) == 0
            assert (
                say(connection, "Hallo", conversation_of(busy_database, CARLA.customer_id))["body"] == "Hallo"
            )
    with OTTO.acting(busy_database) as connection:
        assert one(connection, "select public.mark_conversation_read(%s)", foreign[0]) == 0


def test_a_closed_conversation_takes_no_message_and_the_next_one_begins_another(
    fresh_database: Database,
) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    with carla.acting(fresh_database) as connection:
        first = str(say(connection, "Dag")["conversation_id"])
        connection.commit()
    with RITA.acting(fresh_database) as connection:
        connection.execute("update public.conversations set closed_at = now()")
        connection.commit()
    with carla.acting(fresh_database) as connection:
        with refused("conversation_not_found", 404), connection.transaction():
            say(connection, "Nog iets", first)
        assert str(say(connection, "Nog iets")["conversation_id"]) != first


@pytest.mark.parametrize("body", ["", "   ", "x" * 4001, None])
def test_an_empty_or_endless_message_is_refused_on_both_sides(
    busy_database: Database, body: str | None
) -> None:
    with CARLA.actor.acting(busy_database) as connection, refused("message_body_invalid"):
        say(connection, body)
    with RITA.acting(busy_database) as connection, refused("message_body_invalid"):
        connection.execute(
            "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, %s)",
            (NOORD, conversation_of(busy_database, CARLA.customer_id), body),
        )
    with CARLA.actor.acting(busy_database) as connection:
        assert len(str(say(connection, "x" * 4000)["body"])) == 4000


@pytest.mark.req("S4")
def test_twenty_messages_a_minute_and_no_more(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    with carla.acting(fresh_database) as connection:
        for number in range(20):
            say(connection, f"Bericht {number}")
        connection.commit()
    for _ in range(2):
        with carla.acting(fresh_database) as connection, refused("too_many_messages", 429):
            say(connection, "Nog een")
    karel, _ = sign_in(fresh_database, KAREL)
    with KAREL.with_session(karel["session_id"]).acting(fresh_database) as connection:
        assert say(connection, "Dag")["body"] == "Dag"
    change(fresh_database, "update private.rate_limits set window_started_at = now() - interval '2 minutes'")
    with carla.acting(fresh_database) as connection:
        assert say(connection, "Daar ben ik weer")["sender"] == "customer"


@pytest.mark.req("D3")
def test_a_mechanic_neither_reads_nor_writes_messages(busy_database: Database) -> None:
    write = "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, 'Dag')"
    arguments = (NOORD, conversation_of(busy_database, CARLA.customer_id))
    with MARC.acting(busy_database) as connection:
        assert one(connection, "select count(*) from public.messages") == 0
        with refused("permission_missing", 403):
            connection.execute(write, arguments)
    with RITA.acting(busy_database) as connection:
        assert one(connection, "select count(*) from public.messages") == 4
        assert connection.execute(write, arguments).rowcount == 1


@pytest.mark.req("P14")
def test_a_push_token_belongs_to_the_device_of_the_session(busy_database: Database) -> None:
    register = "select portal.register_push_token(%s)"
    with CARLA.actor.acting(busy_database) as connection:
        with refused("push_token_invalid"), connection.transaction():
            connection.execute(register, ("not a token",))
        connection.execute(register, ("ExponentPushToken[AnotherOneOfCarla001]",))
    with RITA.acting(busy_database) as connection:
        query = "select count(*) from public.push_devices where portal_device_id = %s"
        assert one(connection, query, CARLA.portal_device_id) == 1
        with denied():
            connection.execute("select expo_token from public.push_devices")
