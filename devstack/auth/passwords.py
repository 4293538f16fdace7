"""Passwords: how they are kept, compared and judged."""

import secrets

import bcrypt
from anyio import to_thread

from devstack.auth.errors import AuthError, invalid

COST = 10
LONGEST = 72


async def hashed(password: str | None) -> str:
    """The bcrypt hash to keep; of a random password when there is none. Raises AuthError."""
    given = (password or secrets.token_urlsafe(48)).encode()
    if len(given) > LONGEST:
        raise invalid(f"Password cannot be longer than {LONGEST} characters")
    return (await to_thread.run_sync(bcrypt.hashpw, given, bcrypt.gensalt(COST))).decode()


async def matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one the bcrypt hash was made from."""
    given = password.encode()
    if not stored or len(given) > LONGEST:
        return False
    return await to_thread.run_sync(bcrypt.checkpw, given, stored.encode())


def weakness(password: str, minimum_length: int) -> AuthError | None:
    """Why the password is too weak, if it is."""
    if len(password) >= minimum_length:
        return None
    message = f"Password should be at least {minimum_length} characters."
    return AuthError(422, "weak_password", message, weak_password={"reasons": ["length"]})


def check(password: str, minimum_length: int) -> None:
    """Refuse a password that is too long or too weak. Raises AuthError."""
    if len(password.encode()) > LONGEST:
        raise invalid(f"Password cannot be longer than {LONGEST} characters")
    if weak := weakness(password, minimum_length):
        raise weak
