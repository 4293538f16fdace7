"""Which phones hear something, and how much: signed out, silent or replaced means nothing any more."""

from collections.abc import Iterator

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import CARLA, NOORD, OLGA, RITA
from sql_tests.steps import denied, one, refused

pytestmark = pytest.mark.req("P14")

REGISTER = "select portal.register_push_token('ExponentPushToken[phone-of-carla-2]', %s, %s)"
ANSWER = "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, %s)"
LIVE = "select count(*) from public.push_devices where portal_device_id = %s and retired_at is null"
WAITING = (
    "select count(*) from public.push_notifications n join public.push_devices p on p.id = n.push_device_id"
    " where p.portal_device_id = %s and n.template = 'message_received' and n.status = 'queued'"
)


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        connection.execute("delete from public.push_notifications where template = 'message_received'")
        yield connection
        connection.rollback()


def answer(connection: Connection, text: str = "Hij is klaar") -> None:
    """The garage writes to Carla, for the rest of the test."""
    thread = "select id from public.conversations where customer_id = %s"
    connection.execute(
        "insert into public.messages (garage_id, conversation_id, sender, body)"
        " values (%s, %s, 'garage', %s)",
        (NOORD, one(connection, thread, CARLA.customer_id), text),
    )


def test_a_device_says_its_platform_and_staff_see_it_without_the_token(connection: Connection) -> None:
    for platform in ("ios", "android", "web", None):
        with probes.acting(connection, CARLA.actor):
            connection.execute(REGISTER, (platform, None))
            connection.execute("reset role")
            query = "select platform, shows_details from public.push_devices where portal_device_id = %s"
            row = connection.execute(query, (CARLA.portal_device_id,)).fetchone()
            assert row == {"platform": platform, "shows_details": False}
    with refused("push_platform_unknown"), probes.acting(connection, CARLA.actor):
        connection.execute(REGISTER, ("windows", None))
    with probes.acting(connection, OLGA):
        connection.execute("select platform, shows_details from public.push_devices")
    with denied(), probes.acting(connection, OLGA):
        connection.execute("select expo_token from public.push_devices")


@pytest.mark.req("P5", "P6")
@pytest.mark.parametrize(
    "ending",
    [
        "update public.portal_sessions set revoked_at = now(), revoke_reason = 'logout' where device_id = %s",
        "update public.portal_sessions set revoked_at = now(), revoke_reason = 'garage' where device_id = %s",
        "update public.portal_devices set revoked_at = now() where id = %s",
    ],
    ids=["signed out", "ended by the garage", "revoked"],
)
def test_a_device_that_is_signed_out_or_revoked_hears_nothing_any_more(
    connection: Connection, ending: str
) -> None:
    answer(connection)
    assert (
        one(connection, LIVE, CARLA.portal_device_id),
        one(connection, WAITING, CARLA.portal_device_id),
    ) == (
        1,
        1,
    )
    connection.execute(ending.encode(), (CARLA.portal_device_id,))
    answer(connection)
    assert (
        one(connection, LIVE, CARLA.portal_device_id),
        one(connection, WAITING, CARLA.portal_device_id),
    ) == (
        0,
        0,
    )


def test_a_device_with_another_live_session_goes_on_hearing_until_it_signs_out(
    connection: Connection,
) -> None:
    another = (
        "insert into public.portal_sessions (garage_id, account_id, device_id, idle_expires_at, expires_at)"
    )
    another += " values (%s, %s, %s, now() + interval '30 minutes', now() + interval '12 hours')"
    connection.execute(another.encode(), (NOORD, CARLA.account_id, CARLA.portal_device_id))
    end = "update public.portal_sessions set revoked_at = now(), revoke_reason = %s where device_id = %s"
    end += " and id {} %s"
    values = (CARLA.portal_device_id, CARLA.session_id)
    connection.execute(end.format("=").encode(), ("garage", *values))
    assert one(connection, LIVE, CARLA.portal_device_id) == 1
    connection.execute(end.format("<>").encode(), ("logout", *values))
    assert one(connection, LIVE, CARLA.portal_device_id) == 0


def test_a_registration_expires_after_90_days_and_begins_anew(connection: Connection) -> None:
    age = "update public.push_devices set updated_at = now() - %s::interval where portal_device_id = %s"
    connection.execute(age.encode(), ("91 days", CARLA.portal_device_id))
    answer(connection)
    assert one(connection, WAITING, CARLA.portal_device_id) == 0
    connection.execute(age.encode(), ("89 days", CARLA.portal_device_id))
    answer(connection)
    assert one(connection, WAITING, CARLA.portal_device_id) == 1


def test_unregistering_silences_the_own_device_alone(connection: Connection) -> None:
    query = "select count(*) from public.push_devices where retired_at is null"
    before = one(connection, query)
    answer(connection)
    with probes.acting(connection, CARLA.actor):
        connection.execute("select portal.unregister_push_token()")
        connection.execute("reset role")
        assert (one(connection, query), one(connection, WAITING, CARLA.portal_device_id)) == (before - 1, 0)
    with (
        refused("session_ended", 401),
        probes.acting(connection, CARLA.with_session(RITA.claims["session_id"])),
    ):
        connection.execute("select portal.unregister_push_token()")


def test_a_push_holds_nothing_personal_unless_that_device_allows_it(connection: Connection) -> None:
    def job() -> dict[str, object]:
        query = (
            "select private.push_job(id) from public.push_notifications where template = 'message_received'"
        )
        query += " and status = 'queued' order by created_at desc limit 1"
        found: dict[str, object] = one(connection, query)
        return found

    answer(connection, "De distributieriem is vervangen " + "x" * 200)
    plain = job()
    assert plain["details"] is None
    assert "distributieriem" not in str(plain) and "Garage" not in str(plain)
    connection.execute("update public.push_devices set shows_details = true")
    connection.execute("delete from public.push_notifications where template = 'message_received'")
    answer(connection, "De distributieriem is vervangen " + "x" * 200)
    told = job()["details"]
    assert isinstance(told, dict)
    assert told["title"] == "Garage Noord"
    assert told["body"].startswith("De distributieriem") and len(told["body"]) == 120
