"""Every ending of a session closes everything at once, and ends nothing else."""

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import CARLA, KAREL, NOORD, RITA, Actor, Customer
from sql_tests.steps import (
    Row,
    change,
    digest,
    edge,
    grant_document,
    look,
    one,
    refresh,
    refused,
    sign_in,
)

PORTAL_TOKEN = {"iss": "https://portal.autexor.be", "aud": "authenticated", "exp": 4102444800}
VIEWS = (
    "garage",
    "profile",
    "vehicles",
    "odometer_readings",
    "invoices",
    "invoice_lines",
    "invoice_vat_totals",
    "conversations",
    "messages",
)
ENDINGS = {
    "logout": "update public.portal_sessions set revoked_at = now() where id = %(session)s",
    "idle": "update public.portal_sessions set idle_expires_at = now() where id = %(session)s",
    "absolute": "update public.portal_sessions set expires_at = now() where id = %(session)s",
    "account": "update public.portal_accounts set deactivated_at = now() where id = %(account)s",
    "device": "update public.portal_devices set revoked_at = now() where id = %(device)s",
    "module": "update public.garage_modules set is_enabled = false"
    " where garage_id = %(garage)s and module = 'portal'",
    "module gone": "delete from public.garage_modules where garage_id = %(garage)s and module = 'portal'",
}


def events(database: Database, session: Row) -> list[str]:
    query = (
        "select coalesce(array_agg(event order by id), '{}') from audit.access_entries where session_id = %s"
    )
    found: list[str] = look(database, query, session["session_id"])
    return found


def garage_of(database: Database, session: Row, customer: Customer = CARLA) -> object:
    with customer.with_session(session["session_id"]).acting(database) as connection:
        found = one(connection, "select private.garage_id()")
    return found and str(found)


def used_long_ago(database: Database, token: str, time: str) -> None:
    statement = "update private.portal_refresh_tokens set used_at = used_at - %s::interval"
    change(database, statement + " where token_sha256 = %s", time, digest(token))


def tokens(database: Database, session: Row) -> int:
    query = "select count(*) from private.portal_refresh_tokens where session_id = %s"
    return int(look(database, query, session["session_id"]))


@pytest.mark.req("P5")
def test_a_repeat_within_ten_seconds_gets_the_same_successor(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    refresh(calm, CARLA, token, f"{token} 2")
    used_long_ago(calm, token, "8 seconds")
    assert refresh(calm, CARLA, token, f"{token} 2") == session
    assert tokens(calm, session) == 2
    assert refresh(calm, CARLA, f"{token} 2", f"{token} 3") == session


@pytest.mark.req("P6", "D12")
@pytest.mark.parametrize(
    "other",
    [
        {"device_id": KAREL.device_id, "fingerprint": KAREL.fingerprint},
        {"device_id": None},
        {"fingerprint": None},
    ],
    ids=["another customer's", "no device", "no fingerprint"],
)
def test_a_refresh_from_another_device_ends_the_session_and_is_logged(
    calm: Database, other: dict[str, str]
) -> None:
    session, token = sign_in(calm, CARLA)
    assert refresh(calm, CARLA, token, f"{token} 2") == session
    assert refresh(calm, CARLA, f"{token} 2", f"{token} 3", **other) == {"error": "device_mismatch"}
    assert refresh(calm, CARLA, f"{token} 2", f"{token} 3") == {"error": "session_ended"}
    assert events(calm, session) == ["login", "device_mismatch"]
    assert garage_of(calm, session) is None


@pytest.mark.req("P6")
def test_the_grace_of_ten_seconds_is_not_for_another_device(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    assert refresh(calm, CARLA, token, f"{token} 2") == session
    answer = refresh(calm, CARLA, token, f"{token} 2", device_id="some-phone")
    assert answer == {"error": "device_mismatch"}
    assert garage_of(calm, session) is None


@pytest.mark.req("P8")
def test_the_garage_decides_after_how_many_idle_minutes_a_session_ends(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    change(calm, "update public.garages set portal_idle_minutes = 15 where id = %s", NOORD)
    assert refresh(calm, CARLA, token, f"{token} 2")["idle_seconds"] == 900
    with CARLA.with_session(session["session_id"]).acting(calm) as connection:
        assert one(connection, "select portal_idle_minutes from portal.garage") == 15
    row = "select (idle_expires_at - refreshed_at)::text from public.portal_sessions where id = %s"
    assert look(calm, row, session["session_id"]) == "00:15:00"
    change(calm, "update public.garages set portal_idle_minutes = 30 where id = %s", NOORD)


@pytest.mark.req("P5", "S4", "D12")
def test_a_logout_ends_the_session_once(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    other, _ = sign_in(calm, CARLA)
    for _ in range(2):
        answer = edge(calm, "portal_logout", refresh_token_sha256=digest(token))
        assert answer == {"session_id": session["session_id"]}
    assert (garage_of(calm, session), garage_of(calm, other)) == (None, NOORD)
    assert refresh(calm, CARLA, token, f"{token} 2") == {"error": "session_ended"}
    assert events(calm, session) == ["login", "logout"]
    assert edge(calm, "portal_logout", refresh_token_sha256="invented") == {"session_id": None}


def seen(connection: Connection, actor: Actor) -> dict[str, int]:
    with probes.acting(connection, actor):
        return {view: one(connection, f"select count(*) from portal.{view}") for view in VIEWS}


@pytest.mark.req("P5", "P8", "S4")
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_takes_effect_on_the_next_statement(busy_database: Database, ending: str) -> None:
    actor = CARLA.actor.but("Carla", **PORTAL_TOKEN)
    values = {
        "session": CARLA.session_id,
        "account": CARLA.account_id,
        "device": CARLA.portal_device_id,
        "garage": NOORD,
    }
    with busy_database.connect() as connection:
        assert all(seen(connection, actor).values())
        with probes.acting(connection, actor):
            connection.execute("select private.pre_request()")
        assert connection.execute(ENDINGS[ending].encode(), values).rowcount == 1
        assert set(seen(connection, actor).values()) == {0}
        with probes.acting(connection, actor):
            assert one(connection, "select private.garage_id()") is None
            assert one(connection, "select private.portal_customer_id()") is None
            with refused("session_ended", 401):
                connection.execute("select private.pre_request()")
        for call in ("send_message('Dag')", "register_push_token('ExponentPushToken[aaaaaaaaaaaa]')"):
            with probes.acting(connection, actor), refused(*refusal(call)):
                connection.execute(f"select portal.{call}".encode())
        connection.rollback()


def refusal(call: str) -> tuple[str, int]:
    return ("module_closed", 403) if call.startswith("send") else ("session_ended", 401)


@pytest.mark.req("P5", "P13")
def test_an_ended_session_is_given_no_link(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    nowhere = "88888888-0000-4000-8000-000000000001"
    answer = grant_document(calm, CARLA, session["session_id"], nowhere, "nonce live")
    assert answer == {"error": "document_not_found"}
    edge(calm, "portal_logout", refresh_token_sha256=digest(token))
    answer = grant_document(calm, CARLA, session["session_id"], nowhere, "nonce ended")
    assert answer == {"error": "session_ended"}


@pytest.mark.req("P5", "P6")
@pytest.mark.parametrize(
    ("table", "key"), [("portal_sessions", "session_id"), ("portal_devices", "device_id")]
)
def test_staff_revoke_and_nobody_of_them_takes_it_back(calm: Database, table: str, key: str) -> None:
    session, _ = sign_in(calm, CARLA)
    subject = session.get(key, CARLA.portal_device_id)
    with RITA.acting(calm) as connection:
        revoke = f"update public.{table} set revoked_at = %s where id = %s returning id"
        assert one(connection, revoke, "now", subject)
        with refused("revoked_for_good", 409):
            connection.execute(revoke, (None, subject))
