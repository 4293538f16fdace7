"""Private channels: policies on realtime.messages say who may listen and who may send.

As the real server does it: probe rows, looked at or written as the caller, and rolled back.
"""

from contextlib import suppress
from dataclasses import dataclass

import psycopg

from devstack.caller import become
from devstack.keys import Claims

_PROBE = (
    "insert into realtime.messages (topic, extension, private)"
    " select %s, unnest(array['broadcast', 'presence']), true returning id"
)


@dataclass(frozen=True)
class Gate:
    """Asks the database; `db_url` is the superuser's."""

    db_url: str

    async def may_read(self, claims: Claims, name: str) -> bool:
        """Whether the caller sees a broadcast (or presence) row of the topic."""
        found: list[tuple[str]] = []
        async with (
            await psycopg.AsyncConnection.connect(self.db_url) as conn,
            conn.transaction(force_rollback=True),
        ):
            probes = await (await conn.execute(_PROBE, [name])).fetchall()
            with suppress(psycopg.Error):
                await become(conn, claims, realtime__topic=name, request__headers="{}")
                query = "select extension from realtime.messages where id = any(%s)"
                found = await (await conn.execute(query, [[row[0] for row in probes]])).fetchall()
        return bool(found)

    async def may_write(self, claims: Claims, name: str) -> bool:
        """Whether the caller may insert a broadcast row of the topic."""
        is_allowed = False
        async with (
            await psycopg.AsyncConnection.connect(self.db_url) as conn,
            conn.transaction(force_rollback=True),
        ):
            with suppress(psycopg.Error):
                await become(conn, claims, realtime__topic=name, request__headers="{}")
                await conn.execute(
                    "insert into realtime.messages (topic, extension, private)"
                    " values (%s, 'broadcast', true)",
                    [name],
                )
                is_allowed = True
        return is_allowed
