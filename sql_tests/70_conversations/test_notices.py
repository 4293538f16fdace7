"""Who is told of a message: both sides at once over Realtime, the absent customer by push, else by mail."""

from collections.abc import Iterator

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import (
    ANON,
    CARLA,
    CARLA_AT_ZUID,
    KAREL,
    MARC,
    NOORD,
    OTTO,
    RITA,
    RITA_MEMBERSHIP,
    Actor,
    Customer,
)
from sql_tests.steps import claim, denied, finish, one, refused, sign_in

pytestmark = pytest.mark.req("P12")

ANSWER = "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, %s)"
TOLD = "select topic, event, payload - 'id' as payload from realtime.messages order by inserted_at, topic"
NO_PHONE = "update public.push_devices set retired_at = now()"


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        connection.execute("delete from realtime.messages")
        connection.execute("delete from public.push_notifications where template = 'message_received'")
        yield connection
        connection.rollback()


def thread_of(connection: Connection, customer: Customer) -> str:
    query = "select id::text from public.conversations where customer_id = %s and closed_at is null"
    return str(one(connection, query, customer.customer_id))


def as_owner(connection: Connection, actor: Actor, statement: str, *arguments: object) -> None:
    """Do it as somebody, without undoing it."""
    connection.execute("select set_config('role', %s, true)", (actor.role,))
    connection.execute(
        "select set_config('request.jwt.claims', %s::jsonb::text, true)", (Jsonb(dict(actor.claims)),)
    )
    connection.execute(statement.encode(), arguments)
    connection.execute("reset role")


def listens(connection: Connection, actor: Actor, topic: str) -> bool:
    """Would Realtime let them into this private channel? It asks just so."""
    connection.execute(
        "insert into realtime.messages (topic, extension, private) values (%s, 'broadcast', true)", (topic,)
    )
    with probes.acting(connection, actor):
        connection.execute("select set_config('realtime.topic', %s, true)", (topic,))
        query = "select count(*) from realtime.messages where topic = %s"
        return bool(one(connection, query, topic))


def test_both_sides_hear_of_a_message_and_of_its_being_read_and_never_what_it_says(
    connection: Connection,
) -> None:
    thread = thread_of(connection, CARLA)
    topics = [f"garage:{NOORD}:conversations", f"garage:{NOORD}:customer:{CARLA.customer_id}"]
    steps: list[tuple[Actor, str, str, dict[str, object]]] = [
        (RITA, f"select public.mark_conversation_read('{thread}')", "read", {"reader": "garage"}),
        (RITA, ANSWER.replace("%s", "'{}'").format(NOORD, thread, "Geheim"), "message", {"sender": "garage"}),
        (CARLA.actor, f"select portal.mark_conversation_read('{thread}')", "read", {"reader": "customer"}),
        (CARLA.actor, "select portal.send_message('Ook geheim')", "message", {"sender": "customer"}),
    ]
    for actor, statement, event, said in steps:
        connection.execute("delete from realtime.messages")
        as_owner(connection, actor, statement)
        told = connection.execute(TOLD).fetchall()
        assert [notice["topic"] for notice in told] == topics
        for notice in told:
            rest = {key: value for key, value in notice["payload"].items() if key != "message_id"}
            assert (notice["event"], rest) == (event, {"conversation_id": thread, **said})
    connection.execute("delete from realtime.messages")
    as_owner(connection, CARLA.actor, f"select portal.mark_conversation_read('{thread}')")
    assert connection.execute(TOLD).fetchall() == []


@pytest.mark.req("D1")
def test_a_customer_listens_on_their_own_channel_alone(connection: Connection) -> None:
    def topic(customer: Customer) -> str:
        return f"garage:{customer.garage_id}:customer:{customer.customer_id}"

    for customer in (CARLA, KAREL, CARLA_AT_ZUID):
        others = {CARLA, KAREL, CARLA_AT_ZUID} - {customer}
        assert listens(connection, customer.actor, topic(customer))
        assert not any(listens(connection, customer.actor, topic(other)) for other in others)
        for invented in (
            "garage::customer:",
            "garage:%:customer:%",
            f"garage:{customer.garage_id}:customer:",
            topic(customer).upper(),
        ):
            assert not listens(connection, customer.actor, invented)
        assert not listens(connection, customer.actor, f"garage:{customer.garage_id}:conversations")
    for actor in (RITA, OTTO, ANON):
        assert not listens(connection, actor, topic(CARLA))
    assert listens(connection, RITA, f"garage:{NOORD}:conversations")
    assert not listens(connection, MARC, f"garage:{NOORD}:conversations")
    connection.execute("update public.garage_modules set is_enabled = false where module = 'conversations'")
    assert not listens(connection, CARLA.actor, topic(CARLA))


@pytest.mark.parametrize("actor", [RITA, CARLA.actor, ANON], ids=lambda actor: actor.name)
def test_nobody_but_the_database_speaks_on_these_channels(connection: Connection, actor: Actor) -> None:
    for topic in (f"garage:{NOORD}:customer:{CARLA.customer_id}", f"garage:{NOORD}:conversations"):
        with denied(), probes.acting(connection, actor):
            connection.execute("select set_config('realtime.topic', %s, true)", (topic,))
            connection.execute(
                "insert into realtime.messages (topic, extension, event, payload, private)"
                " values (%s, 'broadcast', 'read', '{\"reader\": \"customer\"}', true)",
                (topic,),
            )


def test_unread_messages_are_counted_for_each_side(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    query = "select unread_count from portal.conversations where id = %s"
    theirs = "select c.unread_count from public.conversations c where c.id = %s"
    with probes.acting(connection, CARLA.actor):
        assert one(connection, query, thread) == 1
        connection.execute("select portal.mark_conversation_read(%s)", (thread,))
        assert one(connection, query, thread) == 0
        connection.execute("select portal.send_message('En nog iets')")
        assert one(connection, query, thread) == 0
    with probes.acting(connection, RITA):
        assert one(connection, theirs, thread) == 1
        connection.execute("select public.mark_conversation_read(%s)", (thread,))
        assert one(connection, theirs, thread) == 0


def test_a_conversation_is_given_to_a_colleague_closed_and_taken_up_again(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    update = "update public.conversations set {} where id = %s"
    with probes.acting(connection, RITA):
        give = update.format("assigned_to = %s")
        assert connection.execute(give.encode(), (RITA_MEMBERSHIP, thread)).rowcount == 1
        with refused("member_not_found", 404), connection.transaction():
            connection.execute(give.encode(), ("2a222222-0000-4000-8000-000000000004", thread))
        close = update.format("closed_at = timestamptz '2020-01-01'")
        connection.execute(close.encode(), (thread,))
        moment = "select closed_at = now() from public.conversations where id = %s"
        assert one(connection, moment, thread)
        connection.execute(update.format("closed_at = null").encode(), (thread,))
        connection.execute(ANSWER, (NOORD, thread, "Toch nog iets"))
        connection.execute(update.format("closed_at = now()").encode(), (thread,))
        connection.execute(
            "insert into public.conversations (garage_id, customer_id) values (%s, %s)",
            (NOORD, CARLA.customer_id),
        )
        with refused("conversation_open_already", 409):
            connection.execute(update.format("closed_at = null").encode(), (thread,))
    with refused("permission_missing", 403), probes.acting(connection, MARC):
        connection.execute(update.format("closed_at = now()").encode(), (thread,))
    connection.execute("update public.memberships set deactivated_at = now() where full_name like 'Marc%'")
    with refused("member_not_active", 409), probes.acting(connection, RITA):
        connection.execute(
            update.format("assigned_to = %s").encode(), ("2a222222-0000-4000-8000-000000000003", thread)
        )


def waiting(connection: Connection, thread: str) -> dict[str, int]:
    """What is still to be told of a conversation, by kind."""
    query = "select (select count(*)::int from public.push_notifications where conversation_id = %(thread)s"
    query += " and status = 'queued') as push, (select count(*)::int from public.communications"
    query += " where conversation_id = %(thread)s and status = 'queued') as mail"
    row = connection.execute(query.encode(), {"thread": thread}).fetchone()
    assert row is not None
    return row


@pytest.mark.req("P14")
def test_a_phone_is_told_and_only_without_one_a_mail_is_sent_once_until_it_is_read(
    connection: Connection,
) -> None:
    thread = thread_of(connection, CARLA)
    as_owner(connection, CARLA.actor, f"select portal.mark_conversation_read('{thread}')")
    as_owner(connection, RITA, ANSWER, NOORD, thread, "Hij is klaar")
    assert waiting(connection, thread) == {"push": 1, "mail": 0}
    connection.execute(NO_PHONE)
    for text in ("Nog iets", "En nog iets"):
        as_owner(connection, RITA, ANSWER, NOORD, thread, text)
    assert waiting(connection, thread) == {"push": 1, "mail": 1}
    as_owner(connection, CARLA.actor, f"select portal.mark_conversation_read('{thread}')")
    assert waiting(connection, thread) == {"push": 0, "mail": 0}


@pytest.mark.req("D2")
@pytest.mark.parametrize(
    "closing",
    [
        "update public.garage_modules set is_enabled = false where module = 'email'",
        "update public.portal_accounts set deactivated_at = now()",
        "update public.customers set email = null",
        "insert into public.customer_opt_outs (garage_id, customer_id, channel)"
        " select garage_id, id, 'email' from public.customers",
    ],
    ids=["module off", "no account", "no address", "opted out"],
)
def test_no_mail_is_sent_to_who_cannot_or_will_not_have_it(connection: Connection, closing: str) -> None:
    thread = thread_of(connection, CARLA)
    connection.execute(NO_PHONE)
    as_owner(connection, CARLA.actor, f"select portal.mark_conversation_read('{thread}')")
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread, "Hij is klaar"))
        connection.execute("reset role")
        assert waiting(connection, thread)["mail"] == 1
    connection.execute(closing.encode())
    with probes.acting(connection, RITA):
        connection.execute(ANSWER, (NOORD, thread, "Hij is klaar"))
        connection.execute("reset role")
        assert waiting(connection, thread)["mail"] == 0


def tell(database: Database, queue: str) -> None:
    """Send the one notice that waits in a queue, and see that it says nothing of the message."""
    assert claim(database, queue) == []
    with database.connect() as connection:
        connection.execute(f"select pgmq.set_vt('{queue}', msg_id, 0) from pgmq.q_{queue}".encode())
    (claimed,) = claim(database, queue)
    assert claimed["job"]["template"] == "message_received"
    assert "Kom maar" not in str(claimed["job"]) and "Ja" not in str(claimed["job"])
    finish(database, queue, claimed)


def test_a_notice_that_failed_silences_nobody(connection: Connection) -> None:
    thread = thread_of(connection, CARLA)
    mails = "select count(*) from public.communications where conversation_id = %s"
    as_owner(connection, CARLA.actor, f"select portal.mark_conversation_read('{thread}')")
    connection.execute(NO_PHONE)
    before = one(connection, mails, thread)
    as_owner(connection, RITA, ANSWER, NOORD, thread, "Hij is klaar")
    as_owner(connection, RITA, ANSWER, NOORD, thread, "Nog iets")
    assert one(connection, mails, thread) == before + 1
    connection.execute(
        "update public.communications set status = 'failed', last_error = 'http_400'"
        " where conversation_id = %s and status = 'queued'",
        (thread,),
    )
    as_owner(connection, RITA, ANSWER, NOORD, thread, "En nog iets")
    assert one(connection, mails, thread) == before + 2


@pytest.mark.req("D8")
def test_a_notice_waits_and_then_says_that_there_is_a_message(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    with carla.acting(fresh_database) as connection:
        thread = one(connection, "select (portal.send_message('Is hij klaar?')).conversation_id::text")
        connection.commit()
    with RITA.acting(fresh_database) as connection:
        connection.execute(ANSWER, (NOORD, thread, "Ja"))
        connection.commit()
    tell(fresh_database, "push")
    with fresh_database.connect() as connection:
        connection.execute(NO_PHONE)
    with RITA.acting(fresh_database) as connection:
        connection.execute(ANSWER, (NOORD, thread, "Kom maar"))
        connection.commit()
    tell(fresh_database, "send")
    with carla.acting(fresh_database) as connection:
        connection.execute("select portal.mark_conversation_read(%s)", (thread,))
        connection.commit()
    with fresh_database.connect() as connection:
        assert one(connection, "select count(*) from public.communications where status = 'sent'") == 1
