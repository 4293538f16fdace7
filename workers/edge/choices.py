"""What a customer may choose as a password or a PIN: nothing that guessers try first."""

import string
import unicodedata
from itertools import pairwise

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from workers.edge.errors import EdgeError

COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])
"""The 30,000 most used of leaked passwords, in lower case (zxcvbn's list, MIT)."""
MIN_NAME = 4
_TAIL = string.digits + string.punctuation


def check_password(password: str, login: str = "") -> None:
    """Refuse a common password, also with digits and signs behind it; one of few letters; one with the login.

    Raises EdgeError `password_too_common`.
    """
    plain = unicodedata.normalize("NFC", password).casefold()
    name = login.casefold().partition("@")[0]
    if (
        plain in COMMON_PASSWORDS
        or plain.rstrip(_TAIL) in COMMON_PASSWORDS
        or len(set(plain)) < MIN_NAME
        or (len(name) >= MIN_NAME and name in plain)
    ):
        raise EdgeError("password_too_common")


def check_pin(pin: str) -> None:
    """Refuse runs (123456, 864208), repetitions (121212, 123123) and PINs of one or two digits.

    Raises EdgeError `pin_too_weak`.
    """
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 or len(set(pin)) < 3 or pin[:3] in (pin[3:], pin[:2:-1]) or pin[:4] == pin[2:]:
        raise EdgeError("pin_too_weak")
