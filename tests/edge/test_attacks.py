"""Attacks on the portal's tokens and sign-in, at the edge, PostgREST, Storage and Realtime of a stack."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from websockets.sync.client import connect

from devstack.keys import Keys, load_or_create
from devstack.stack import Stack

NOORD = "11111111-0000-4000-8000-000000000001"
ZUID = "11111111-0000-4000-8000-000000000002"
CARLAS_CUSTOMER = "33333333-0000-4000-8000-000000000001"
CARLA = {
    "garage_id": NOORD,
    "email": "carla@example.test",
    "password": "Carla-wacht-2026!",
    "pin": "481516",
    "device_id": "carla-phone-noord",
    "fingerprint": "fp-carla",
}
KAREL = {
    "garage_id": NOORD,
    "email": "karel@example.test",
    "password": "Karel-wacht-2026!",
    "pin": "234299",
    "device_id": "karel-phone-noord",
    "fingerprint": "fp-karel",
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63"
    "6800000082008177cd72b60000000049454e44ae426082"
)
EVERYWHERE = {"edge": True, "postgrest": True, "storage": True, "realtime": True}
NOWHERE = dict.fromkeys(EVERYWHERE, False)


@dataclass
class Target:
    """The stack as an attacker reaches it. `doors` says which services take a token."""

    http: httpx.Client
    settings: dict[str, str]
    keys: Keys

    def portal(
        self, path: str, body: dict[str, Any], token: str = "", http: httpx.Client | None = None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return (http or self.http).post(f"/functions/v1/portal/{path}", json=body, headers=headers)

    def elsewhere(self, address: str) -> httpx.Client:
        """Somebody at another loopback address: the gateway believes the connection and no header."""
        transport = httpx.HTTPTransport(local_address=address)
        base, headers = self.http.base_url, self.http.headers
        return httpx.Client(base_url=base, headers=headers, transport=transport, timeout=30)

    def sign_in(self, who: dict[str, str]) -> dict[str, Any]:
        answer = self.portal("login", who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sql(self, statement: str, *values: object) -> list[Any]:
        with psycopg.connect(self.settings["DB_URL"]) as connection:
            cursor = connection.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def doors(self, token: str, photo: str) -> dict[str, bool]:
        return {
            "edge": self.portal("photos", {"message_id": photo}, token).status_code == 200,
            "postgrest": self.reads(token),
            "storage": self.stores(token),
            "realtime": self.joins(token),
        }

    def reads(self, token: str) -> bool:
        headers = {"authorization": f"Bearer {token}", "accept-profile": "portal"}
        answer = self.http.get("/rest/v1/profile?select=id", headers=headers)
        return answer.status_code == 200 and answer.json() == [{"id": CARLAS_CUSTOMER}]

    def announce(self, token: str) -> str:
        headers = {"authorization": f"Bearer {token}", "content-profile": "portal"}
        answer = self.http.post(
            "/rest/v1/rpc/announce_photo", json={"content_type": "image/png"}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["storage_path"])

    def stores(self, token: str) -> bool:
        """Storage lets a customer do one thing by their own token: put the photo that was announced."""
        self.sql("delete from private.rate_limits")
        path = self.announce(self.sign_in(CARLA)["access_token"])
        headers = {"authorization": f"Bearer {token}", "content-type": "image/png"}
        return self.http.post(
            f"/storage/v1/object/message_photos/{path}", content=PIXEL, headers=headers
        ).is_success

    def joins(self, token: str) -> bool:
        base = self.settings["API_URL"].replace("http", "ws", 1)
        address = f"{base}/realtime/v1/websocket?apikey={self.settings['ANON_KEY']}&vsn=1.0.0"
        topic = f"realtime:garage:{NOORD}:customer:{CARLAS_CUSTOMER}"
        payload = {"config": {"private": True}, "access_token": token}
        with connect(address, proxy=None) as socket:
            socket.send(json.dumps({"topic": topic, "event": "phx_join", "payload": payload, "ref": "1"}))
            while True:
                frame = json.loads(socket.recv(5))
                if frame["event"] == "phx_reply":
                    return bool(frame["payload"]["status"] == "ok")


@pytest.fixture(scope="module")
def target(stack: Stack) -> Iterator[Target]:
    settings = stack.environment()
    headers = {"apikey": settings["ANON_KEY"]}
    keys = load_or_create(stack.settings.data_dir / "keys.json")
    with httpx.Client(base_url=settings["API_URL"], headers=headers, timeout=60, trust_env=False) as http:
        yield Target(http, settings, keys)


@pytest.fixture(autouse=True)
def no_counters(target: Target) -> None:
    target.sql("delete from private.rate_limits")


@pytest.fixture(scope="module")
def photo(target: Target) -> str:
    """A message of Carla's with a photo, which the edge opens for her alone."""
    token = target.sign_in(CARLA)["access_token"]
    path = target.announce(token)
    bearer = {"authorization": f"Bearer {token}"}
    put = target.http.post(
        f"/storage/v1/object/message_photos/{path}",
        content=PIXEL,
        headers=bearer | {"content-type": "image/png"},
    )
    assert put.status_code == 200, put.text
    ((photo_id,),) = target.sql("select id::text from public.message_photos where storage_path = %s", path)
    sent = target.http.post(
        "/rest/v1/rpc/send_message",
        json={"body": "", "photo_id": photo_id},
        headers=bearer | {"content-profile": "portal"},
    )
    assert sent.status_code == 200, sent.text
    return str(sent.json()["id"])


def b64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, Any], keys: Keys, /, **header: Any) -> str:
    first = keys.portal_keys[0]
    return jwt.encode(
        claims, jwt.PyJWK(first).key, algorithm="ES256", headers={"kid": first["kid"], **header}
    )


def by_another_key(claims: dict[str, Any], keys: Keys, /, **header: Any) -> str:
    other = ec.generate_private_key(ec.SECP256R1())
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, other, algorithm="ES256", headers={"kid": keys.portal_keys[0]["kid"], **header})


def hs256(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    head = f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{b64(claims)}"
    mac = hmac.new(secret, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def altered(token: str, **changes: Any) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{header}.{b64(claims | changes)}.{signature}"


def attacker_jwk() -> tuple[Any, dict[str, Any]]:
    private = ec.generate_private_key(ec.SECP256R1())
    jwk: dict[str, Any] = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return private, jwk


def forgeries(good: str, keys: Keys) -> dict[str, str]:
    """Tokens nobody may take: those without our key, and those no edge of ours would sign."""
    claims = jwt.decode(good, options={"verify_signature": False})
    public = {name: keys.portal_keys[0][name] for name in ("kty", "crv", "x", "y")}
    kid = keys.portal_keys[0]["kid"]
    private, injected = attacker_jwk()
    own_jwk = jwt.encode(claims, private, algorithm="ES256", headers={"kid": kid, "jwk": injected})
    own_kid = jwt.encode(claims, private, algorithm="ES256", headers={"kid": "../../dev/null"})
    jku = {"jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/cert"}
    pem = jwt.PyJWK(public | {"alg": "ES256"}).key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    now = int(time.time())
    return {
        "alg none": f"{b64({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{b64(claims)}.",
        "alg None": f"{b64({'alg': 'None', 'typ': 'JWT'})}.{b64(claims)}.",
        "no signature": good.rsplit(".", 1)[0] + ".",
        "HS256 with the public key as JWK": hs256(claims, json.dumps(public).encode(), kid),
        "HS256 with the public key as PEM": hs256(claims, pem, kid),
        "HS256 with the x coordinate": hs256(claims, public["x"].encode(), kid),
        "HS256 with nothing": hs256(claims, b"", kid),
        "another key": by_another_key(claims, keys),
        "another key, wrong audience": by_another_key(claims | {"aud": "anon"}, keys),
        "another key, no end": by_another_key({**claims, "exp": None}, keys),
        "another key, service_role": by_another_key(claims | {"role": "service_role"}, keys),
        "another key, jwk injected": own_jwk,
        "another key, jku and x5u injected": by_another_key(claims, keys, **jku),
        "another key, kid injected": own_kid,
        "altered garage": altered(good, garage_id=ZUID),
        "altered session": altered(good, session_id=str(uuid4())),
        "altered role": altered(good, role="service_role"),
        "altered end": altered(good, exp=now + 10**6),
        "expired": signed(claims | {"exp": now - 3600}, keys),
        "not yet": signed(claims | {"nbf": now + 3600}, keys),
    }


@pytest.mark.slow
@pytest.mark.req("P5", "S3")
def test_forged_and_altered_tokens_open_nothing_anywhere(target: Target, photo: str) -> None:
    good = target.sign_in(CARLA)["access_token"]
    assert target.doors(good, photo) == EVERYWHERE
    told = {name: target.doors(token, photo) for name, token in forgeries(good, target.keys).items()}
    assert {name: answer for name, answer in told.items() if answer != NOWHERE} == {}
    assert target.doors(good, photo) == EVERYWHERE


@pytest.mark.slow
@pytest.mark.req("P5", "S3")
def test_whoever_had_the_signing_key_would_still_not_be_anybody_else(target: Target, photo: str) -> None:
    """Claims no edge of ours signs, under the right key: the database asks the session row, not the token."""
    good = target.sign_in(CARLA)["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    karel = jwt.decode(target.sign_in(KAREL)["access_token"], options={"verify_signature": False})

    def without(name: str) -> str:
        return signed({key: value for key, value in claims.items() if key != name}, target.keys)

    tokens = {
        "another garage's session id": signed(claims | {"garage_id": ZUID}, target.keys),
        "another customer's session id": signed(claims | {"session_id": karel["session_id"]}, target.keys),
        "another customer": signed(claims | {"sub": karel["sub"]}, target.keys),
        "an invented session": signed(claims | {"session_id": str(uuid4())}, target.keys),
        "no session": without("session_id"),
        "no garage": without("garage_id"),
    }
    told = {name: target.doors(token, photo) for name, token in tokens.items()}
    assert {name: answer for name, answer in told.items() if answer != NOWHERE} == {}
    # What else PostgREST's pre-request and the edge refuse; Storage and Realtime have no such place.
    shapes = {
        "wrong audience": signed(claims | {"aud": "anon"}, target.keys),
        "no audience": without("aud"),
        "no end": without("exp"),
        "no issuer": without("iss"),
        "another issuer": signed(claims | {"iss": "supabase"}, target.keys),
        "service_role": signed(claims | {"role": "service_role"}, target.keys),
        "authenticated": signed(claims | {"role": "authenticated"}, target.keys),
        "no role": without("role"),
    }
    for name, token in shapes.items():
        answer = {"edge": target.portal("photos", {"message_id": photo}, token).status_code == 200}
        assert answer | {"postgrest": target.reads(token)} == {"edge": False, "postgrest": False}, name
    assert target.doors(good, photo) == EVERYWHERE


@pytest.mark.slow
@pytest.mark.req("P5", "P8")
@pytest.mark.parametrize("end", ["logout", "sessions/end", "devices/revoke", "garage"])
def test_a_token_opens_nothing_once_its_session_has_ended(target: Target, photo: str, end: str) -> None:
    tokens, other = target.sign_in(CARLA), target.sign_in(KAREL)
    token, session = tokens["access_token"], tokens["session"]["id"]
    assert target.doors(token, photo) == EVERYWHERE
    ((device,),) = target.sql("select device_id::text from public.portal_sessions where id = %s", session)
    match end:
        case "logout":
            target.portal("logout", {"refresh_token": tokens["refresh_token"]})
        case "sessions/end":
            assert target.portal(end, {"id": session}, token).status_code == 204
        case "devices/revoke":
            assert target.portal(end, {"id": device}, token).status_code == 204
            target.sql("update public.portal_devices set revoked_at = null where id = %s", device)
        case "garage":
            target.sql(
                "update public.portal_sessions set revoked_at = now(), revoke_reason = 'garage'"
                " where id = %s",
                session,
            )
    assert target.doors(token, photo) == NOWHERE
    headers = {"authorization": f"Bearer {other['access_token']}", "accept-profile": "portal"}
    assert target.http.get("/rest/v1/profile", headers=headers).status_code == 200


@pytest.mark.slow
@pytest.mark.req("P4", "S4")
def test_forty_parallel_guesses_get_five_tries(target: Target) -> None:
    pins = [f"{number:06}" for number in range(40)]
    query = "select count(*) from private.login_attempts where is_allowed and account_id = %s"
    account = "55555555-0000-4000-8000-000000000001"
    ((before,),) = target.sql(query, account)

    def guess(pin: str) -> tuple[int, str]:
        answer = target.portal("login", CARLA | {"pin": pin})
        while answer.status_code == 503:
            answer = target.portal("login", CARLA | {"pin": pin})
        return answer.status_code, answer.text

    with ThreadPoolExecutor(40) as pool:
        answers = set(pool.map(guess, pins))
    ((after,),) = target.sql(query, account)
    assert {status for status, _ in answers} == {401} and len(answers) == 1
    assert after - before == 5
    assert target.portal("login", CARLA).status_code == 401, "the right PIN is locked out, too"
    assert target.portal("login", KAREL).status_code == 200


@pytest.mark.slow
@pytest.mark.req("P4", "S4")
def test_five_hundred_logins_sprayed_from_one_address_are_tried_sixty_times(target: Target) -> None:
    address = "127.0.0.50"
    spray = {"password": "Welkom-2026-!", "pin": "135791", "device_id": "botnet", "fingerprint": "fp"}
    query = "select count(*) from private.login_attempts where client_ip = %s"

    def one(number: int) -> tuple[int, str]:
        body = {"garage_id": NOORD, "email": f"victim{number}@example.test", **spray}
        answer = target.portal("login", body, http=sprayer)
        while answer.status_code == 503:
            answer = target.portal("login", body, http=sprayer)
        return answer.status_code, answer.text

    with target.elsewhere(address) as sprayer:
        with ThreadPoolExecutor(16) as pool:
            answers = set(pool.map(one, range(500)))
        assert len(answers) == 1 and next(iter(answers))[0] == 401
        assert target.sql(query, address) == [(60,)]
        assert target.portal("login", CARLA, http=sprayer).status_code == 200, "a known device is let in"
    assert target.portal("login", KAREL).status_code == 200


@pytest.mark.req("P5", "P6")
def test_a_stolen_refresh_token_helps_no_other_device_and_warns(target: Target, photo: str) -> None:
    tokens = target.sign_in(CARLA)
    assert target.doors(tokens["access_token"], photo) == EVERYWHERE
    thief = {"device_id": "thiefs-phone", "fingerprint": "fp-thief"}
    stolen = target.portal("refresh", {"refresh_token": tokens["refresh_token"], **thief})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "device_mismatch")
    assert target.doors(tokens["access_token"], photo) == NOWHERE, "thief and owner are both out"
    logged = target.sql(
        "select event from audit.access_entries where session_id = %s", tokens["session"]["id"]
    )
    assert ("device_mismatch",) in logged


@pytest.mark.req("P5", "P6")
def test_a_cloned_device_is_found_when_both_have_refreshed(target: Target) -> None:
    """The clone has token, device id and fingerprint: nothing but the order tells it from the owner."""
    tokens = target.sign_in(CARLA)
    device = {name: CARLA[name] for name in ("device_id", "fingerprint")}
    first = {"refresh_token": tokens["refresh_token"], **device}
    owner = target.portal("refresh", first)
    assert owner.status_code == 200
    target.sql(
        "update private.portal_refresh_tokens set used_at = used_at - interval '11 seconds'"
        " where session_id = %s and used_at is not null",
        tokens["session"]["id"],
    )
    clone = target.portal("refresh", first)
    assert (clone.status_code, clone.json()["code"]) == (401, "refresh_token_reused")
    again = target.portal("refresh", {"refresh_token": owner.json()["refresh_token"], **device})
    assert (again.status_code, again.json()["code"]) == (401, "session_ended")


@pytest.mark.req("P5", "P6")
def test_a_cloned_device_is_no_use_without_the_key_that_cannot_be_copied(
    target: Target, app_key: Any, another_key: Any
) -> None:
    at = f"{target.settings['API_URL']}/functions/v1/portal"
    device = {name: KAREL[name] for name in ("device_id", "fingerprint")}

    def post(path: str, body: dict[str, Any], key: Any = None) -> httpx.Response:
        headers = {"dpop": key.proof(f"{at}/{path}")} if key else {}
        return target.http.post(f"/functions/v1/portal/{path}", json=body, headers=headers)

    try:
        tokens = post("login", KAREL, app_key).json()
        assert post("login", KAREL).status_code == post("login", KAREL, another_key).status_code == 401
        renewed = post("refresh", {"refresh_token": tokens["refresh_token"], **device}, app_key)
        assert renewed.status_code == 200
        clone = post("refresh", {"refresh_token": renewed.json()["refresh_token"], **device}, another_key)
        assert (clone.status_code, clone.json()["code"]) == (401, "device_mismatch")
    finally:
        target.sql("update public.portal_devices set key_thumbprint = null where key_thumbprint is not null")
    assert post("login", KAREL).status_code == 200


@pytest.mark.req("P3", "P6")
def test_a_pin_opens_nothing_on_another_device_or_alone(target: Target) -> None:
    for change in (
        {"device_id": "another-phone"},
        {"fingerprint": "fp-other"},
        {"device_id": KAREL["device_id"], "fingerprint": KAREL["fingerprint"]},
        {"password": "x" * 8},
    ):
        assert target.portal("login", CARLA | change).status_code == 401
    assert target.portal("login", {**CARLA, "password": ""}).status_code == 422
    assert target.portal("login", CARLA).status_code == 200
