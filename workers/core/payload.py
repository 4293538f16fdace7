"""What every payload from the database shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """Frozen and closed: a field nobody knows is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
