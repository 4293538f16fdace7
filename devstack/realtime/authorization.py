"""Private channels: policies on realtime.messages say who may listen and who may send.

As the real server does it: probe rows, looked at or written as the caller, and rolled back.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from devstack.caller import become
from devstack.keys import Claims

_MOST_CONNECTIONS = 4
_PROBE = (
    "insert into realtime.messages (topic, extension, private)"
    " select %s, unnest(array['broadcast', 'presence']), true returning id"
)


@dataclass(frozen=True)
class Gate:
    """Asks the database; `db_url` is the superuser's."""

    db_url: str
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_CONNECTIONS))

    async def readable(self, claims: Claims, name: str) -> frozenset[str]:
        """Which of `broadcast` and `presence` the caller may receive on the topic."""
        found: list[tuple[str]] = []
        async with (
            self._turn,
            await psycopg.AsyncConnection.connect(self.db_url) as conn,
            conn.transaction(force_rollback=True),
        ):
            probes = await (await conn.execute(_PROBE, [name])).fetchall()
            with suppress(psycopg.Error):
                await become(conn, claims, realtime__topic=name, request__headers="{}")
                query = "select extension from realtime.messages where id = any(%s)"
                found = await (await conn.execute(query, [[row[0] for row in probes]])).fetchall()
        return frozenset(row[0] for row in found)

    async def may_write(self, claims: Claims, name: str, extension: str = "broadcast") -> bool:
        """Whether the caller may insert such a row of the topic."""
        is_allowed = False
        async with (
            self._turn,
            await psycopg.AsyncConnection.connect(self.db_url) as conn,
            conn.transaction(force_rollback=True),
        ):
            with suppress(psycopg.Error):
                await become(conn, claims, realtime__topic=name, request__headers="{}")
                await conn.execute(
                    "insert into realtime.messages (topic, extension, private) values (%s, %s, true)",
                    [name, extension],
                )
                is_allowed = True
        return is_allowed
