"""The portal's tokens: the ES256 access token and the single-use refresh token.

The role and the life of an access token are constants here and nowhere configurable: Storage and
Realtime have no pre-request that could refuse a token with another role or without an end.
"""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Literal
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, ValidationError

from workers.edge.errors import EdgeError
from workers.edge.keys import SigningKeys
from workers.edge.settings import PORTAL_ISSUER

AUDIENCE = "authenticated"
ROLE = "portal"
TOKEN_SECONDS = 600
REFRESH_TOKEN_PATTERN = "[A-Za-z0-9_-]{43}"
_REQUIRED = ["iss", "aud", "sub", "role", "session_id", "garage_id", "iat", "exp", "jti"]


class PortalClaims(BaseModel):
    """What a verified access token says. The session row decides what it is worth."""

    model_config = ConfigDict(frozen=True)

    sub: UUID
    session_id: UUID
    garage_id: UUID
    role: Literal["portal"]


class TokenSigner:
    """Signs access tokens with the first of its keys and verifies those of all of them."""

    def __init__(self, keys: SigningKeys) -> None:
        first = keys.keys[0]
        self._kid, self._private = first.kid, first.signing()
        self._public = {key.kid: key.verifying() for key in keys.keys}
        self._jwks = {"keys": [key.public() for key in keys.keys]}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public key set (RFC 7517)."""
        return self._jwks

    def sign(
        self, account_id: UUID, session_id: UUID, garage_id: UUID, key_thumbprint: str | None = None
    ) -> str:
        """Return an access token that lives `TOKEN_SECONDS`; it names the device's key, if it has one."""
        now = int(time.time())
        claims = {
            "iss": PORTAL_ISSUER,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "role": ROLE,
            "session_id": str(session_id),
            "garage_id": str(garage_id),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": str(uuid4()),
            "amr": ["pwd", "pin"],
            **({"cnf": {"jkt": key_thumbprint}} if key_thumbprint else {}),
        }
        return jwt.encode(claims, self._private, algorithm="ES256", headers={"kid": self._kid})

    def verify(self, token: str) -> PortalClaims:
        """Return the claims of a token one of our keys signed. Raises EdgeError `invalid_token`."""
        try:
            key = self._public[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=PORTAL_ISSUER,
                options={"require": _REQUIRED},
            )
            return PortalClaims.model_validate(claims)
        except (jwt.PyJWTError, KeyError, TypeError, ValidationError):
            raise EdgeError("invalid_token") from None


class RefreshTokens:
    """Makes refresh tokens: random at login, each next one derived from the one it replaces.

    Deriving (HMAC under a key of the pepper) lets a repeated refresh get the same successor again
    although only hashes are stored; without the pepper an old token says nothing about the next.
    """

    def __init__(self, pepper: bytes) -> None:
        self._key = HKDF(SHA256(), 32, salt=None, info=b"autexor portal refresh token").derive(pepper)

    def new(self) -> str:
        """Return a fresh 256-bit token, base64url."""
        return secrets.token_urlsafe(32)

    def successor(self, token: str) -> str:
        """Return the one token that follows `token`."""
        digest = hmac.new(self._key, token.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def sha256_hex(token: str) -> str:
    """Return the only form of a token or nonce that reaches the database."""
    return hashlib.sha256(token.encode()).hexdigest()
