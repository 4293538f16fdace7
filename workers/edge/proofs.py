"""Proofs of possession: the app signs each sign-in with a key that never leaves its device (RFC 9449).

The header `DPoP` holds a JWT made for this one request: by ES256, for its method and address, at most a
minute old, used once. Its key, by its thumbprint (RFC 7638), becomes the device's own.
"""

import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from workers.edge.errors import EdgeError
from workers.edge.tokens import sha256_hex

PROOF_SECONDS = 60
MAX_PROOF = 2048


class _Key(BaseModel):
    """The public half alone: a proof that brings `d` has given its key away."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str = Field(pattern="^[A-Za-z0-9_-]{43}$")
    y: str = Field(pattern="^[A-Za-z0-9_-]{43}$")
    d: None = None

    def thumbprint(self) -> str:
        """RFC 7638: SHA-256 over the required members in order."""
        members = {"crv": self.crv, "kty": self.kty, "x": self.x, "y": self.y}
        return _b64url(json.dumps(members, separators=(",", ":")).encode())


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    typ: Literal["dpop+jwt"]
    alg: Literal["ES256"]
    jwk: _Key


class _Proof(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    htm: str
    htu: str
    iat: int
    jti: str = Field(min_length=8, max_length=200)
    ath: str | None = None


class Proofs:
    """Checks proofs for the addresses the edge is reached at; `take` says whether a jti is new."""

    def __init__(self, take: Callable[[str], Awaitable[bool]], public_urls: tuple[str, ...]) -> None:
        self._take = take
        self._public_urls = public_urls

    async def thumbprint(self, request: Request, access_token: str | None = None) -> str | None:
        """Return the thumbprint of the key this request proves, None when it brings no proof.

        With an access token the proof must hold its hash (`ath`). Raises EdgeError `proof_invalid`.
        """
        brought = request.headers.getlist("dpop")
        if not brought:
            return None
        if len(brought) > 1 or len(brought[0]) > MAX_PROOF:
            raise EdgeError("proof_invalid")
        key, proof = _opened(brought[0])
        is_for_this = (
            proof.htm == request.method
            and _address(proof.htu) in {_address(url + request.url.path) for url in self._public_urls}
            and abs(time.time() - proof.iat) <= PROOF_SECONDS
            and (access_token is None or proof.ath == _b64url(access_token.encode()))
        )
        thumbprint = key.thumbprint()
        if not is_for_this or not await self._take(sha256_hex(f"{thumbprint}.{proof.jti}")):
            raise EdgeError("proof_invalid")
        return thumbprint


def _opened(text: str) -> tuple[_Key, _Proof]:
    try:
        header = _Header.model_validate(jwt.get_unverified_header(text))
        key = jwt.PyJWK(header.jwk.model_dump(exclude={"d"}) | {"alg": "ES256"})
        options: Any = {"verify_iat": False, "verify_aud": False, "require": ["htm", "htu", "iat", "jti"]}
        claims = jwt.decode(text, key, algorithms=["ES256"], options=options)
        return header.jwk, _Proof.model_validate(claims)
    except (jwt.PyJWTError, ValidationError, TypeError, ValueError):
        raise EdgeError("proof_invalid") from None


def _address(url: str) -> tuple[str, str, int | None, str]:
    """What two addresses have in common that are one (RFC 9449, 4.3): query and fragment do not count."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        return parts.scheme, parts.hostname or "", port, parts.path
    except ValueError:
        return "", "", None, ""


def _b64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
