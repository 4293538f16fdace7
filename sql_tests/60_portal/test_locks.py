"""Guessing against the counters, what staff see of it, and keys that a device must prove."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from devstack.testing import Database
from sql_tests import access
from sql_tests.cast import CARLA, KAREL, MARC, OTTO, RITA
from sql_tests.people import call
from sql_tests.steps import complete, digest, edge, look, one, refresh, refused, reserve, sign_in

pytestmark = pytest.mark.req("P4", "S4")
THUMB, OTHER_THUMB = "k" * 43, "x" * 43


def test_forty_guesses_at_once_get_five_tries(calm: Database) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: reserve(calm, CARLA)["is_allowed"], range(40)))
    assert sum(answers) == 5


def test_five_hundred_logins_sprayed_from_one_address_are_stopped(calm: Database) -> None:
    blocked = [
        reserve(calm, CARLA, client_ip="198.51.100.9", login=f"n{n}@example.test")["is_address_blocked"]
        for n in range(500)
    ]
    assert blocked == [False] * 60 + [True] * 440
    assert access.opens(calm, KAREL, client_ip="198.51.100.10")


def test_strangers_from_everywhere_do_not_lock_a_known_device_out(calm: Database) -> None:
    for n in range(320):
        reserve(calm, CARLA, client_ip=f"10.0.{n // 200}.{n % 200}", device_id="some-phone")
    assert not reserve(calm, KAREL, device_id="some-phone")["is_allowed"]
    assert access.opens(calm, CARLA) and access.opens(calm, KAREL)


def test_staff_see_who_is_locked_and_why_and_unlock(calm: Database) -> None:
    for _ in range(6):
        complete(calm, reserve(calm, CARLA), "token", is_ok=False)
    assert not access.opens(calm, CARLA)
    with RITA.acting(calm) as connection:
        (lock,) = connection.execute("select * from public.portal_locks()").fetchall()
    assert (str(lock["account_id"]), lock["login"]) == (CARLA.account_id, CARLA.login)
    assert str(lock["device_id"]) == CARLA.portal_device_id and lock["last_address"] == "192.0.2.1"
    assert lock["locked_until"]
    with OTTO.acting(calm) as connection:
        assert one(connection, "select count(*) from public.portal_locks()") == 0
        with refused("account_not_found", 404):
            connection.execute("select public.unlock_portal_account(%s)", (CARLA.account_id,))
    with MARC.acting(calm) as connection, refused("permission_missing", 403):
        connection.execute("select public.unlock_portal_account(%s)", (CARLA.account_id,))
    assert call(calm, RITA, "unlock_portal_account(%s)", CARLA.account_id) == 1
    assert access.opens(calm, CARLA)
    event = "select count(*) from audit.access_entries where event = 'login_unlocked' and subject_id = %s"
    assert look(calm, event, CARLA.account_id) == 1


@pytest.mark.req("P6")
def test_a_key_once_proved_is_needed_there_from_then_on(fresh_database: Database) -> None:
    assert access.opens(fresh_database, CARLA, key_thumbprint=THUMB)
    assert not access.opens(fresh_database, CARLA)
    assert not access.opens(fresh_database, CARLA, key_thumbprint=OTHER_THUMB)
    attempt = reserve(fresh_database, CARLA, key_thumbprint=THUMB)
    assert complete(fresh_database, attempt, "first")["key_thumbprint"] == THUMB
    without = refresh(fresh_database, CARLA, "first", "second")
    assert without == {"error": "device_mismatch"}
    attempt = reserve(fresh_database, CARLA, key_thumbprint=THUMB)
    complete(fresh_database, attempt, "third")
    assert "session_id" in refresh(fresh_database, CARLA, "third", "fourth", key_thumbprint=THUMB)


@pytest.mark.req("P6")
def test_a_proof_is_taken_once(calm: Database) -> None:
    taken = [edge(calm, "portal_take_proof", jti_sha256=digest("proof"))["is_new"] for _ in range(3)]
    assert taken == [True, False, False]


@pytest.mark.req("P3")
def test_secrets_are_hashed_anew_only_after_a_good_sign_in_and_unless_they_changed(
    fresh_database: Database,
) -> None:
    attempt = reserve(fresh_database, CARLA)
    stored, pin = attempt["password_hash"], attempt["pin_hash"]
    hashes = {"old_password_hash": stored, "old_pin_hash": pin}
    hashes |= {"password_hash": access.HASH + "bmV1", "pin_hash": access.HASH + "bmV1"}

    def rehash(attempt_id: str, **other: str) -> bool:
        found = edge(fresh_database, "portal_rehash", attempt_id=attempt_id, **{**hashes, **other})
        return bool(found["is_done"])

    kept = "select password_hash from private.portal_credentials where account_id = %s"
    assert not rehash(attempt["attempt_id"])
    complete(fresh_database, attempt, "token")
    assert rehash(attempt["attempt_id"], old_password_hash=access.HASH + "b3RoZXI")
    assert look(fresh_database, kept, CARLA.account_id) == stored
    assert rehash(attempt["attempt_id"])
    assert look(fresh_database, kept, CARLA.account_id) == access.HASH + "bmV1"


@pytest.mark.req("P5", "P6", "P8")
def test_a_customer_sees_and_ends_their_own_devices_and_sessions_alone(fresh_database: Database) -> None:
    first, _ = sign_in(fresh_database, CARLA)
    second, _ = sign_in(fresh_database, CARLA)
    karels, _ = sign_in(fresh_database, KAREL)
    with CARLA.with_session(second["session_id"]).acting(fresh_database) as connection:
        rows = connection.execute("select id::text, is_this_session from portal.sessions").fetchall()
        assert {row["id"]: row["is_this_session"] for row in rows} == {
            first["session_id"]: False,
            second["session_id"]: True,
        }
        devices = connection.execute("select id::text, is_this_device from portal.devices").fetchall()
        assert devices == [{"id": CARLA.portal_device_id, "is_this_device": True}]
    mine = {key: second[key] for key in ("session_id", "account_id", "garage_id")}
    foreign = edge(fresh_database, "portal_end_session", ended_id=karels["session_id"], **mine)
    assert foreign == {"error": "session_not_found"} and access.is_live(fresh_database, karels)
    assert edge(fresh_database, "portal_end_session", ended_id=first["session_id"], **mine) == {"ended": 1}
    assert not access.is_live(fresh_database, first) and access.is_live(fresh_database, second)
    strange = edge(fresh_database, "portal_revoke_device", revoked_id=KAREL.portal_device_id, **mine)
    assert strange == {"error": "device_not_found"}
    own = edge(fresh_database, "portal_revoke_device", revoked_id=CARLA.portal_device_id, **mine)
    assert (
        own == {} and not access.is_live(fresh_database, second) and not access.opens(fresh_database, CARLA)
    )


def test_reserving_and_succeeding_at_the_same_time_never_deadlock(calm: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: access.opens(calm, CARLA), range(80)))
