"""What every address answers to a caller, before and apart from what the database says."""

import asyncio
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from workers.edge.errors import STATUS, negotiate
from workers.edge.messages import LOCALES, MESSAGES

MakeEdge = Callable[..., Any]
TOKEN = "A" * 43


def test_health_and_keys_are_open_and_only_the_keys_are_cached(make_edge: MakeEdge) -> None:
    edge = make_edge()
    health = edge.request("GET", "/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert health.headers["cache-control"] == "no-store"
    keys = edge.request("GET", "/portal/.well-known/jwks.json")
    assert keys.headers["cache-control"] == "public, max-age=600"
    assert [sorted(key) for key in keys.json()["keys"]] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]


def test_ready_asks_the_database(make_edge: MakeEdge, database_away: psycopg.OperationalError) -> None:
    assert make_edge().request("GET", "/ready").status_code == 200
    away = make_edge(ping=database_away)
    refused = away.request("GET", "/ready")
    assert (refused.status_code, refused.json()["code"]) == (503, "service_unavailable")
    assert refused.headers["retry-after"]
    assert away.request("GET", "/health").status_code == 200


@pytest.mark.req("P1")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("garage_id", "noord"),
        ("email", ""),
        ("email", "x" * 321),
        ("email", "carla\x00@example.test"),
        ("password", "short"),
        ("password", "x" * 129),
        ("pin", "12345"),
        ("pin", "1234567"),
        ("pin", "48151６"),
        ("pin", "481516\n"),
        ("pin", 481516),
        ("device_id", ""),
        ("fingerprint", None),
    ],
)
def test_a_malformed_login_is_refused_before_anything_is_counted(
    make_edge: MakeEdge, login_body: dict[str, str], field: str, value: Any
) -> None:
    edge = make_edge()
    refused = edge.post("/portal/login", login_body | {field: value})
    assert refused.status_code == 422
    assert refused.json() == {
        "code": "invalid_request",
        "message": "The request is incomplete or malformed",
        "hint": f"Check the fields and their shape ({field})",
    }
    assert edge.calls.calls == []
    assert edge.post("/portal/login", login_body).status_code == 200


@pytest.mark.req("P3")
def test_a_letter_and_its_accent_are_one_character_of_a_password(
    make_edge: MakeEdge, login_body: dict[str, str]
) -> None:
    apart = unicodedata.normalize("NFD", "é")
    assert len(apart) == 2
    for count, status in [(7, 422), (8, 401), (128, 401), (129, 422)]:
        assert (
            make_edge().post("/portal/login", login_body | {"password": apart * count}).status_code == status
        )


@pytest.mark.req("P3")
def test_an_invalid_request_is_not_echoed(make_edge: MakeEdge, login_body: dict[str, str]) -> None:
    odd = {"canary-name": "canary-value", "password": "canary!", "pin": "canary"}
    refused = make_edge().post("/portal/login", login_body | odd)
    assert refused.status_code == 422
    assert "canary" not in refused.text
    assert refused.json()["hint"].endswith("(password, pin)")


def test_a_field_we_do_not_know_is_refused(make_edge: MakeEdge, login_body: dict[str, str]) -> None:
    edge = make_edge()
    assert edge.post("/portal/login", login_body | {"role": "service_role"}).status_code == 422
    assert edge.calls.calls == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b'{"a":"\\ud800"}', b"\xff", b"[" * 9000]
)
def test_a_body_that_is_no_login_is_refused(make_edge: MakeEdge, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    refused = make_edge().request("POST", "/portal/login", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_only_json_is_read(
    make_edge: MakeEdge, login_body: dict[str, str], content_type: str, status: int
) -> None:
    content = json.dumps(login_body).encode()
    answer = make_edge().request(
        "POST", "/portal/login", content=content, headers={"content-type": content_type}
    )
    assert answer.status_code == status


def test_a_body_over_16_kib_is_refused_however_it_is_sent(
    make_edge: MakeEdge, login_body: dict[str, str]
) -> None:
    edge = make_edge()
    padding = 16 * 1024 - len(json.dumps(login_body))
    headers = {"content-type": "application/json"}

    async def in_pieces(content: bytes) -> Any:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    for extra, status in [(0, 200), (1, 413)]:
        content = json.dumps(login_body).encode() + b" " * (padding + extra)
        whole = edge.request("POST", "/portal/login", content=content, headers=headers)
        pieces = edge.request("POST", "/portal/login", content=in_pieces(content), headers=headers)
        assert (whole.status_code, pieces.status_code) == (status, status)


def test_unknown_addresses_and_methods_are_refused_in_the_same_shape(make_edge: MakeEdge) -> None:
    edge = make_edge()
    for method, path, status, code in [
        ("GET", "/portal/login", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("POST", "/portal/login/x", 404, "not_found"),
    ]:
        refused = edge.request(method, path)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert sorted(refused.json()) == ["code", "hint", "message"]
        assert refused.headers["cache-control"] == "no-store"
    assert edge.request("GET", "/portal/login").headers["allow"] == "POST"


def test_a_database_that_is_away_is_503_and_a_bug_is_500(
    make_edge: MakeEdge, login_body: dict[str, str], database_away: psycopg.OperationalError
) -> None:
    away = make_edge(portal_login_reserve=database_away).post("/portal/login", login_body)
    assert (away.status_code, away.json()["code"]) == (503, "service_unavailable")
    broken = make_edge(portal_login_reserve=RuntimeError("canary")).post("/portal/login", login_body)
    assert (broken.status_code, broken.json()["code"]) == (500, "internal_error")
    assert "canary" not in broken.text
    assert broken.headers["cache-control"] == "no-store"


@pytest.mark.req("P4")
def test_one_login_too_many_is_sent_away_uncounted(make_edge: MakeEdge, login_body: dict[str, str]) -> None:
    edge = make_edge(logins=2)

    async def flood() -> list[httpx.Response]:
        answers: list[httpx.Response] = await asyncio.gather(
            *(edge.send("POST", "/portal/login", json=login_body) for _ in range(5))
        )
        return answers

    answers = asyncio.run(flood())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert (busy.json()["code"], busy.headers["retry-after"]) == ("too_busy", "5")
    assert [name for name, _ in edge.calls.calls].count("portal_login_reserve") == 2
    assert edge.post("/portal/login", login_body).status_code == 200, "places are given back"


@pytest.mark.parametrize(
    ("wanted", "locale"),
    [
        ("", "en"),
        ("de", "en"),
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("en;q=0.5, fr-BE;q=0.7", "fr"),
        ("FR", "fr"),
        ("nl;q=0, fr;q=0.1", "fr"),
        ("nl;q=0", "en"),
        ("nl;q=x;;,,=", "en"),
    ],
)
def test_refusals_speak_the_callers_language(make_edge: MakeEdge, wanted: str, locale: str) -> None:
    assert negotiate(wanted) == locale
    refused = make_edge().request("GET", "/nowhere", headers={"accept-language": wanted})
    assert refused.json()["message"] == MESSAGES["not_found"][locale][0]
    assert refused.headers["content-language"] == locale


def test_every_code_has_a_status_and_three_languages() -> None:
    assert STATUS.keys() == MESSAGES.keys()
    for texts in MESSAGES.values():
        assert tuple(texts) == LOCALES
        assert all(part for text in texts.values() for part in text)


def test_browsers_of_other_origins_may_ask(make_edge: MakeEdge, login_body: dict[str, str]) -> None:
    edge = make_edge()
    preflight = edge.request(
        "OPTIONS",
        "/portal/documents",
        headers={
            "origin": "https://portal.autexor.be",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,apikey,dpop",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = edge.post("/portal/login", login_body, headers={"origin": "https://portal.autexor.be"})
    assert answer.headers["access-control-allow-origin"] == "*"
