"""Proofs of a device's key: made for one request, by a key on P-256, fresh, used once."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from workers.edge.keys import SigningKey, SigningKeys
from workers.edge.tokens import TokenSigner

MakeEdge = Callable[..., Any]
URL = "https://project.supabase.test/functions/v1/portal/login"


@pytest.mark.req("P6")
def test_a_good_proof_brings_its_thumbprint_and_is_marked_as_used(
    make_edge: MakeEdge, login_body: dict[str, str], app_key: Any
) -> None:
    edge = make_edge()
    urls = [URL, f"{URL}?x=1#y", URL.replace(".test/", ".test:443/")]
    for url in urls:
        assert edge.post("/portal/login", login_body, headers={"dpop": app_key.proof(url)}).status_code == 200
    assert edge.calls.arguments_of("portal_login_reserve")["key_thumbprint"] == app_key.thumbprint
    taken = {str(given["jti_sha256"]) for name, given in edge.calls.calls if name == "portal_take_proof"}
    assert len(taken) == len(urls)


@pytest.mark.req("P6")
def test_every_other_proof_is_refused_before_anything_is_counted(
    make_edge: MakeEdge, login_body: dict[str, str], app_key: Any, another_key: Any
) -> None:
    edge = make_edge()
    now = int(time.time())
    good = app_key.proof(URL)
    header, claims, signature = good.split(".")
    unsigned = jwt.encode({"htm": "POST", "htu": URL, "iat": now, "jti": "0" * 9}, "", algorithm="none")
    symmetric = jwt.encode(
        {"htm": "POST", "htu": URL, "iat": now, "jti": "0" * 9},
        "a secret of at least thirty-two bytes",
        algorithm="HS256",
        headers={"typ": "dpop+jwt", "jwk": app_key.jwk},
    )
    refused = {
        "old": app_key.proof(URL, iat=now - 90),
        "of the future": app_key.proof(URL, iat=now + 90),
        "without time": app_key.proof(URL, iat=None),
        "without id": app_key.proof(URL, jti=None),
        "with an empty id": app_key.proof(URL, jti=""),
        "for another method": app_key.proof(URL, htm="GET"),
        "for another path": app_key.proof(URL.replace("login", "refresh")),
        "for another host": app_key.proof(URL.replace("project", "evil")),
        "for no host": app_key.proof("/portal/login"),
        "for the address without tls": app_key.proof(URL.replace("https", "http")),
        "with another key in it": app_key.proof(URL, header={"jwk": another_key.jwk}),
        "with the private key in it": app_key.proof(URL, header={"jwk": app_key.secret_jwk}),
        "with a key elsewhere": app_key.proof(URL, header={"jku": "https://evil.test/keys"}),
        "with a kid": app_key.proof(URL, header={"kid": "first"}),
        "of another type": app_key.proof(URL, header={"typ": "JWT"}),
        "without a key": app_key.proof(URL, header={"jwk": None}),
        "with a key off the curve": app_key.proof(URL, header={"jwk": app_key.jwk | {"y": "A" * 43}}),
        "unsigned": unsigned,
        "symmetric": symmetric,
        "with a cut signature": f"{header}.{claims}.{signature[:-8]}",
        "words": "x.y.z",
        "empty": "",
        "endless": "x" * 5000,
    }
    told = {
        name: edge.post("/portal/login", login_body, headers={"dpop": proof})
        for name, proof in refused.items()
    }
    assert {
        name: (answer.status_code, answer.json()["code"])
        for name, answer in told.items()
        if (answer.status_code, answer.json()["code"]) != (401, "proof_invalid")
    } == {}
    two = edge.post("/portal/login", login_body, headers=[("dpop", good), ("dpop", good)])
    assert two.json()["code"] == "proof_invalid"
    assert edge.calls.calls == []
    assert edge.post("/portal/login", login_body, headers={"dpop": good}).status_code == 200


@pytest.mark.req("P6")
def test_a_proof_that_was_used_before_is_refused(
    make_edge: MakeEdge, login_body: dict[str, str], app_key: Any
) -> None:
    for is_new, status in [(True, 200), (False, 401)]:
        edge = make_edge(portal_take_proof={"is_new": is_new})
        answer = edge.post("/portal/login", login_body, headers={"dpop": app_key.proof(URL)})
        assert answer.status_code == status


@pytest.mark.req("P5", "P6")
def test_with_an_access_token_the_proof_is_made_for_that_token(
    make_edge: MakeEdge, signing_key: SigningKey, login_body: dict[str, str], app_key: Any
) -> None:
    account, session, garage = (f"{n}5555555-0000-4000-8000-000000000001" for n in "567")
    token = TokenSigner(SigningKeys(keys=(signing_key,))).sign(account, session, garage, app_key.thumbprint)
    assert jwt.decode(token, options={"verify_signature": False})["cnf"] == {"jkt": app_key.thumbprint}
    url = URL.replace("login", "account/close")
    confirmed = {name: login_body[name] for name in ("password", "pin", "device_id", "fingerprint")}

    def close(**claims: Any) -> Any:
        edge = make_edge(portal_change_reserve={"error": "session_ended"})
        headers = {"authorization": f"Bearer {token}", "dpop": app_key.proof(url, **claims)}
        return edge.post("/portal/account/close", confirmed, headers=headers).json()["code"]

    assert close(ath=app_key.ath(token)) == "session_ended", "the database was asked"
    assert close() == "proof_invalid"
    assert close(ath=app_key.ath("another")) == "proof_invalid"
