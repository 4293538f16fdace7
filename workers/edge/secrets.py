"""Passwords and PINs: argon2id over a peppered digest, so a stolen table is no use without the pepper.

Parameters: ASVS 5.0 appendix C (argon2id, t=1, m=46 MiB, p=1). The digest (HMAC-SHA256 of the secret's
NFC form) makes every length count in full and keeps the pepper out of the database.

`python -m workers.edge.secrets` reads one secret from stdin and prints its stored form.
"""

import hashlib
import hmac
import os
import secrets
import sys
import unicodedata

import anyio
import anyio.to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from workers.edge.settings import PepperSettings

MEMORY_KIB = 46 * 1024
HASHING_THREADS = max(1, (os.cpu_count() or 2) // 2)
"""Half the cores: a flood of logins must leave room for everybody else's requests."""

_argon2 = PasswordHasher(time_cost=1, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)


def peppered(pepper: bytes, secret: str) -> str:
    """Return hex(HMAC-SHA256(pepper, secret in NFC)), what argon2 is given."""
    return hmac.new(pepper, unicodedata.normalize("NFC", secret).encode(), hashlib.sha256).hexdigest()


def hash_secret(pepper: bytes, secret: str) -> str:
    """Return the stored form of a password or PIN: an encoded argon2id string with its own salt."""
    return _argon2.hash(peppered(pepper, secret))


def verify_secret(pepper: bytes, secret: str, stored: str) -> bool:
    """Tell whether `stored` was made from `secret`; a damaged stored form matches nothing."""
    try:
        return _argon2.verify(stored, peppered(pepper, secret))
    except (VerificationError, InvalidHashError):
        return False


class SecretVerifier:
    """Verifies logins in a few threads, with the same work whether or not the account exists."""

    def __init__(self, pepper: bytes, *, threads: int = HASHING_THREADS) -> None:
        self._pepper = pepper
        self._limiter = anyio.CapacityLimiter(threads)
        self._dummy_password = hash_secret(pepper, secrets.token_hex())
        self._dummy_pin = hash_secret(pepper, secrets.token_hex())

    async def verify_pair(
        self, password: str, pin: str, password_hash: str | None, pin_hash: str | None
    ) -> bool:
        """Tell whether both secrets match; both are always evaluated, against dummies where None."""
        is_known = password_hash is not None and pin_hash is not None
        matches = await anyio.to_thread.run_sync(
            self._verify_both,
            password,
            pin,
            password_hash or self._dummy_password,
            pin_hash or self._dummy_pin,
            limiter=self._limiter,
        )
        return is_known and matches

    def _verify_both(self, password: str, pin: str, password_hash: str, pin_hash: str) -> bool:
        is_password = verify_secret(self._pepper, password, password_hash)
        is_pin = verify_secret(self._pepper, pin, pin_hash)
        return is_password and is_pin


def main() -> None:
    """Print the stored form of the secret on stdin, under AUTEXOR_PORTAL_PEPPER."""
    pepper = PepperSettings.model_validate({}).pepper
    sys.stdout.write(hash_secret(pepper, sys.stdin.readline().rstrip("\r\n")) + "\n")


if __name__ == "__main__":
    main()
