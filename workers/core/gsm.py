"""How many segments an SMS takes: GSM-7 where every character is in it, else UCS-2.

3GPP TS 23.038 (6.2.1: the default alphabet and its extension table) and 23.040 (9.2.3.24.1: a message of
several parts loses 6 octets of each to the header that joins them).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
# Of one part alone, and of each of several.
_ROOM: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
# Typography that says the same in GSM-7; letters of names stay as they are.
_PLAIN = str.maketrans(
    {
        "\xa0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "\t": " ",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "–": "-",
        "—": "-",
        "…": "...",
    }
)


@dataclass(frozen=True)
class Measure:
    """A text as it travels: septets in GSM-7, code units in UCS-2; `foreign` is what is not in GSM-7."""

    encoding: Encoding
    characters: int
    segments: int
    foreign: tuple[str, ...]


def measure(text: str) -> Measure:
    """The encoding and the segments of a text; nothing is no segment."""
    foreign = tuple(dict.fromkeys(c for c in text if c not in BASIC and c not in EXTENSION))
    encoding: Encoding = "UCS-2" if foreign else "GSM-7"
    sizes = [_units(c) if foreign else _septets(c) for c in text]
    return Measure(encoding, sum(sizes), _segments(sizes, *_ROOM[encoding]), foreign)


def plain(text: str) -> str:
    """The text with quotes, dashes and odd spaces in the forms that GSM-7 has."""
    return text.translate(_PLAIN)


def _septets(character: str) -> int:
    return 2 if character in EXTENSION else 1


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def _segments(sizes: Iterable[int], alone: int, joined: int) -> int:
    """A character of two (an escape with its letter, a surrogate pair) is never cut in two."""
    sizes = list(sizes)
    if sum(sizes) <= alone:
        return int(bool(sizes))
    segments, used = 1, 0
    for size in sizes:
        if used + size > joined:
            segments, used = segments + 1, 0
        used += size
    return segments
