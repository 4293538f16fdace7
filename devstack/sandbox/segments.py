"""How many SMS a text is: GSM 03.38 when every character is in it, else UCS-2 (3GPP TS 23.038, TS 23.040)."""

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True)
class Segments:
    """The encoding (GSM-7 or UCS-2) and the number of messages."""

    encoding: str
    count: int


def segments(text: str) -> Segments:
    """What a text becomes; a character of two units is never cut in two."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        return Segments("GSM-7", _count([2 if c in _EXTENDED else 1 for c in text], 160, 153))
    return Segments("UCS-2", _count([2 if ord(c) > 0xFFFF else 1 for c in text], 70, 67))


def _count(units: list[int], alone: int, joined: int) -> int:
    if sum(units) <= alone:
        return 1
    count, room = 1, joined
    for unit in units:
        if unit > room:
            count, room = count + 1, joined
        room -= unit
    return count
