"""Text made safe and measured for print: what the fonts can show, wrapped where it must."""

from __future__ import annotations

import unicodedata
from typing import Protocol

# Bidi controls reorder what follows them, so a description could show other figures than it holds.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
REPLACEMENT = "?"


class Typeface(Protocol):
    """The metrics of the document's font."""

    def width(self, text: str, points: float, bold: bool = False) -> float:
        """How wide `text` is, in points."""
        ...

    def has(self, character: str) -> bool:
        """Whether the font draws this character."""
        ...


def clean(text: str, typeface: Typeface) -> str:
    """Printable text: newlines but no controls; what the font lacks becomes its plain form or "?"."""
    return "".join(_printable(character, typeface) for character in unicodedata.normalize("NFC", text))


def _printable(character: str, typeface: Typeface) -> str:
    if character == "\n":
        return character
    if character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Mn"):
        return " " if character == "\t" else ""
    if typeface.has(character):
        return character
    plain = unicodedata.normalize("NFKC", character)
    return plain if all(typeface.has(part) for part in plain) else REPLACEMENT


def wrap(text: str, width: float, points: float, typeface: Typeface, bold: bool = False) -> tuple[str, ...]:
    """Lines of at most `width` points; newlines are kept, a word that is too long is cut."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n"):
        line = ""
        for word in _pieces(paragraph.split(), width, points, typeface, bold):
            longer = f"{line} {word}" if line else word
            if line and typeface.width(longer, points, bold) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return tuple(lines)


def _pieces(words: list[str], width: float, points: float, typeface: Typeface, bold: bool) -> list[str]:
    pieces: list[str] = []
    for word in words:
        while len(word) > 1 and typeface.width(word, points, bold) > width:
            cut = _longest_fit(word, width, points, typeface, bold)
            pieces.append(word[:cut])
            word = word[cut:]
        pieces.append(word)
    return pieces


def _longest_fit(word: str, width: float, points: float, typeface: Typeface, bold: bool) -> int:
    fits, too_long = 1, len(word)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if typeface.width(word[:middle], points, bold) <= width:
            fits = middle
        else:
            too_long = middle
    return fits


def clip(lines: tuple[str, ...], most: int) -> tuple[str, ...]:
    """At most `most` lines, the last one ending in an ellipsis when something was left out."""
    if len(lines) <= most:
        return lines
    return (*lines[: most - 1], lines[most - 1][:-1] + "…")
