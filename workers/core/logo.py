"""A garage's logo, read just far enough to place it."""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode
from dataclasses import dataclass

_SIGNATURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_MOST_PIXELS = 4_000_000
_BOX_WIDTH, _BOX_HEIGHT = 52.0, 20.0


@dataclass(frozen=True)
class Logo:
    """A PNG as a data URI, with its printed size in millimetres."""

    uri: str
    width: float
    height: float


def read_logo(png_base64: str | None) -> Logo | None:
    """The logo fitted into its box; None when there is none or it is not a PNG of sensible size."""
    if not png_base64:
        return None
    try:
        head = b64decode(png_base64, validate=True)[:24]
    except binascii.Error:
        return None
    if len(head) < 24 or not head.startswith(_SIGNATURE):
        return None
    width, height = struct.unpack(">II", head[16:24])
    if not 0 < width * height <= _MOST_PIXELS:
        return None
    scale = min(_BOX_WIDTH / width, _BOX_HEIGHT / height)
    return Logo("data:image/png;base64," + png_base64, round(width * scale, 2), round(height * scale, 2))
