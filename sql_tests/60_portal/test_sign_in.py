"""Signing in: what is counted before anything is compared, and what opens a session."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, OLGA, ZUID
from sql_tests.steps import change, complete, denied, edge, look, one, reserve, sign_in

pytestmark = pytest.mark.req("P4", "S4")

UNKNOWN = {"login": "nobody@example.test"}


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with every counter at zero and everybody live."""
    change(
        database,
        "delete from private.rate_limits; update public.portal_accounts set deactivated_at = null;"
        " update public.portal_devices set revoked_at = null;"
        " update public.garage_modules set is_enabled = true",
    )
    return database


def allowed(database: Database, times: int, **other: object) -> list[bool]:
    return [reserve(database, CARLA, **other)["is_allowed"] for _ in range(times)]


def pass_time(database: Database, minutes: int) -> None:
    change(
        database,
        "update private.rate_limits set window_started_at = window_started_at - make_interval(mins => %s),"
        " blocked_until = blocked_until - make_interval(mins => %s)",
        minutes,
        minutes,
    )


@pytest.mark.parametrize(
    "other", [{}, {"device_id": "a stranger's"}, UNKNOWN], ids=["known", "stranger", "unknown"]
)
def test_five_tries_then_locked_for_everybody_alike(database: Database, other: dict[str, object]) -> None:
    assert allowed(database, 8, **other) == [True] * 5 + [False] * 3
    assert 890 < reserve(database, CARLA, **other)["retry_after_seconds"] <= 900


def test_a_sign_in_clears_the_counter_and_a_failure_does_not(database: Database) -> None:
    for _ in range(4):
        complete(database, reserve(database, CARLA), "t", is_ok=False)
    sign_in(database, CARLA)
    assert allowed(database, 6) == [True] * 5 + [False]


def test_strangers_cannot_lock_out_a_known_device(database: Database) -> None:
    strangers = allowed(database, 20, device_id="guessed", client_ip="198.51.100.7")
    assert strangers.count(True) == 5
    session, _ = sign_in(database, CARLA)
    assert session["garage_id"] == NOORD


def test_one_address_cannot_try_many_logins(database: Database) -> None:
    tries = [
        reserve(database, CARLA, client_ip="198.51.100.8", login=f"victim{n}@example.test")["is_allowed"]
        for n in range(70)
    ]
    assert tries == [True] * 60 + [False] * 10
    assert allowed(database, 1, client_ip="198.51.100.9") == [True]


def test_parallel_tries_never_exceed_the_limit(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reserve(database, CARLA)["is_allowed"], range(24)))
    assert answers.count(True) == 5


@pytest.mark.req("P1", "P6")
@pytest.mark.parametrize(
    ("other", "has_password", "has_pin"),
    [
        ({}, True, True),
        ({"login": "  CARLA@Example.TEST "}, True, True),
        ({"device_id": "another phone"}, True, False),
        ({"fingerprint": "another print"}, True, False),
        ({"device_id": KAREL.device_id, "fingerprint": KAREL.fingerprint}, True, False),
        (UNKNOWN, False, False),
        ({"garage_id": ZUID}, True, False),
        ({"garage_id": uuid4()}, False, False),
    ],
)
def test_the_edge_gets_the_hashes_of_this_login_on_this_device_and_no_other(
    database: Database, other: dict[str, object], has_password: bool, has_pin: bool
) -> None:
    answer = reserve(database, CARLA, **other)
    assert set(answer) == {
        "attempt_id",
        "is_allowed",
        "is_address_blocked",
        "retry_after_seconds",
        "password_hash",
        "pin_hash",
    }
    assert (answer["password_hash"] is not None, answer["pin_hash"] is not None) == (has_password, has_pin)


def test_an_attempt_is_finished_once_and_only_within_a_minute(database: Database) -> None:
    attempt = reserve(database, CARLA)
    assert complete(database, attempt, f"once-{uuid4()}")["account_id"] == CARLA.account_id
    assert complete(database, attempt, f"twice-{uuid4()}") == {}
    late = reserve(database, CARLA)
    change(
        database,
        "update private.login_attempts set created_at = now() - interval '2 minutes' where id = %s",
        late["attempt_id"],
    )
    assert complete(database, late, f"late-{uuid4()}") == {}
    assert complete(database, {"attempt_id": uuid4()}, f"never-{uuid4()}") == {}


@pytest.mark.parametrize(
    "other",
    [UNKNOWN, {"device_id": "another phone"}, {"fingerprint": "another print"}, {"garage_id": ZUID}],
    ids=["unknown login", "unknown device", "other fingerprint", "other garage"],
)
def test_no_session_opens_without_account_and_device_even_if_the_secrets_are_right(
    database: Database, other: dict[str, object]
) -> None:
    assert complete(database, reserve(database, CARLA, **other), f"never-{uuid4()}", is_ok=True) == {}
    assert sign_in(database, CARLA)[0]["account_id"] == CARLA.account_id


def test_a_locked_attempt_opens_no_session_even_with_the_right_secrets(database: Database) -> None:
    allowed(database, 5)
    locked = reserve(database, CARLA)
    assert complete(database, locked, f"never-{uuid4()}", is_ok=True) == {}


@pytest.mark.parametrize(
    "closing",
    [
        "update public.portal_accounts set deactivated_at = now()",
        "update public.portal_devices set revoked_at = now()",
        "update public.garage_modules set is_enabled = false where module = 'portal'",
    ],
)
def test_closed_accounts_devices_and_portals_open_no_session(database: Database, closing: str) -> None:
    change(database, closing)
    answer = reserve(database, CARLA)
    assert answer["pin_hash"] is None
    assert complete(database, answer, f"never-{uuid4()}") == {}


@pytest.mark.req("P1")
def test_one_address_at_two_garages_is_two_accounts(database: Database) -> None:
    assert sign_in(database, CARLA)[0]["garage_id"] == NOORD
    assert sign_in(database, CARLA_AT_ZUID)[0]["garage_id"] == ZUID


@pytest.mark.req("D12")
def test_every_attempt_is_in_the_access_log_that_the_garage_reads(database: Database) -> None:
    before = look(database, "select coalesce(max(id), 0) from audit.access_entries")
    sign_in(database, CARLA)
    complete(database, reserve(database, CARLA), "x", is_ok=False)
    complete(database, reserve(database, CARLA, **UNKNOWN), "x", is_ok=False)
    allowed(database, 5)
    complete(database, reserve(database, CARLA), "x", is_ok=True)
    with OLGA.acting(database) as connection:
        rows = connection.execute(
            "select event, actor, host(client_ip) as ip from public.access_entries where id > %s order by id",
            (before,),
        ).fetchall()
    who = f"customer:{CARLA.account_id}"
    assert [(row["event"], row["actor"]) for row in rows] == [
        ("login", who),
        ("login_failed", who),
        ("login_failed", "unknown"),
        ("login_locked", who),
    ]
    assert {row["ip"] for row in rows} == {"192.0.2.1"}


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "table", ["portal_credentials", "portal_pins", "portal_refresh_tokens", "login_attempts"]
)
def test_secrets_are_open_to_no_role(busy_database: Database, table: str) -> None:
    for actor in (OLGA, CARLA.actor):
        with actor.acting(busy_database) as connection, denied():
            connection.execute(f"select * from private.{table}".encode())
    with busy_database.connect() as connection:
        assert one(connection, f"select count(*) from private.{table}") > 0


@pytest.mark.parametrize("function", ["portal_login_reserve", "portal_login_finish", "portal_refresh"])
def test_only_the_edge_signs_people_in(busy_database: Database, function: str) -> None:
    arguments = {"portal_login_reserve": "null, '', '', '', '', ''", "portal_login_finish": "null, true, ''"}
    call = f"select private.{function}({arguments.get(function, repr('') + ', null, null, null, null')})"
    for actor in (OLGA, CARLA.actor):
        with actor.acting(busy_database) as connection, denied():
            connection.execute(call.encode())
    assert edge(busy_database, "portal_logout", refresh_token_sha256="none") == {"session_id": None}
