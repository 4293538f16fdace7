"""What every payload is made of: closed, frozen models, and the languages they speak."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Locale = Literal["nl", "fr", "en"]
LOCALES: tuple[Locale, ...] = ("nl", "fr", "en")


class Payload(BaseModel):
    """Frozen and closed: a field nobody knows is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
