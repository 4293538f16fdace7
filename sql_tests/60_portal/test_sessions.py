"""Sessions: refresh, limits and revocation, each obeyed by the next statement."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, KAREL, NOORD, OTTO, RITA
from sql_tests.steps import change, digest, edge, issued_invoice, look, one, refresh, refused, sign_in

pytestmark = pytest.mark.req("P5", "S4")


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with everybody live."""
    change(
        database,
        "delete from private.rate_limits; update public.portal_accounts set deactivated_at = null;"
        " update public.portal_devices set revoked_at = null;"
        " update public.garage_modules set is_enabled = true",
    )
    return database


def is_live(database: Database, session_id: object) -> bool:
    """Whether the session's token shows the customer their profile."""
    with CARLA.with_session(session_id).acting(database) as connection:
        rows = connection.execute("select id::text from portal.profile").fetchall()
        garage_id = one(connection, "select private.garage_id()")
    assert bool(rows) == (garage_id is not None)
    return bool(rows)


def use_earlier(database: Database, token: str, seconds: int) -> None:
    statement = "update private.portal_refresh_tokens set used_at = used_at - make_interval(secs => %s)"
    change(database, statement + " where token_sha256 = %s", seconds, digest(token))


def test_a_refresh_token_is_spent_and_its_successor_works(database: Database) -> None:
    session, token = sign_in(database, CARLA)
    second, third = uuid4().hex, uuid4().hex
    assert refresh(database, CARLA, token, second)["session_id"] == session["session_id"]
    assert refresh(database, CARLA, second, third)["session_id"] == session["session_id"]
    assert is_live(database, session["session_id"])


def test_a_repeat_within_ten_seconds_gets_the_same_successor(database: Database) -> None:
    session, token = sign_in(database, CARLA)
    successor = uuid4().hex
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: refresh(database, CARLA, token, successor), range(12)))
    assert {answer["session_id"] for answer in answers} == {session["session_id"]}
    tokens = "select count(*) from private.portal_refresh_tokens where session_id = %s"
    assert look(database, tokens, session["session_id"]) == 2


@pytest.mark.req("D12")
def test_a_later_reuse_ends_the_session_and_its_successor(database: Database) -> None:
    session, token = sign_in(database, CARLA)
    successor = uuid4().hex
    refresh(database, CARLA, token, successor)
    use_earlier(database, token, 11)
    assert refresh(database, CARLA, token, uuid4().hex) == {"error": "refresh_token_reused"}
    assert refresh(database, CARLA, successor, uuid4().hex) == {"error": "session_ended"}
    assert not is_live(database, session["session_id"])
    logged = "select count(*) from audit.access_entries"
    logged += " where session_id = %s and event = 'refresh_token_reused'"
    assert look(database, logged, session["session_id"]) == 1


@pytest.mark.req("P6", "D12")
@pytest.mark.parametrize(
    "other", [{"device_id": KAREL.device_id}, {"fingerprint": KAREL.fingerprint}, {"device_id": ""}]
)
def test_a_refresh_from_another_device_is_refused_logged_and_ends_the_session(
    database: Database, other: dict[str, object]
) -> None:
    session, token = sign_in(database, CARLA)
    assert refresh(database, CARLA, token, uuid4().hex, **other) == {"error": "device_mismatch"}
    assert not is_live(database, session["session_id"])
    assert refresh(database, CARLA, token, uuid4().hex) == {"error": "session_ended"}
    logged = "select count(*) from audit.access_entries where session_id = %s and event = 'device_mismatch'"
    assert look(database, logged, session["session_id"]) == 1


def test_an_unknown_refresh_token_is_invalid(database: Database) -> None:
    assert refresh(database, CARLA, "invented", uuid4().hex) == {"error": "refresh_token_invalid"}


@pytest.mark.req("P8")
@pytest.mark.parametrize("limit", ["idle_expires_at", "expires_at"])
def test_a_session_past_its_limit_is_over(database: Database, limit: str) -> None:
    session, token = sign_in(database, CARLA)
    assert is_live(database, session["session_id"])
    change(
        database,
        f"update public.portal_sessions set {limit} = now() - interval '1 second' where id = %s",
        session["session_id"],
    )
    assert not is_live(database, session["session_id"])
    assert refresh(database, CARLA, token, uuid4().hex) == {"error": "session_ended"}


@pytest.mark.req("P8")
def test_a_refresh_moves_the_idle_limit_and_never_the_absolute_one(database: Database) -> None:
    session, token = sign_in(database, CARLA)
    times = "select jsonb_build_array(idle_expires_at, expires_at) from public.portal_sessions where id = %s"
    assert session["idle_seconds"] == 1800
    back = "update public.portal_sessions set idle_expires_at = now() + interval '1 minute' where id = %s"
    change(database, back, session["session_id"])
    before = look(database, times, session["session_id"])
    answer = refresh(database, CARLA, token, uuid4().hex)
    after = look(database, times, session["session_id"])
    assert (after[0] > before[0], after[1] == before[1]) == (True, True)
    assert answer["expires_at"] == session["expires_at"]


@pytest.mark.parametrize(
    "ending",
    [
        "update public.portal_sessions set revoked_at = now(), revoke_reason = 'garage'"
        " where id = %(session)s",
        "update public.portal_devices set revoked_at = now() where id = %(device)s",
        "update public.portal_accounts set deactivated_at = now() where id = %(account)s",
    ],
    ids=["session", "device", "account"],
)
def test_what_staff_revoke_ends_with_the_next_statement(database: Database, ending: str) -> None:
    session, token = sign_in(database, CARLA)
    ids = {
        "session": session["session_id"],
        "device": CARLA.portal_device_id,
        "account": CARLA.account_id,
    }
    with CARLA.with_session(session["session_id"]).acting(database) as customer:
        assert one(customer, "select count(*) from portal.profile") == 1
        with OTTO.acting(database) as stranger:
            assert stranger.execute(ending.encode(), ids).rowcount == 0
        with RITA.acting(database) as staff:
            assert staff.execute(ending.encode(), ids).rowcount == 1
            staff.commit()
        assert one(customer, "select count(*) from portal.profile") == 0
        with refused("module_closed", 403):
            customer.execute("select portal.send_message('Hallo')")
    assert refresh(database, CARLA, token, uuid4().hex) == {"error": "session_ended"}


@pytest.mark.req("D2")
@pytest.mark.parametrize("module", ["portal", "invoicing", "conversations"])
def test_a_closed_module_closes_its_part_of_the_portal(fresh_database: Database, module: str) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    switch = "update public.garage_modules set is_enabled = not is_enabled"
    switch += " where garage_id = %s and module = %s"
    views = {"portal": "profile", "invoicing": "invoices", "conversations": "messages"}
    count = f"portal.{views[module]}"
    change(
        fresh_database,
        "insert into public.conversations (garage_id, customer_id) values (%s, %s)",
        NOORD,
        CARLA.customer_id,
    )
    from_rita = (
        "insert into public.messages (garage_id, conversation_id, body)"
        " select garage_id, id, 'Dag' from public.conversations"
    )
    change(fresh_database, from_rita)
    issued_invoice(fresh_database, RITA, CARLA)
    found = []
    for _ in range(3):
        with CARLA.with_session(session["session_id"]).acting(fresh_database) as connection:
            found.append(one(connection, f"select count(*) from {count}"))
        change(fresh_database, switch, NOORD, module)
    assert found == [1, 0, 1]


@pytest.mark.req("D12")
def test_a_sign_out_ends_the_session_and_is_logged_once(database: Database) -> None:
    session, token = sign_in(database, CARLA)
    for _ in range(2):
        answer = edge(database, "portal_logout", refresh_token_sha256=digest(token))
        assert answer == {"session_id": session["session_id"]}
    assert not is_live(database, session["session_id"])
    logged = "select count(*) from audit.access_entries where session_id = %s and event = 'logout'"
    assert look(database, logged, session["session_id"]) == 1
