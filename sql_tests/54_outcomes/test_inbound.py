"""Answers by SMS and WhatsApp reach the customer's conversation; what nobody is known for is kept."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA, ZUID
from sql_tests.outcomes import account, receive, sent
from sql_tests.steps import change, denied, look, refused, sign_in

pytestmark = pytest.mark.req("D9", "P12")

CARLAS, KARELS, NOBODYS = "+32470111111", "+32470222222", "+32499000000"
TALK = """
select array_agg(m.body order by m.created_at) from public.messages m
  join public.conversations c on c.garage_id = m.garage_id and c.id = m.conversation_id
 where c.customer_id = %s and m.sender = 'customer'
"""
WINDOW = "select private.has_open_window(%s, %s)"
INTO = {"is_new": True, "is_in_conversation": True}
KEPT = {"is_new": True, "is_in_conversation": False}


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def sms(database: Database) -> str:
    return account(database, NOORD)


@pytest.fixture
def whatsapp(database: Database) -> str:
    return account(database, NOORD, "whatsapp")


def test_an_answer_opens_a_conversation_and_goes_on_in_it(database: Database, sms: str) -> None:
    assert receive(database, sms, CARLAS, "Is hij klaar?") == INTO
    assert receive(database, sms, CARLAS, "Ik kom om vijf uur") == INTO
    assert look(database, TALK, CARLA.customer_id) == ["Is hij klaar?", "Ik kom om vijf uur"]
    assert look(database, "select count(*) from public.conversations") == 1
    assert look(database, TALK, CARLA_AT_ZUID.customer_id) is None, "the other garage knows nothing of it"
    assert look(database, "select count(*) from public.inbound_messages where body is not null") == 0
    assert look(database, "select array_agg(distinct channel) from public.messages") == ["sms"]
    session, _ = sign_in(database, CARLA)
    with CARLA.with_session(session["session_id"]).acting(database) as connection:
        rows = connection.execute("select body from portal.messages order by created_at").fetchall()
    assert [row["body"] for row in rows] == ["Is hij klaar?", "Ik kom om vijf uur"]
    assert look(database, "select count(*) from realtime.messages where event = 'message'") == 4


def test_a_closed_conversation_is_followed_by_a_new_one(database: Database, sms: str) -> None:
    receive(database, sms, CARLAS, "Dank u")
    change(database, "update public.conversations set closed_at = now()")
    assert receive(database, sms, CARLAS, "Toch nog iets") == INTO
    assert look(database, "select count(*) from public.conversations") == 2


def test_the_same_message_is_taken_once(database: Database, sms: str) -> None:
    said = {"provider_id": f"SM{uuid4().hex}"}
    assert receive(database, sms, CARLAS, "Eén keer", **said) == INTO
    for _ in range(99):
        assert receive(database, sms, CARLAS, "Eén keer", **said) == {"is_new": False}
    assert look(database, TALK, CARLA.customer_id) == ["Eén keer"]


def test_a_stranger_is_kept_until_somebody_says_whose_it_is(database: Database, sms: str) -> None:
    assert receive(database, sms, NOBODYS, "Met een nieuw nummer") == KEPT
    assert look(database, "select count(*) from public.messages") == 0
    waiting = look(database, "select id from public.inbound_messages where message_id is null")
    assign = "select public.assign_inbound_message(%s, %s)"
    for actor, customer, code, status in [
        (MARC, KAREL.customer_id, "permission_missing", 403),
        (OTTO, CARLA_AT_ZUID.customer_id, "inbound_message_not_found", 404),
        (RITA, CARLA_AT_ZUID.customer_id, "customer_not_found", 404),
    ]:
        with actor.acting(database) as connection, refused(code, status):
            connection.execute(assign, (waiting, customer))
    with RITA.acting(database) as connection:
        row = connection.execute("select body, sender_address from public.inbound_messages").fetchone()
        assert row == {"body": "Met een nieuw nummer", "sender_address": NOBODYS}
        connection.execute(assign, (waiting, KAREL.customer_id))
        connection.commit()
    assert look(database, TALK, KAREL.customer_id) == ["Met een nieuw nummer"]
    with RITA.acting(database) as connection, refused("inbound_message_not_found", 404):
        connection.execute(assign, (waiting, KAREL.customer_id))
    with OTTO.acting(database) as connection:
        assert connection.execute("select from public.inbound_messages").fetchall() == []
        with denied():
            connection.execute("delete from public.inbound_messages")


def test_of_several_with_one_number_who_was_written_to_answers(database: Database, sms: str) -> None:
    change(database, "update public.customers set phone = %s where id = %s", CARLAS, KAREL.customer_id)
    assert receive(database, sms, CARLAS, "Wie ben ik?") == KEPT
    sent(database, KAREL.customer_id, "sms", sms)
    assert receive(database, sms, CARLAS, "Goed, tot morgen") == INTO
    assert look(database, TALK, KAREL.customer_id) == ["Goed, tot morgen"]
    assert look(database, TALK, CARLA.customer_id) is None


@pytest.mark.parametrize("change_it", ["archived_at = now()", "phone = null"])
def test_who_is_a_customer_no_more_is_a_stranger(database: Database, sms: str, change_it: str) -> None:
    change(database, f"update public.customers set {change_it} where id = %s", CARLA.customer_id)
    assert receive(database, sms, CARLAS, "Hallo?") == KEPT


def test_without_conversations_nothing_is_lost(database: Database, sms: str) -> None:
    change(database, "update public.garage_modules set is_enabled = false where module = 'conversations'")
    assert receive(database, sms, CARLAS, "Hallo?") == KEPT
    assert look(database, "select (body, customer_id::text)::text from public.inbound_messages") == (
        f"(Hallo?,{CARLA.customer_id})"
    )


@pytest.mark.parametrize(
    ("body", "media", "expected"),
    [
        ("Zie foto", 2, ["Zie foto\n(met een bijlage, hier niet overgenomen)"]),
        ("", 1, ["(met een bijlage, hier niet overgenomen)"]),
        ("x" * 5000, 0, ["x" * 4000]),
        ("", 0, None),
        ("  \n ", 0, None),
    ],
)
def test_long_empty_and_pictured_messages_are_taken(
    database: Database, sms: str, body: str, media: int, expected: list[str] | None
) -> None:
    assert receive(database, sms, CARLAS, body, media_count=media)["is_new"]
    assert look(database, TALK, CARLA.customer_id) == expected


def test_whatsapps_window_is_open_for_24_hours_after_the_customers_last_words(
    database: Database, sms: str, whatsapp: str
) -> None:
    receive(database, sms, CARLAS, "Per sms")
    assert not look(database, WINDOW, NOORD, CARLA.customer_id)
    receive(database, whatsapp, CARLAS, "Per WhatsApp", "whatsapp")
    assert look(database, WINDOW, NOORD, CARLA.customer_id)
    assert not look(database, WINDOW, NOORD, KAREL.customer_id)
    assert not look(database, WINDOW, ZUID, CARLA.customer_id)
    age = "update public.inbound_messages set created_at = now() - interval %s"
    change(database, age % "'23 hours 59 minutes'")
    assert look(database, WINDOW, NOORD, CARLA.customer_id)
    change(database, age % "'24 hours 1 minute'")
    assert not look(database, WINDOW, NOORD, CARLA.customer_id)


def test_an_account_out_of_use_takes_nothing_in(database: Database, sms: str) -> None:
    assert receive(database, sms, CARLAS, "Dag")["is_new"]
    change(database, "update public.provider_accounts set secret_id = null")
    with refused("provider_account_not_found", 404):
        receive(database, sms, CARLAS, "Dag")
    assert look(database, "select private.webhook_account(%s) ->> 'secret'", sms) is None


def test_answers_at_the_same_moment_share_a_conversation_and_come_once(database: Database, sms: str) -> None:
    said = [{"provider_id": f"SM{uuid4().hex}"} for _ in range(6)] * 3
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda one: receive(database, sms, CARLAS, "Tegelijk", **one), said))
    assert sum(answer["is_new"] for answer in answers) == 6
    assert look(database, TALK, CARLA.customer_id) == ["Tegelijk"] * 6
    assert look(database, "select count(*) from public.conversations") == 1
