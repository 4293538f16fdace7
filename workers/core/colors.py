"""A garage's accent colour turned into a palette that stays legible (WCAG 2.2, contrast 4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_ACCENT = "#12365c"
INK = "#1b2733"
WHITE = "#ffffff"
_LEAST_CONTRAST = 4.5

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb: `accent` fills, `on_accent` is text on it, `heading` is coloured text on white."""

    accent: str
    on_accent: str
    heading: str
    tint: str
    rule: str


def palette(accent: str | None) -> Palette:
    """The palette of an accent colour; raises ValueError unless it is #rrggbb, as it ends up in CSS."""
    accent = accent or DEFAULT_ACCENT
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", accent):
        raise ValueError("an accent colour is written #rrggbb")
    heading = _legible_on_white(accent.lower())
    return Palette(
        accent=accent.lower(),
        on_accent=max((WHITE, INK), key=lambda ink: contrast(ink, accent)),
        heading=heading,
        tint=mix(heading, WHITE, 0.07),
        rule=mix(heading, WHITE, 0.25),
    )


def _legible_on_white(color: str) -> str:
    while contrast(color, WHITE) < _LEAST_CONTRAST:
        color = mix(color, "#000000", 0.9)
    return color


def mix(color: str, other: str, share: float) -> str:
    """`share` of `color` in `other`."""
    parts = [round(a * share + b * (1 - share)) for a, b in zip(_rgb(color), _rgb(other), strict=True)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _rgb(color: str) -> Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
