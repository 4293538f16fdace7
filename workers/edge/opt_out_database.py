"""The database's side of the link that stops mails: two functions, called as role `edge`."""

from __future__ import annotations

import re

from workers.core.payload import Locale
from workers.edge.database import Answer, Calls

_TOKEN = re.compile(r"[0-9a-f]{64}")


class OptOut(Answer):
    """Whose mails a link stops, the language of its mail, and whether a customer still has the address."""

    garage_name: str
    locale: Locale
    is_known: bool = True


class OptOuts:
    """What a link asks and does. Raises psycopg.OperationalError when it is away."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def read(self, token: str) -> OptOut | None:
        """What the link stops; None when it stops nothing."""
        return await self._ask("read_opt_out", token)

    async def take(self, token: str) -> OptOut | None:
        """Stop it; the same however often."""
        return await self._ask("take_opt_out", token)

    async def _ask(self, function: str, token: str) -> OptOut | None:
        answer = await self._calls.call(function, {"token": token}) if _TOKEN.fullmatch(token) else None
        return OptOut.model_validate(answer) if answer else None
