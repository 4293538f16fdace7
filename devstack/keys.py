"""The stack's secrets: API keys, the JWT secret and the portal's signing key.

The JWT secret and the `sb_…` keys are the Supabase CLI's well-known local defaults, so they are no secrets
at all: the stack listens on loopback only.
"""

import base64
import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
PUBLISHABLE_KEY = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH"
SECRET_KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"
PORTAL_PEPPER = "6465767374616b2d706570706572"
TEN_YEARS = 10 * 365 * 24 * 3600

Jwk = dict[str, Any]
Claims = dict[str, Any]


@dataclass(frozen=True)
class Keys:
    """Everything needed to issue and to check tokens.

    `portal_keys` are private ES256 JWKs, each with a `kid`; the first one signs. With `webhook_key` the
    sandboxed SendGrid signs its events.
    """

    jwt_secret: str
    anon_key: str
    service_role_key: str
    portal_keys: tuple[Jwk, ...]
    publishable_key: str = PUBLISHABLE_KEY
    secret_key: str = SECRET_KEY
    webhook_key: Jwk = field(default_factory=lambda: _signing_key())

    @property
    def portal_jwks(self) -> dict[str, list[Jwk]]:
        """The public halves of the portal's keys, as a JWK set."""
        return {"keys": [public_jwk(key) for key in self.portal_keys]}

    @property
    def webhook_public_key(self) -> str:
        """SendGrid's verification key, as its settings page shows it: SubjectPublicKeyInfo in base64."""
        public = self.webhook_private_key.public_key()
        return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    @property
    def webhook_private_key(self) -> ec.EllipticCurvePrivateKey:
        """The key that signs SendGrid's events."""
        key = ECAlgorithm.from_jwk(self.webhook_key)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    @property
    def postgrest_jwks(self) -> str:
        """The JWK set PostgREST verifies with, as JSON: the portal's keys and the HS256 secret."""
        oct_key = {"kty": "oct", "alg": "HS256", "k": _b64url(self.jwt_secret.encode())}
        return json.dumps({"keys": [oct_key, *self.portal_jwks["keys"]]})

    def sign(self, claims: Claims) -> str:
        """An HS256 token over `claims`, as Supabase Auth issues them."""
        return jwt.encode(claims, self.jwt_secret, algorithm="HS256")

    def verify(self, token: str) -> Claims:
        """The claims of an HS256 (secret) or ES256 (portal key) token.

        `exp` and `nbf` are checked when there; audience and issuer are left to the caller.
        Raises `jwt.InvalidTokenError`.
        """
        header = jwt.get_unverified_header(token)
        key = self._verification_key(str(header.get("alg")), header.get("kid"))
        options: Any = {"verify_aud": False, "verify_iat": False}
        return jwt.decode(token, key, algorithms=["HS256", "ES256"], options=options)

    def _verification_key(self, alg: str, kid: object) -> Any:
        if alg == "HS256":
            return self.jwt_secret
        for key in self.portal_keys if alg == "ES256" else ():
            if key["kid"] == kid:
                return jwt.PyJWK(public_jwk(key))
        raise jwt.InvalidSignatureError("Signature verification failed")


def public_jwk(private: Jwk) -> Jwk:
    """The JWK without its private part."""
    return {name: value for name, value in private.items() if name not in ("d", "key_ops")}


def generate(jwt_secret: str = JWT_SECRET) -> Keys:
    """New keys: API keys valid for ten years and one portal signing key."""
    now = int(time.time())
    return Keys(
        jwt_secret=jwt_secret,
        anon_key=_api_key("anon", jwt_secret, now),
        service_role_key=_api_key("service_role", jwt_secret, now),
        portal_keys=(_signing_key(),),
    )


def load_or_create(path: Path) -> Keys:
    """The keys kept in `path`, made there on first use; readable by its owner only."""
    if not path.exists():
        return _kept(path, generate())
    stored = json.loads(path.read_text())
    keys = Keys(**{**stored, "portal_keys": tuple(stored["portal_keys"])})
    # A stack of before it had the newest key gets one.
    return keys if stored.keys() >= asdict(keys).keys() else _kept(path, keys)


def _kept(path: Path, keys: Keys) -> Keys:
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(keys), indent=2))
    return keys


def _api_key(role: str, secret: str, now: int) -> str:
    claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + TEN_YEARS}
    return jwt.encode(claims, secret, algorithm="HS256")


def _signing_key() -> Jwk:
    key: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**key, "kid": _thumbprint(key), "alg": "ES256", "use": "sig"}


def _thumbprint(key: Jwk) -> str:
    """RFC 7638."""
    members = {name: key[name] for name in ("crv", "kty", "x", "y")}
    return _b64url(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
