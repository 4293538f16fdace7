"""Signing in: who gets in, what a refusal tells, and how often one may try."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from devstack.keys import PORTAL_PEPPER
from workers.edge.secrets import hash_secret

Person = dict[str, str]
UNKNOWN_GARAGE = "11111111-0000-4000-8000-00000000dead"


def latest_session(portal: Any) -> dict[str, Any]:
    rows = portal.sql("select * from public.portal_sessions order by created_at desc limit 1")
    return dict(rows[0])


@pytest.mark.req("P1")
def test_one_e_mail_at_two_garages_is_two_accounts(portal: Any, carla: Person, carla_at_zuid: Person) -> None:
    assert portal.login(carla).status_code == 200
    at_noord = latest_session(portal)
    assert portal.login(carla_at_zuid).status_code == 200
    at_zuid = latest_session(portal)
    assert at_noord["garage_id"] != at_zuid["garage_id"]
    assert at_noord["account_id"] != at_zuid["account_id"]
    assert portal.login(carla | {"garage_id": carla_at_zuid["garage_id"]}).status_code == 401


@pytest.mark.req("P1")
def test_case_and_space_around_an_e_mail_do_not_matter(portal: Any, carla: Person) -> None:
    assert portal.login(carla, email="  CARLA@Example.TEST ").status_code == 200
    assert portal.login(carla, email="carla@example.tes").status_code == 401


def undated(answer: httpx.Response) -> list[tuple[str, str]]:
    return [header for header in answer.headers.items() if header[0] != "date"]


@pytest.mark.req("P1", "P3", "P4", "P6")
def test_every_refusal_is_the_same_answer(portal: Any, carla: Person, karel: Person) -> None:
    wrong = {
        "password": carla | {"password": "Carla-wacht-2025!"},
        "PIN": carla | {"pin": "481517"},
        "the PIN of someone else": carla | {"pin": karel["pin"]},
        "e-mail": carla | {"email": "nobody@example.test"},
        "device": carla | {"device_id": "carla-phone-2"},
        "the device of someone else": carla | {"device_id": karel["device_id"], "fingerprint": "fp-karel"},
        "fingerprint": carla | {"fingerprint": "fp-other"},
        "garage": carla | {"garage_id": UNKNOWN_GARAGE},
    }
    answers = {name: portal.post("login", body) for name, body in wrong.items()}
    for _ in range(6):
        answers["locked"] = portal.post("login", karel | {"pin": "000000"})
    told = {name: (answer.status_code, answer.text, undated(answer)) for name, answer in answers.items()}
    assert told["PIN"][0] == 401
    assert {name for name, answer in told.items() if answer != told["PIN"]} == set()
    assert portal.login(carla).status_code == 200


@pytest.mark.req("P4")
def test_five_wrong_tries_lock_this_login_for_a_while(portal: Any, carla: Person, karel: Person) -> None:
    for _ in range(5):
        assert portal.login(carla, pin="000000").status_code == 401
    assert portal.login(carla).status_code == 401, "the right PIN is refused as well"
    assert portal.login(karel).status_code == 200, "someone else is not affected"
    portal.sql("update private.rate_limits set blocked_until = now() where blocked_until is not null")
    assert portal.login(carla).status_code == 200, "the lock ends by itself"


@pytest.mark.req("P4")
def test_a_success_forgives_the_tries_before_it(portal: Any, carla: Person) -> None:
    for _ in range(2):
        for _ in range(4):
            assert portal.login(carla, pin="000000").status_code == 401
        assert portal.login(carla).status_code == 200


@pytest.mark.req("P4", "P6")
def test_a_stranger_cannot_lock_the_owner_out(portal: Any, carla: Person) -> None:
    for _ in range(8):
        assert portal.login(carla, device_id="strangers-phone", pin="000000").status_code == 401
    assert portal.login(carla, device_id="strangers-phone").status_code == 401
    assert portal.login(carla).status_code == 200


@pytest.mark.req("P3", "P6")
def test_a_pin_belongs_to_one_device(portal: Any, carla: Person) -> None:
    tablet = carla | {"device_id": "carla-tablet", "pin": "777000"}
    portal.sql(
        "insert into public.portal_devices (id, garage_id, account_id, install_sha256, fingerprint_sha256)"
        " select '66666666-0000-4000-8000-0000000000f1', garage_id, account_id,"
        "        encode(sha256('carla-tablet'), 'hex'), fingerprint_sha256"
        "   from public.portal_devices where id = '66666666-0000-4000-8000-000000000001'"
    )
    assert portal.login(tablet).status_code == 401, "it has no PIN yet"
    assert portal.login(tablet, pin=carla["pin"]).status_code == 401, "that of the phone is no use"
    portal.sql(
        "insert into private.portal_pins (device_id, garage_id, pin_hash)"
        " select '66666666-0000-4000-8000-0000000000f1', garage_id, %s from public.portal_devices"
        "  where id = '66666666-0000-4000-8000-000000000001'",
        hash_secret(bytes.fromhex(PORTAL_PEPPER), "777000"),
    )
    for _ in range(6):
        portal.login(carla, pin="000000")
    assert portal.login(carla).status_code == 401, "the phone is locked"
    assert portal.login(tablet).status_code == 200, "the tablet is not"


@pytest.mark.req("P4", "S4")
def test_parallel_guesses_do_not_beat_the_counter(portal: Any, carla: Person, karel: Person) -> None:
    before = portal.sql("select count(*) as n from private.login_attempts where is_allowed")[0]["n"]
    pins = [f"{number:06}" for number in range(25)]
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda pin: portal.login(carla, pin=pin).status_code, pins))
    allowed = portal.sql("select count(*) as n from private.login_attempts where is_allowed")[0]["n"] - before
    assert set(answers) == {401}
    assert allowed == 5
    assert portal.login(carla).status_code == 401
    assert portal.login(karel).status_code == 200


@pytest.mark.req("P4", "S4")
def test_unknown_logins_are_counted_like_known_ones(portal: Any, carla: Person) -> None:
    nobody = carla | {"email": "nobody@example.test"}
    for _ in range(6):
        portal.login(nobody)
    attempts = portal.sql(
        "select is_allowed from private.login_attempts where client_ip = %s order by created_at",
        portal.address,
    )
    assert [row["is_allowed"] for row in attempts] == [True] * 5 + [False]


@pytest.mark.req("P4", "S4")
def test_one_try_each_at_many_logins_is_stopped_by_address(portal: Any, carla: Person) -> None:
    def counted() -> int:
        rows = portal.sql("select count(*) as n from private.login_attempts")
        return int(rows[0]["n"])

    stranger = carla | {"device_id": "strangers-phone"}
    assert portal.login(stranger, email="first@example.test").status_code == 401
    portal.sql(
        "update private.rate_limits set hits = 60 where key = private.limit_key('login address', %s)",
        f"{portal.address}/32",
    )
    before = counted()
    assert portal.login(stranger, email="second@example.test").status_code == 401
    assert counted() == before, "it is not even tried"
    assert portal.login(carla).status_code == 200, "a known device is not held up by its neighbours"
    here, portal.address = portal.address, "203.0.113.77"
    assert portal.login(stranger, email="third@example.test").status_code == 401
    assert counted() == before + 2, "another address is free"
    portal.address = f"203.0.113.77, {here}"
    assert portal.login(stranger, email="fourth@example.test").status_code == 401
    assert counted() == before + 2, "what the caller wrote in front does not help"


@pytest.mark.req("P1", "P6")
def test_a_closed_account_or_device_does_not_get_in(portal: Any, karel: Person) -> None:
    refused = portal.login(karel, pin="000000")
    for table, column, identity in [
        ("portal_accounts", "deactivated_at", "55555555-0000-4000-8000-000000000002"),
        ("portal_devices", "revoked_at", "66666666-0000-4000-8000-000000000002"),
    ]:
        assert portal.login(karel).status_code == 200
        portal.sql(f"update public.{table} set {column} = now() where id = %s", identity)
        closed = portal.login(karel)
        assert (closed.status_code, closed.text) == (refused.status_code, refused.text)
        portal.sql(f"update public.{table} set {column} = null where id = %s", identity)
