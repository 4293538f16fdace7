"""After signing in: refresh tokens, the device a session is bound to, its end, and what is kept of it."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from workers.edge.tokens import sha256_hex

Person = dict[str, str]


def age(portal: Any, token: str, seconds: int) -> None:
    """Let the first use of a refresh token have been `seconds` ago."""
    portal.sql(
        "update private.portal_refresh_tokens set used_at = used_at - make_interval(secs => %s)"
        " where token_sha256 = %s",
        seconds,
        sha256_hex(token),
    )


def events(portal: Any, session_id: str) -> list[str]:
    rows = portal.sql("select event from audit.access_entries where session_id = %s order by id", session_id)
    return [row["event"] for row in rows]


@pytest.mark.req("P5")
def test_refresh_tokens_rotate_and_a_quick_repeat_gets_the_same(portal: Any, carla: Person) -> None:
    first = portal.tokens(carla)
    second = portal.refresh(first["refresh_token"], carla).json()
    repeated = portal.refresh(first["refresh_token"], carla).json()
    assert second["session"]["id"] == first["session"]["id"]
    assert second["refresh_token"] == repeated["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    third = portal.refresh(second["refresh_token"], carla)
    assert third.status_code == 200
    assert third.json()["refresh_token"] != second["refresh_token"]


@pytest.mark.req("P5")
def test_reuse_of_a_spent_token_ends_the_whole_session(portal: Any, carla: Person, karel: Person) -> None:
    others = portal.tokens(karel)
    first = portal.tokens(carla)
    second = portal.refresh(first["refresh_token"], carla).json()
    age(portal, first["refresh_token"], 11)
    reused = portal.refresh(first["refresh_token"], carla)
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_token_reused")
    victim = portal.refresh(second["refresh_token"], carla)
    assert (victim.status_code, victim.json()["code"]) == (401, "session_ended")
    assert events(portal, first["session"]["id"]) == ["login", "refresh_token_reused"]
    assert portal.refresh(others["refresh_token"], karel).status_code == 200


@pytest.mark.req("P5")
def test_parallel_refreshes_make_one_successor(portal: Any, carla: Person) -> None:
    first = portal.tokens(carla)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: portal.refresh(first["refresh_token"], carla), range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    rows = portal.sql(
        "select 1 from private.portal_refresh_tokens where session_id = %s", first["session"]["id"]
    )
    assert len(rows) == 2


@pytest.mark.req("P5")
def test_an_invented_refresh_token_is_refused(portal: Any, carla: Person) -> None:
    refused = portal.refresh("A" * 43, carla)
    assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")


@pytest.mark.req("P5", "P6")
@pytest.mark.parametrize("change", [{"device_id": "thiefs-phone"}, {"fingerprint": "fp-thief"}])
def test_a_refresh_from_another_device_is_refused_logged_and_ends_the_session(
    portal: Any, carla: Person, change: dict[str, str]
) -> None:
    first = portal.tokens(carla)
    second = portal.refresh(first["refresh_token"], carla)
    assert second.status_code == 200
    token = second.json()["refresh_token"]
    refused = portal.refresh(token, carla, **change)
    assert (refused.status_code, refused.json()["code"]) == (401, "device_mismatch")
    assert events(portal, first["session"]["id"]) == ["login", "device_mismatch"]
    assert portal.refresh(token, carla).json()["code"] == "session_ended"


@pytest.mark.req("P5", "P8")
@pytest.mark.parametrize("limit", ["idle_expires_at", "expires_at"])
def test_a_session_ends_when_idle_and_in_the_end_anyway(portal: Any, carla: Person, limit: str) -> None:
    first = portal.tokens(carla)
    second = portal.refresh(first["refresh_token"], carla)
    assert second.status_code == 200
    portal.sql(f"update public.portal_sessions set {limit} = now() where id = %s", first["session"]["id"])
    ended = portal.refresh(second.json()["refresh_token"], carla)
    assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")


@pytest.mark.req("P8")
def test_a_refresh_moves_the_idle_limit_but_not_the_last_one(portal: Any, carla: Person) -> None:
    first = portal.tokens(carla)
    query = "select idle_expires_at, expires_at from public.portal_sessions where id = %s"
    before = portal.sql(query, first["session"]["id"])[0]
    second = portal.refresh(first["refresh_token"], carla).json()
    after = portal.sql(query, first["session"]["id"])[0]
    assert after["idle_expires_at"] > before["idle_expires_at"]
    assert after["expires_at"] == before["expires_at"]
    assert second["session"] == first["session"]


@pytest.mark.req("P5", "P6")
def test_a_revoked_device_cannot_refresh(portal: Any, carla: Person) -> None:
    first = portal.tokens(carla)
    statement = "update public.portal_devices set revoked_at = {} where install_sha256 = %s"
    portal.sql(statement.format("now()"), sha256_hex(carla["device_id"]))
    refused = portal.refresh(first["refresh_token"], carla)
    portal.sql(statement.format("null"), sha256_hex(carla["device_id"]))
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
    assert portal.refresh(first["refresh_token"], carla).status_code == 200


@pytest.mark.req("P5")
def test_logout_ends_this_session_and_no_other(portal: Any, carla: Person) -> None:
    phone, web = portal.tokens(carla), portal.tokens(carla)
    assert portal.post("logout", {"refresh_token": phone["refresh_token"]}).status_code == 204
    assert portal.post("logout", {"refresh_token": phone["refresh_token"]}).status_code == 204
    assert portal.post("logout", {"refresh_token": "A" * 43}).status_code == 204
    assert portal.refresh(phone["refresh_token"], carla).json()["code"] == "session_ended"
    assert portal.refresh(web["refresh_token"], carla).status_code == 200
    assert events(portal, phone["session"]["id"]) == ["login", "logout"]


@pytest.mark.req("P3", "P5")
def test_nothing_secret_is_kept_or_logged(portal: Any, carla: Person) -> None:
    first = portal.tokens(carla)
    second = portal.refresh(first["refresh_token"], carla).json()
    canaries = {"password": "canary-password-1", "pin": "192837", "device_id": "canary-device-1"}
    portal.login(carla, **canaries)
    portal.login(carla, **(canaries | {"pin": "x192837"}))
    portal.post("logout", {"refresh_token": second["refresh_token"]})
    secrets = [*canaries.values(), carla["password"], carla["pin"]]
    secrets += [tokens[name] for tokens in (first, second) for name in ("refresh_token", "access_token")]
    kept = everything_in(portal) + portal.log.read_text()
    assert sha256_hex(first["refresh_token"]) in kept
    assert "portal.login_refused" in kept
    # A PIN's digits may stand in a hash or a fraction of a second by chance.
    assert [secret for secret in secrets if re.search(rf"(?<![0-9a-f.]){secret}(?![0-9a-f])", kept)] == []


def everything_in(portal: Any) -> str:
    """Every row of every table of ours, as text."""
    tables = portal.sql(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables"
        " where schemaname in ('public', 'private', 'audit')"
    )
    rows = [portal.sql(f"select t::text as row from {table['name']} t") for table in tables]
    return "\n".join(row["row"] for table in rows for row in table)
