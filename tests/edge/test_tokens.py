import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from pydantic import ValidationError

from workers.edge.errors import EdgeError
from workers.edge.keys import SigningKey, SigningKeys
from workers.edge.tokens import RefreshTokens, TokenSigner, sha256_hex

ACCOUNT = UUID("55555555-0000-4000-8000-000000000001")
SESSION = UUID("77777777-0000-4000-8000-000000000001")
GARAGE = UUID("11111111-0000-4000-8000-000000000001")


def new_key(kid: str) -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey.model_validate({**ECAlgorithm.to_jwk(private, as_dict=True), "kid": kid})


def signer_of(*keys: SigningKey) -> TokenSigner:
    return TokenSigner(SigningKeys(keys=keys))


def retired(key: SigningKey) -> SigningKey:
    return SigningKey.model_validate(key.public())


@pytest.fixture
def key() -> SigningKey:
    return new_key("now")


@pytest.fixture
def forge(key: SigningKey) -> Callable[..., str]:
    """A token made by someone who holds `key`, or another one, with claims of their choice."""

    def build(signed_by: Any = None, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        good = jwt.decode(signer_of(key).sign(ACCOUNT, SESSION, GARAGE), options={"verify_signature": False})
        claims = {name: value for name, value in (good | changes).items() if value is not None}
        return jwt.encode(
            claims,
            signed_by or key.signing(),
            algorithm="ES256",
            headers=headers if headers is not None else {"kid": "now"},
        )

    return build


@pytest.mark.req("P5")
def test_a_token_says_who_and_for_how_long(key: SigningKey) -> None:
    token = signer_of(key).sign(ACCOUNT, SESSION, GARAGE)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "now", "typ": "JWT"}
    assert claims.pop("exp") - claims["iat"] == 600
    assert abs(claims.pop("iat") - time.time()) < 60
    assert UUID(claims.pop("jti"))
    assert claims == {
        "iss": "https://portal.autexor.be",
        "aud": "authenticated",
        "sub": str(ACCOUNT),
        "role": "portal",
        "session_id": str(SESSION),
        "garage_id": str(GARAGE),
        "amr": ["pwd", "pin"],
    }


@pytest.mark.req("P5")
def test_only_our_own_untouched_tokens_are_accepted(key: SigningKey, forge: Callable[..., str]) -> None:
    signer = signer_of(key)
    assert signer.verify(forge()).session_id == SESSION
    past = int(time.time()) - 1
    forged = {
        "another key": forge(signed_by=new_key("now").signing()),
        "unknown kid": forge(headers={"kid": "other"}),
        "no kid": forge(headers={}),
        "other role": forge(role="service_role"),
        "staff role": forge(role="authenticated"),
        "other issuer": forge(iss="https://evil.test"),
        "other audience": forge(aud="anon"),
        "expired": forge(exp=past),
        "no end": forge(exp=None),
        "not yet": forge(nbf=past + 1000),
        "no session": forge(session_id=None),
        "odd session": forge(session_id="' or true"),
        "odd garage": forge(garage_id=["x"]),
        "no role": forge(role=None),
        "empty": "",
        "words": "not.a.token",
    }
    for name, token in forged.items():
        with pytest.raises(EdgeError, match="invalid_token"):
            signer.verify(token)
            pytest.fail(f"{name} was accepted")


@pytest.mark.req("P5")
def test_no_other_algorithm_is_accepted(key: SigningKey, forge: Callable[..., str]) -> None:
    signer = signer_of(key)
    claims = jwt.decode(forge(), options={"verify_signature": False})
    hs256 = jwt.encode(claims, key.x.encode(), algorithm="HS256", headers={"kid": "now"})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "now"})
    header, payload, signature = forge().split(".")
    widened = json.dumps(claims | {"session_id": str(ACCOUNT)}).encode()
    tampered = ".".join([header, base64.urlsafe_b64encode(widened).rstrip(b"=").decode(), signature])
    assert signer.verify(f"{header}.{payload}.{signature}")
    for token in (hs256, unsigned, tampered, f"{header}.{payload}."):
        with pytest.raises(EdgeError, match="invalid_token"):
            signer.verify(token)


@pytest.mark.req("P5")
def test_a_retired_key_verifies_but_no_longer_signs() -> None:
    old, new = new_key("old"), new_key("new")
    old_token = signer_of(old).sign(ACCOUNT, SESSION, GARAGE)
    rotated = signer_of(new, retired(old))
    assert rotated.verify(old_token).sub == ACCOUNT
    assert jwt.get_unverified_header(rotated.sign(ACCOUNT, SESSION, GARAGE))["kid"] == "new"
    assert [key["kid"] for key in rotated.jwks()["keys"]] == ["new", "old"]
    with pytest.raises(EdgeError):
        signer_of(new).verify(old_token)


@pytest.mark.req("P5")
def test_the_private_half_is_never_published(key: SigningKey) -> None:
    assert key.d is not None
    private = key.d.get_secret_value()
    assert private not in json.dumps(signer_of(key).jwks())
    assert private not in repr(key)


def test_unusable_keys_are_refused_without_being_repeated() -> None:
    good: dict[str, Any] = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    good["kid"] = "now"
    assert SigningKeys.model_validate({"keys": [good]}).keys[0].d is not None
    unusable: list[Any] = [
        [],
        {"keys": []},
        {"keys": [retired(SigningKey.model_validate(good)).model_dump()]},
        {"keys": [good, good]},
        {"keys": [good | {"crv": "P-384"}]},
        {"keys": [good | {"x": "AA"}]},
        {"keys": [good | {"d": "AA"}]},
        {"keys": [good | {"kid": ""}]},
    ]
    for keys in unusable:
        with pytest.raises(ValidationError) as refused:
            SigningKeys.model_validate(keys)
        assert good["d"] not in str(refused.value)


@pytest.mark.req("P5")
def test_a_refresh_token_has_one_successor_that_only_the_pepper_knows() -> None:
    tokens = RefreshTokens(b"pepper")
    first = tokens.new()
    assert first != tokens.new()
    assert len(base64.urlsafe_b64decode(first + "=")) == 32
    assert tokens.successor(first) == tokens.successor(first) != first
    assert tokens.successor(first) != RefreshTokens(b"other").successor(first)
    assert len(tokens.successor(first)) == 43
    assert len(sha256_hex(first)) == 64
