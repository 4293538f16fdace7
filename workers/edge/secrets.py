"""Passwords and PINs: argon2id over a peppered digest, so a stolen table is no use without the pepper.

Parameters: ASVS 5.0 appendix C (argon2id, t=1, m=46 MiB, p=1). The digest (HMAC-SHA256 of the secret's
NFC form) makes every length count in full and keeps the pepper out of the database. Peppers have ids:
what was hashed under one ends in `#id` (the nameless one of an installation that never changed it: in
nothing), and a good sign-in hashes it anew under the first.

`python -m workers.edge.secrets` reads one secret from stdin and prints its stored form.
"""

import hashlib
import hmac
import os
import secrets
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from workers.edge.settings import PepperSettings

MEMORY_KIB = 46 * 1024
HASHING_THREADS = max(1, (os.cpu_count() or 2) // 2)
"""Half the cores: a flood of logins must leave room for everybody else's requests."""

Peppers = Mapping[str, bytes]
"""By their ids; the first one hashes, all of them verify."""

_argon2 = PasswordHasher(time_cost=1, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)
_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def peppered(pepper: bytes, secret: str) -> str:
    """Return hex(HMAC-SHA256(pepper, secret in NFC)), what argon2 is given."""
    return hmac.new(pepper, unicodedata.normalize("NFC", secret).encode(), hashlib.sha256).hexdigest()


def hash_secret(pepper: bytes, secret: str, pepper_id: str = "") -> str:
    """Return the stored form of a password or PIN: an encoded argon2id string with its own salt."""
    return _argon2.hash(peppered(pepper, secret)) + (f"#{pepper_id}" if pepper_id else "")


def verify_secret(pepper: bytes, secret: str, stored: str) -> bool:
    """Tell whether `stored` was made from `secret`; a damaged stored form matches nothing."""
    try:
        return _argon2.verify(stored.partition("#")[0], peppered(pepper, secret))
    except (VerificationError, InvalidHashError):
        return False


class SecretVerifier:
    """Verifies logins in a few threads, with the same work whether or not the account exists."""

    def __init__(self, peppers: Peppers, *, threads: int = HASHING_THREADS) -> None:
        self._peppers = peppers
        self._first = next(iter(peppers))
        self._limiter = anyio.CapacityLimiter(threads)
        self._dummy = self._hash(secrets.token_hex())

    async def hash(self, secret: str) -> str:
        """Return the stored form of a secret, under the first pepper."""
        return await self._in_thread(self._hash, secret)

    async def verify(self, secret: str, stored: str | None) -> bool:
        """Tell whether the secret matches; evaluated against a dummy where None."""
        matches = await self._in_thread(self._verify, secret, stored or self._dummy)
        return stored is not None and matches

    async def verify_pair(
        self, password: str, pin: str, password_hash: str | None, pin_hash: str | None
    ) -> bool:
        """Tell whether both secrets match; both are always evaluated, against dummies where None."""
        is_known = password_hash is not None and pin_hash is not None
        matches = await self._in_thread(
            self._verify_both, password, pin, password_hash or self._dummy, pin_hash or self._dummy
        )
        return is_known and matches

    def is_outdated(self, stored: str | None) -> bool:
        """Tell whether a secret that matched should be hashed anew."""
        if stored is None:
            return False
        encoded, _, pepper_id = stored.partition("#")
        return pepper_id != self._first or _argon2.check_needs_rehash(encoded)

    async def _in_thread(self, work: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._limiter)

    def _hash(self, secret: str) -> str:
        return hash_secret(self._peppers[self._first], secret, self._first)

    def _verify(self, secret: str, stored: str) -> bool:
        # Under a pepper that is gone nothing matches, but the work is done all the same.
        pepper = self._peppers.get(stored.partition("#")[2])
        return verify_secret(pepper or b"", secret, stored) and pepper is not None

    def _verify_both(self, password: str, pin: str, password_hash: str, pin_hash: str) -> bool:
        is_password = self._verify(password, password_hash)
        is_pin = self._verify(pin, pin_hash)
        return is_password and is_pin


def main() -> None:
    """Print the stored form of the secret on stdin, under the first of AUTEXOR_PORTAL_PEPPER."""
    pepper_id, pepper = next(iter(PepperSettings.model_validate({}).peppers.items()))
    sys.stdout.write(hash_secret(pepper, sys.stdin.readline().rstrip("\r\n"), pepper_id) + "\n")


if __name__ == "__main__":
    main()
