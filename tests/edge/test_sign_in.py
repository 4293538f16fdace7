"""Login, refresh, logout and documents: what the edge asks of the database and Storage, in which order."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from workers.edge import secrets as secrets_module
from workers.edge.keys import SigningKey, SigningKeys
from workers.edge.tokens import TokenSigner, sha256_hex

MakeEdge = Callable[..., Any]
Reserve = Callable[..., dict[str, Any]]
GARAGE = UUID("11111111-0000-4000-8000-000000000001")
ACCOUNT = UUID("55555555-0000-4000-8000-000000000001")
SESSION = UUID("77777777-0000-4000-8000-000000000001")
INVOICE = "99999999-0000-4000-8000-000000000001"


@pytest.fixture
def bearer(signing_key: SigningKey) -> dict[str, str]:
    signer = TokenSigner(SigningKeys(keys=(signing_key,)))
    return {"authorization": f"Bearer {signer.sign(ACCOUNT, SESSION, GARAGE)}"}


@pytest.mark.req("P1", "P3", "P5")
def test_a_right_login_gets_both_tokens(
    make_edge: MakeEdge, login_body: dict[str, str], signing_key: SigningKey
) -> None:
    edge = make_edge()
    answer = edge.post("/portal/login", login_body, headers={"user-agent": "Autexor/1.0 " + "x" * 1000})
    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("bearer", 600)
    assert body["session"] == {
        "id": str(SESSION),
        "idle_seconds": 1800,
        "expires_at": "2026-11-23T10:00:00Z",
    }
    claims = TokenSigner(SigningKeys(keys=(signing_key,))).verify(body["access_token"])
    assert (claims.sub, claims.session_id, claims.garage_id) == (ACCOUNT, SESSION, GARAGE)
    reserved = edge.calls.arguments_of("portal_login_reserve")
    assert len(str(reserved.pop("user_agent"))) == 300
    assert reserved == {
        "garage_id": GARAGE,
        "login": "carla@example.test",
        "device_id": "carla-phone-noord",
        "fingerprint": "fp-carla",
        "key_thumbprint": None,
        "purpose": "login",
        "client_ip": "192.0.2.1",
    }
    finished = edge.calls.arguments_of("portal_login_finish")
    assert finished["refresh_token_sha256"] == sha256_hex(body["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.req("P1", "P3", "P4", "P6")
def test_every_refused_login_looks_and_works_the_same(
    make_edge: MakeEdge, reserve: Reserve, login_body: dict[str, str]
) -> None:
    refusals = {
        "wrong password": (login_body | {"password": "Karel-wacht-2026!"}, reserve()),
        "wrong pin": (login_body | {"pin": "481517"}, reserve()),
        "unknown e-mail": (login_body, reserve(password_hash=None, pin_hash=None)),
        "other device": (login_body, reserve(pin_hash=None)),
        "locked": (login_body, reserve(is_allowed=False, retry_after_seconds=900)),
        "damaged hash": (login_body, reserve(password_hash="x")),
    }
    seen = set()
    for body, reserved in refusals.values():
        edge = make_edge(portal_login_reserve=reserved)
        answer = edge.post("/portal/login", body)
        seen.add((answer.status_code, answer.text, str(answer.headers)))
        assert [name for name, _ in edge.calls.calls] == ["portal_login_reserve", "portal_login_finish"]
        assert edge.calls.arguments_of("portal_login_finish")["is_ok"] is False
    assert len(seen) == 1
    assert next(iter(seen))[0] == 401
    assert make_edge().post("/portal/login", login_body).status_code == 200


@pytest.mark.req("P4", "S4")
def test_an_address_that_tried_too_much_costs_no_hashing(
    make_edge: MakeEdge, reserve: Reserve, login_body: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(secrets_module, "verify_secret", lambda *given: bool(hashed.append(given[2])))
    blocked = reserve(is_allowed=False, is_address_blocked=True, password_hash=None, pin_hash=None)
    edge = make_edge(portal_login_reserve=blocked)
    answer = edge.post("/portal/login", login_body)
    assert hashed == []
    assert [name for name, _ in edge.calls.calls] == ["portal_login_reserve"]
    other = make_edge(portal_login_reserve=reserve(is_allowed=False, is_address_blocked=False))
    locked = other.post("/portal/login", login_body)
    assert len(hashed) == 2, "a blocked account is not told apart by its work"
    assert (answer.status_code, answer.text, answer.headers) == (401, locked.text, locked.headers)


@pytest.mark.req("P4")
def test_a_good_sign_in_alone_moves_its_secrets_to_the_present_pepper(
    make_edge: MakeEdge, reserve: Reserve, login_body: dict[str, str]
) -> None:
    older = b"a pepper of the tests, 31 bytes"
    stored = (
        secrets_module.hash_secret(older, login_body["password"], "p0"),
        secrets_module.hash_secret(older, login_body["pin"], "p0"),
    )
    edge = make_edge(
        peppers={"p1": b"another pepper, of the tests too", "p0": older},
        portal_login_reserve=reserve(password_hash=stored[0], pin_hash=stored[1]),
    )
    assert edge.post("/portal/login", login_body | {"pin": "481517"}).status_code == 401
    assert "portal_rehash" not in dict(edge.calls.calls)
    assert edge.post("/portal/login", login_body).status_code == 200
    kept = edge.calls.arguments_of("portal_rehash")
    assert (kept["old_password_hash"], kept["old_pin_hash"]) == stored
    anew = reserve(password_hash=kept["password_hash"], pin_hash=kept["pin_hash"])
    later = make_edge(peppers={"p1": b"another pepper, of the tests too"}, portal_login_reserve=anew)
    assert later.post("/portal/login", login_body).status_code == 200
    assert "portal_rehash" not in dict(later.calls.calls)


@pytest.mark.req("P4")
def test_a_right_login_that_came_too_late_is_refused_like_any_other(
    make_edge: MakeEdge, login_body: dict[str, str]
) -> None:
    late = make_edge(portal_login_finish={}).post("/portal/login", login_body)
    wrong = make_edge().post("/portal/login", login_body | {"pin": "000000"})
    assert (late.status_code, late.text) == (wrong.status_code, wrong.text)


@pytest.mark.req("P3")
def test_no_secret_reaches_the_database_or_the_log(
    make_edge: MakeEdge, login_body: dict[str, str], bearer: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    edge = make_edge()
    answer = edge.post("/portal/login", login_body).json()
    edge.post("/portal/login", login_body | {"pin": "000000"})
    device = {"device_id": "carla-phone-noord", "fingerprint": "fp-carla"}
    edge.post("/portal/refresh", {"refresh_token": answer["refresh_token"], **device})
    edge.post("/portal/logout", {"refresh_token": answer["refresh_token"]})
    edge.post("/portal/documents", {"invoice_id": INVOICE}, headers=bearer)
    grant = edge.storage_requests[0].headers["x-document-grant"]
    secrets = [
        login_body["password"],
        login_body["pin"],
        answer["refresh_token"],
        answer["access_token"],
        grant,
    ]
    told = repr(edge.calls.calls) + caplog.text
    assert "portal.login_refused" in told
    assert [secret for secret in secrets if secret in told] == []
    assert login_body["email"] not in caplog.text


@pytest.mark.req("P5", "P6")
def test_a_refresh_hands_out_the_same_successor_each_time(make_edge: MakeEdge) -> None:
    edge = make_edge()
    body = {"refresh_token": "A" * 43, "device_id": "carla-phone-noord", "fingerprint": "fp-carla"}
    first, second = (edge.post("/portal/refresh", body).json() for _ in range(2))
    assert first["refresh_token"] == second["refresh_token"] != body["refresh_token"]
    assert edge.calls.arguments_of("portal_refresh") == {
        "refresh_token_sha256": sha256_hex(body["refresh_token"]),
        "next_token_sha256": sha256_hex(first["refresh_token"]),
        "device_id": "carla-phone-noord",
        "fingerprint": "fp-carla",
        "key_thumbprint": None,
        "client_ip": "192.0.2.1",
    }


@pytest.mark.req("P5", "P6")
@pytest.mark.parametrize(
    "code", ["refresh_token_invalid", "refresh_token_reused", "session_ended", "device_mismatch"]
)
def test_a_refused_refresh_says_why(make_edge: MakeEdge, code: str) -> None:
    edge = make_edge(portal_refresh={"error": code})
    body = {"refresh_token": "A" * 43, "device_id": "d", "fingerprint": "f"}
    refused = edge.post("/portal/refresh", body)
    assert (refused.status_code, refused.json()["code"]) == (401, code)


def test_a_refresh_token_of_another_shape_is_refused_unasked(make_edge: MakeEdge) -> None:
    edge = make_edge()
    for token in ("A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n"):
        body = {"refresh_token": token, "device_id": "d", "fingerprint": "f"}
        assert edge.post("/portal/refresh", body).status_code == 422
        assert edge.post("/portal/logout", {"refresh_token": token}).status_code == 422
    assert edge.calls.calls == []


@pytest.mark.req("P5")
def test_logout_answers_alike_whether_the_token_was_known(make_edge: MakeEdge) -> None:
    for session_id in (None, str(SESSION)):
        edge = make_edge(portal_logout={"session_id": session_id})
        answer = edge.post("/portal/logout", {"refresh_token": "A" * 43})
        assert (answer.status_code, answer.content) == (204, b"")
        assert edge.calls.calls == [("portal_logout", {"refresh_token_sha256": sha256_hex("A" * 43)})]


@pytest.mark.req("P13")
def test_a_document_is_signed_as_the_customer_with_a_grant_of_one_use(
    make_edge: MakeEdge, bearer: dict[str, str]
) -> None:
    edge = make_edge()
    answer = edge.post("/portal/documents", {"invoice_id": INVOICE}, headers=bearer)
    body = answer.json()
    assert (answer.status_code, body["expires_in"], body["filename"]) == (200, 60, "2026-00001.pdf")
    root = "https://project.supabase.test/storage/v1/object/sign/invoices"
    assert body["signed_url"].startswith(f"{root}/{GARAGE}/i/d.pdf?token=")
    request = edge.storage_requests[0]
    assert str(request.url) == f"{root}/{GARAGE}/i/d.pdf"
    assert request.headers["authorization"] == bearer["authorization"]
    assert request.headers["apikey"] == "anon-key"
    assert request.content == b'{"expiresIn":60}'
    granted = edge.calls.arguments_of("portal_grant_document")
    assert granted["grant_sha256"] == sha256_hex(request.headers["x-document-grant"])
    assert (granted["session_id"], granted["account_id"], granted["garage_id"]) == (SESSION, ACCOUNT, GARAGE)
    edge.post("/portal/documents", {"invoice_id": INVOICE}, headers=bearer)
    assert edge.storage_requests[1].headers["x-document-grant"] != request.headers["x-document-grant"]


@pytest.mark.req("P13")
def test_a_document_that_the_database_refuses_is_never_asked_of_storage(
    make_edge: MakeEdge, bearer: dict[str, str]
) -> None:
    for code, status in [("document_not_found", 404), ("session_ended", 401)]:
        edge = make_edge(portal_grant_document={"error": code})
        refused = edge.post("/portal/documents", {"invoice_id": INVOICE}, headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert edge.storage_requests == []


@pytest.mark.req("P13")
@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (httpx.Response(400, json={"statusCode": "404", "error": "not_found"}), 404, "document_not_found"),
        (httpx.Response(403), 404, "document_not_found"),
        (httpx.Response(500), 503, "service_unavailable"),
        (httpx.Response(429), 503, "service_unavailable"),
        (httpx.Response(302, headers={"location": "https://evil.test"}), 503, "service_unavailable"),
        (httpx.Response(200, text="no json"), 503, "service_unavailable"),
        (httpx.Response(200, json=[]), 503, "service_unavailable"),
        (httpx.Response(200, json={"signedURL": None}), 503, "service_unavailable"),
        (httpx.ConnectError("away"), 503, "service_unavailable"),
    ],
)
def test_what_storage_answers_decides(
    make_edge: MakeEdge, bearer: dict[str, str], answer: httpx.Response | Exception, status: int, code: str
) -> None:
    def storage(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    refused = make_edge(storage=storage).post("/portal/documents", {"invoice_id": INVOICE}, headers=bearer)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.req("P5", "P13")
def test_documents_want_a_token_of_ours(make_edge: MakeEdge, bearer: dict[str, str]) -> None:
    edge = make_edge()
    token = bearer["authorization"].removeprefix("Bearer ")
    body = {"invoice_id": INVOICE}
    assert (
        edge.post("/portal/documents", body, headers={"authorization": f"bearer {token}"}).status_code == 200
    )
    edge.calls.calls.clear()
    for value in ("", "Bearer", f"Basic {token}", token, f"Bearer {token[:-4]}AAAA", "Bearer x.y.z"):
        refused = edge.post("/portal/documents", body, headers={"authorization": value})
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert edge.calls.calls == []


@pytest.mark.req("P4", "S4")
def test_a_forged_forwarded_header_does_not_change_whose_try_it_is(
    make_edge: MakeEdge, login_body: dict[str, str]
) -> None:
    forged = {"x-forwarded-for": "198.51.100.7"}
    for trusted, expected in [((), "192.0.2.1"), (("192.0.2.0/24",), "198.51.100.7")]:
        edge = make_edge(trusted=trusted)
        edge.post("/portal/login", login_body, headers=forged)
        assert edge.calls.arguments_of("portal_login_reserve")["client_ip"] == expected
