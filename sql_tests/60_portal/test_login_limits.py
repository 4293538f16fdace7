"""The counters of a sign-in at their edges, and what a reservation is good for."""

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, Customer
from sql_tests.steps import change, complete, digest, edge, look, reserve, sign_in

LATER = "update private.rate_limits set window_started_at = window_started_at - %s::interval,"
LATER += " blocked_until = blocked_until - %s::interval"
NOBODY = {"login": "nobody@example.test", "device_id": "some-phone"}
NOWHERE = "11111111-0000-4000-8000-000000000009"


def tries(database: Database, customer: Customer, times: int, **other: object) -> list[bool]:
    return [bool(reserve(database, customer, **other)["is_allowed"]) for _ in range(times)]


def sessions(database: Database) -> int:
    return int(look(database, "select count(*) from public.portal_sessions"))


def let_pass(database: Database, time: str) -> None:
    change(database, LATER, time, time)


@pytest.mark.req("P4")
def test_each_lock_lasts_twice_the_one_before_up_to_sixteen_hours(calm: Database) -> None:
    quarters = []
    for _ in range(8):
        assert tries(calm, CARLA, 6, **NOBODY) == [True] * 5 + [False]
        quarters.append(round(reserve(calm, CARLA, **NOBODY)["retry_after_seconds"] / (15 * 60)))
        let_pass(calm, "20 hours")
    assert quarters == [1, 2, 4, 8, 16, 32, 64, 64]


@pytest.mark.req("P4")
def test_an_error_after_the_reservation_does_not_undo_the_count(calm: Database) -> None:
    for _ in range(5):
        attempt = reserve(calm, CARLA)
        with pytest.raises(psycopg.errors.NotNullViolation):
            edge(
                calm,
                "portal_login_finish",
                attempt_id=attempt["attempt_id"],
                is_ok=True,
                refresh_token_sha256=None,
            )
    assert tries(calm, CARLA, 1) == [False]


@pytest.mark.req("P4", "S4")
def test_one_line_of_an_ipv6_provider_is_one_address(calm: Database) -> None:
    for number in range(60):
        reserve(calm, CARLA, client_ip=f"2001:db8:1:2:{number:x}::1", login=f"n{number}@example.test")
    for client_ip, is_allowed in (("2001:db8:1:2:ffff::9", False), ("2001:db8:1:3::1", True)):
        assert tries(calm, CARLA, 1, client_ip=client_ip, login="other@example.test") == [is_allowed]


@pytest.mark.req("P4")
def test_case_and_spaces_share_a_counter_and_garages_do_not(calm: Database) -> None:
    spellings = ("carla@example.test", "CARLA@example.test", " carla@Example.test  ")
    answers = [reserve(calm, CARLA, login=spellings[n % 3])["is_allowed"] for n in range(6)]
    assert answers == [True] * 5 + [False]
    assert tries(calm, CARLA_AT_ZUID, 1) == [True]


@pytest.mark.req("P4")
def test_the_counters_hold_no_login_and_no_address(calm: Database) -> None:
    reserve(calm, CARLA)
    assert look(calm, "select count(*) from private.rate_limits") == 2
    assert look(calm, "select count(*) from private.rate_limits r where r.key ~ '^[0-9a-f]{64}$'") == 2


def test_an_unknown_garage_is_answered_alike_and_leaves_nothing(calm: Database) -> None:
    before = look(calm, "select count(*) from private.login_attempts")
    attempt = reserve(calm, CARLA, garage_id=NOWHERE)
    assert set(attempt) == set(reserve(calm, CARLA))
    assert not attempt["is_allowed"] and attempt["password_hash"] is None
    assert complete(calm, attempt, "nowhere") == {}
    assert look(calm, "select count(*) from private.login_attempts") == before + 1


@pytest.mark.req("P5")
def test_a_sign_in_opens_a_session_with_the_garages_terms(calm: Database) -> None:
    session, token = sign_in(calm, CARLA)
    terms_of = {"session_id", "account_id", "garage_id", "idle_seconds", "expires_at", "key_thumbprint"}
    assert set(session) == terms_of
    assert (session["garage_id"], session["idle_seconds"]) == (CARLA.garage_id, 30 * 60)
    terms = "select array[idle_expires_at - created_at, expires_at - created_at]::text"
    terms += " from public.portal_sessions where id = %s"
    assert look(calm, terms, session["session_id"]) == "{00:30:00,12:00:00}"
    stored = "select count(*) from private.portal_refresh_tokens where token_sha256 = %s"
    assert (look(calm, stored, digest(token)), look(calm, stored, token)) == (1, 0)


@pytest.mark.req("P4")
def test_a_failed_attempt_cannot_be_finished_well_afterwards(calm: Database) -> None:
    attempt = reserve(calm, CARLA)
    before = sessions(calm)
    assert complete(calm, attempt, "failed", is_ok=False) == {}
    assert complete(calm, attempt, "failed") == {}
    assert sessions(calm) == before


@pytest.mark.req("P4")
@pytest.mark.parametrize(("age", "is_open"), [("50 seconds", True), ("61 seconds", False)])
def test_an_attempt_is_finished_within_a_minute(calm: Database, age: str, is_open: bool) -> None:
    attempt = reserve(calm, CARLA)
    older = "update private.login_attempts set created_at = created_at - %s::interval where id = %s"
    change(calm, older, age, attempt["attempt_id"])
    assert bool(complete(calm, attempt, f"token {age}")) == is_open


GONE = {
    "account": (
        "update public.portal_accounts set deactivated_at = now() where id = %s",
        "update public.portal_accounts set deactivated_at = null where id = %s",
        CARLA.account_id,
    ),
    "device": (
        "update public.portal_devices set revoked_at = now() where id = %s",
        "update public.portal_devices set revoked_at = null where id = %s",
        CARLA.portal_device_id,
    ),
    "module": (
        "update public.garage_modules set is_enabled = false where garage_id = %s and module = 'portal'",
        "update public.garage_modules set is_enabled = true where garage_id = %s and module = 'portal'",
        CARLA.garage_id,
    ),
}


@pytest.mark.req("P4", "P6")
@pytest.mark.parametrize("gone", GONE)
def test_what_ends_between_reservation_and_finish_opens_nothing(calm: Database, gone: str) -> None:
    end, restore, subject = GONE[gone]
    attempt = reserve(calm, CARLA)
    change(calm, end, subject)
    answer = complete(calm, attempt, f"{gone} in between")
    change(calm, restore, subject)
    assert answer == {}
    assert complete(calm, reserve(calm, CARLA), f"{gone} and back")
