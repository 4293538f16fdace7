"""A sign-in is counted before it is tried, and opens at most one session."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, Customer
from sql_tests.steps import change, complete, digest, edge, look, one, refresh, reserve, sign_in

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


@pytest.mark.req("P4", "S4")
@pytest.mark.parametrize(
    "other",
    [{}, NOBODY, {"device_id": "some-phone"}, {"fingerprint": "other"}, {"login": "", "device_id": ""}],
    ids=["known", "unknown login", "unknown device", "unknown fingerprint", "empty"],
)
def test_after_five_tries_a_login_is_locked(calm: Database, other: dict[str, str]) -> None:
    assert tries(calm, CARLA, 5, **other) == [True] * 5
    locked = reserve(calm, CARLA, **other)
    assert not locked["is_allowed"] and 0 < locked["retry_after_seconds"] <= 15 * 60
    assert tries(calm, KAREL, 1) == [True]
    let_pass(calm, "14 minutes")
    assert tries(calm, CARLA, 1, **other) == [False]
    let_pass(calm, "1 minute")
    assert tries(calm, CARLA, 1, **other) == [True]


@pytest.mark.req("P4")
def test_each_lock_lasts_twice_the_one_before_up_to_sixteen_hours(calm: Database) -> None:
    quarters = []
    for _ in range(8):
        assert tries(calm, CARLA, 6, **NOBODY) == [True] * 5 + [False]
        quarters.append(round(reserve(calm, CARLA, **NOBODY)["retry_after_seconds"] / (15 * 60)))
        let_pass(calm, "20 hours")
    assert quarters == [1, 2, 4, 8, 16, 32, 64, 64]


@pytest.mark.req("P4")
def test_parallel_tries_never_exceed_the_limit(calm: Database) -> None:
    start = Barrier(20)

    def attempt(_: int) -> bool:
        with calm.connect("edge") as connection:
            start.wait(30)
            answer = one(
                connection,
                "select private.portal_login_reserve(%s, %s, 'd', 'f', '192.0.2.1', 't')",
                CARLA.garage_id,
                CARLA.login,
            )
        return bool(answer["is_allowed"])

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(attempt, range(20))) == 5


@pytest.mark.req("P4")
def test_strangers_cannot_lock_the_owner_of_a_known_device_out(calm: Database) -> None:
    assert tries(calm, CARLA, 6, device_id="some-phone") == [True] * 5 + [False]
    sign_in(calm, CARLA)
    assert tries(calm, CARLA, 1, device_id="some-phone") == [False]


@pytest.mark.req("P4")
def test_success_clears_the_counter_and_failure_does_not(calm: Database) -> None:
    assert tries(calm, CARLA, 4) == [True] * 4
    sign_in(calm, CARLA)
    assert tries(calm, CARLA, 4) == [True] * 4
    assert complete(calm, reserve(calm, CARLA), "token", is_ok=False) == {}
    assert tries(calm, CARLA, 1) == [False]


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
def test_an_address_has_sixty_tries_whatever_the_logins(calm: Database) -> None:
    allowed = "select count(*) filter (where (private.portal_login_reserve(%s, 'n' || i, 'd', 'f', %s, 't')"
    allowed += " ->> 'is_allowed')::boolean) from generate_series(1, 70) i"
    with calm.connect("edge") as connection:
        assert one(connection, allowed, CARLA.garage_id, "192.0.2.7") == 60
    assert tries(calm, CARLA, 1, client_ip="192.0.2.7") == [False]
    assert tries(calm, CARLA, 1, client_ip="192.0.2.8") == [True]


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


@pytest.mark.req("P3", "P6")
@pytest.mark.parametrize(
    ("other", "has_password", "has_pin"),
    [
        ({}, True, True),
        ({"device_id": "some-phone"}, True, False),
        ({"device_id": KAREL.device_id, "fingerprint": KAREL.fingerprint}, True, False),
        ({"fingerprint": "other"}, True, False),
        ({"login": "nobody@example.test"}, False, False),
        ({"device_id": None, "fingerprint": None}, True, False),
    ],
    ids=["own device", "unknown device", "another customer's", "fingerprint", "unknown login", "nothing"],
)
def test_a_pin_belongs_to_one_device(
    calm: Database, other: dict[str, str], has_password: bool, has_pin: bool
) -> None:
    attempt = reserve(calm, CARLA, **other)
    assert set(attempt) == {"attempt_id", "is_allowed", "retry_after_seconds", "password_hash", "pin_hash"}
    assert (attempt["password_hash"] is not None, attempt["pin_hash"] is not None) == (has_password, has_pin)
    assert bool(complete(calm, attempt, f"token of {other}")) == has_pin


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
    assert set(session) == {"session_id", "account_id", "garage_id", "idle_seconds", "expires_at"}
    assert (session["garage_id"], session["idle_seconds"]) == (CARLA.garage_id, 30 * 60)
    terms = "select array[idle_expires_at - created_at, expires_at - created_at]::text"
    terms += " from public.portal_sessions where id = %s"
    assert look(calm, terms, session["session_id"]) == "{00:30:00,12:00:00}"
    stored = "select count(*) from private.portal_refresh_tokens where token_sha256 = %s"
    assert (look(calm, stored, digest(token)), look(calm, stored, token)) == (1, 0)


@pytest.mark.req("P4", "P5")
def test_an_attempt_is_finished_once(calm: Database) -> None:
    attempt = reserve(calm, CARLA)
    before = sessions(calm)
    assert complete(calm, attempt, "first")["account_id"] == CARLA.account_id
    assert complete(calm, attempt, "second") == {}
    assert refresh(calm, CARLA, "second", "third") == {"error": "refresh_token_invalid"}
    assert sessions(calm) == before + 1


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


@pytest.mark.req("P4")
def test_a_locked_attempt_opens_nothing_even_with_the_right_secrets(calm: Database) -> None:
    tries(calm, CARLA, 5)
    assert complete(calm, reserve(calm, CARLA), "locked") == {}
    let_pass(calm, "16 minutes")
    assert complete(calm, reserve(calm, CARLA), "open") != {}


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
def test_nobody_signs_in_without_a_live_account_device_and_module(calm: Database, gone: str) -> None:
    end, restore, subject = GONE[gone]
    change(calm, end, subject)
    assert complete(calm, reserve(calm, CARLA), f"{gone} gone") == {}
    change(calm, restore, subject)
    assert complete(calm, reserve(calm, CARLA), f"{gone} back") != {}


@pytest.mark.req("P4", "P6")
@pytest.mark.parametrize("gone", GONE)
def test_what_ends_between_reservation_and_finish_opens_nothing(calm: Database, gone: str) -> None:
    end, restore, subject = GONE[gone]
    attempt = reserve(calm, CARLA)
    change(calm, end, subject)
    answer = complete(calm, attempt, f"{gone} in between")
    change(calm, restore, subject)
    assert answer == {}
