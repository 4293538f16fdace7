"""Who takes no more messages: bounces, complaints, STOP and dead numbers, per garage and channel."""

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID
from sql_tests.outcomes import account, event, receive, sent, tell
from sql_tests.steps import change, claim, denied, look, one, refused

pytestmark = pytest.mark.req("D9")

LIVE = "select reason from public.suppressions where garage_id = %s and address = %s and lifted_at is null"
LIFT = "select public.lift_suppression(%s, %s)"
OPTED_OUT = "select exists (select from public.customer_opt_outs where customer_id = %s and channel = %s)"


@pytest.fixture(autouse=True)
def no_suppressions(database: Database) -> None:
    change(
        database,
        "delete from public.suppressions; delete from public.customer_opt_outs; delete from pgmq.q_send",
    )


def suppressed(database: Database, garage_id: str, channel: str, address: str) -> bool:
    return bool(look(database, "select private.is_suppressed(%s, %s, %s)", garage_id, channel, address))


@pytest.mark.parametrize("reason", ["bounce", "complaint", "unreachable", "stop"])
def test_a_suppressed_address_gets_nothing_more_of_that_garage_on_that_channel(
    database: Database, reason: str
) -> None:
    message = sent(database, CARLA.customer_id)
    tell(database, event(message, "failed", suppression=reason, code="5.1.1", address="CARLA@example.test"))
    assert look(database, LIVE, NOORD, "carla@example.test") == reason
    assert suppressed(database, NOORD, "email", "Carla@Example.test")
    assert not suppressed(database, NOORD, "sms", "carla@example.test")
    assert not suppressed(database, ZUID, "email", "carla@example.test")
    assert look(database, OPTED_OUT, CARLA.customer_id, "email") == (reason == "stop")


def test_no_mail_is_handed_out_for_a_suppressed_address(database: Database) -> None:
    first = sent(database, CARLA.customer_id)
    tell(database, event(first, "failed", suppression="bounce"))
    again = (
        "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
        " select garage_id, id, 'portal_notice', locale, email from public.customers where id = %s"
        " returning id::text"
    )
    mail = (
        "insert into private.portal_mails (garage_id, communication_id, event)"
        " select garage_id, id, 'pin_changed' from public.communications where id = %s"
    )
    stopped, fine = (look(database, again, who.customer_id) for who in (CARLA, KAREL))
    for message in (stopped, fine):
        change(database, mail, message)
    assert [row["job"]["subject_id"] for row in claim(database, "send")] == [fine]
    assert look(database, "select status from public.communications where id = %s", stopped) == "failed"


def test_an_event_about_another_address_suppresses_nobody(database: Database) -> None:
    message = sent(database, CARLA.customer_id)
    tell(database, event(message, "failed", suppression="bounce", address="karel@example.test"))
    assert look(database, "select count(*) from public.suppressions") == 0
    tell(database, event(message, "failed", suppression="bounce"))
    assert look(database, "select count(*) from public.suppressions") == 1


def test_a_retry_to_a_suppressed_address_is_refused_in_words(database: Database) -> None:
    invoice = "update public.communications set template = 'invoice_issued' where id = %s"
    message = sent(database, CARLA.customer_id)
    change(database, invoice, message)
    tell(database, event(message, "failed", suppression="bounce"))
    with RITA.acting(database) as connection, refused("recipient_suppressed", 409):
        connection.execute("select public.retry_delivery(%s)", (message,))
    assert look(database, "select status from public.communications where id = %s", message) == "failed"
    with RITA.acting(database) as connection:
        connection.execute(LIFT, (one(connection, "select id from public.suppressions"), "Adres klopt weer"))
        assert one(connection, "select public.retry_delivery(%s)", message) == "communication"


def test_only_who_may_retry_lifts_and_says_why(database: Database) -> None:
    tell(database, event(sent(database, CARLA.customer_id), "failed", suppression="complaint"))
    suppression = look(database, "select id from public.suppressions")
    for actor, reason, code, status in [
        (MARC, "Mag weer", "permission_missing", 403),
        (OTTO, "Mag weer", "suppression_not_found", 404),
        (RITA, " ", "reason_invalid", 422),
        (RITA, "x" * 201, "reason_invalid", 422),
    ]:
        with actor.acting(database) as connection, refused(code, status):
            connection.execute(LIFT, (suppression, reason))
    with RITA.acting(database) as connection:
        connection.execute(LIFT, (suppression, "Ze belde: het mag weer"))
        connection.commit()
    assert not suppressed(database, NOORD, "email", "carla@example.test")
    told = "select (lifted_by::text, lift_reason)::text from public.suppressions"
    assert look(database, told) == f'({RITA.claims["sub"]},"Ze belde: het mag weer")'
    with RITA.acting(database) as connection, refused("suppression_not_found", 404):
        connection.execute(LIFT, (suppression, "Nog eens"))
    with OLGA.acting(database) as connection, denied():
        connection.execute("update public.suppressions set lifted_at = null")


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        *[(word, "stop") for word in ("STOP", "stop", " Stop. ", "Arrêt", "ARRET", "arrêter", "Stoppen")],
        *[(word, "stop") for word in ("UNSUBSCRIBE", "Uitschrijven", "Afmelden", "désabonner", "stop all")],
        *[(word, "start") for word in ("START", "start!", "Starten", "UNSTOP", "Reprendre")],
        *[
            (word, None)
            for word in ("Stop maar langs", "ja", "oui", "yes", "", "Ne pas arrêter", "stop " * 9)
        ],
    ],
)
def test_a_wish_is_a_message_of_one_such_word(database: Database, words: str, wish: str | None) -> None:
    assert look(database, "select private.wish_in(%s)", words) == wish


@pytest.mark.parametrize("stop", ["STOP", "Arrêt", "stoppen"])
def test_stop_and_start_are_obeyed_for_the_number_and_its_customers(database: Database, stop: str) -> None:
    noord, phone = account(database, NOORD, secret=f"token-{stop}-1234567"), "+32470111111"
    receive(database, noord, phone, stop)
    assert look(database, LIVE, NOORD, phone) == "stop"
    assert look(database, OPTED_OUT, CARLA.customer_id, "sms")
    assert not look(database, OPTED_OUT, CARLA_AT_ZUID.customer_id, "sms"), "the other garage was not meant"
    assert not suppressed(database, ZUID, "sms", phone)
    assert not suppressed(database, NOORD, "whatsapp", phone)
    receive(database, noord, phone, stop)
    receive(database, noord, "+32470222222", "START")
    assert suppressed(database, NOORD, "sms", phone), "somebody else's START"
    receive(database, noord, phone, "Start")
    assert not suppressed(database, NOORD, "sms", phone)
    assert not look(database, OPTED_OUT, CARLA.customer_id, "sms")
    assert look(database, "select lift_reason from public.suppressions where address = %s", phone) == "START"
    change(database, "update public.provider_accounts set secret_id = null")


def test_start_does_not_lift_a_bounce_or_a_complaint(database: Database) -> None:
    noord, phone = account(database, NOORD, "whatsapp"), "+32470111111"
    message = sent(database, CARLA.customer_id, "whatsapp", noord)
    tell(database, event(message, "failed", suppression="complaint"), account_id=noord)
    receive(database, noord, phone, "START", "whatsapp")
    assert suppressed(database, NOORD, "whatsapp", phone)


def test_a_number_of_nobody_can_stop_too(database: Database) -> None:
    receive(database, account(database, NOORD), "+32499999999", "STOP")
    assert suppressed(database, NOORD, "sms", "+32499999999")
