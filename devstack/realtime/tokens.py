"""Checking the tokens of sockets and channels, with the real server's words."""

import time

import jwt

from devstack.keys import Claims, Keys


class TokenRefused(Exception):
    """A token that opens nothing: `code` and the text the client is shown."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.text = text


def verify(keys: Keys, token: str) -> Claims:
    """The claims, which have `role` and an `exp` in the future. Raises TokenRefused."""
    try:
        claims = keys.verify(token)
    except jwt.ExpiredSignatureError:
        claims = jwt.decode(token, options={"verify_signature": False})
        raise TokenRefused("InvalidJWTToken", expiry_text(claims)) from None
    except jwt.InvalidSignatureError:
        raise TokenRefused("JwtSignatureError", "Failed to validate JWT signature") from None
    except jwt.InvalidTokenError:
        raise TokenRefused("MalformedJWT", "The token provided is not a valid JWT") from None
    if not claims.get("role") or not claims.get("exp"):
        raise TokenRefused("InvalidJWTToken", "Fields `role` and `exp` are required in JWT")
    return claims


def expiry_text(claims: Claims) -> str:
    """How long the token has been worthless."""
    return f"Token has expired {max(0, int(time.time() - claims['exp']))} seconds ago"


def seconds_left(claims: Claims) -> float:
    """Until the token expires; never negative."""
    return float(max(0, claims["exp"] - time.time()))
