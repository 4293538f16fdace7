"""Broadcasts kept in realtime.messages: as they are told, and told again to those who come late."""

from dataclasses import dataclass
from typing import Any

import psycopg

MOST = 25
_QUERY = """
    select id::text, event, payload, binary_payload
    from realtime.messages
    where topic = %s and private and extension = 'broadcast'
        and inserted_at >= to_timestamp(%s / 1000.0) at time zone 'utc'
    order by inserted_at desc
    limit %s
"""


@dataclass(frozen=True)
class Replay:
    """What a join asks for: messages since a moment (milliseconds of the epoch), the newest ones."""

    since: int
    limit: int


def told(event: str, content: Any, **meta: Any) -> dict[str, Any]:
    """A kept message as a broadcast; `content` is a JSON value or bytes."""
    return {"type": "broadcast", "event": event, "payload": content, "meta": meta}


async def recall(db_url: str, name: str, replay: Replay) -> dict[str, dict[str, Any]]:
    """The broadcasts to be told again, oldest first, by the ids of their messages."""
    limit = max(1, min(replay.limit, MOST))
    async with await psycopg.AsyncConnection.connect(db_url) as conn:
        rows = await (await conn.execute(_QUERY, [name, replay.since, limit])).fetchall()
    return {
        row[0]: told(row[1], row[2] if row[3] is None else row[3], replayed=True, id=row[0])
        for row in reversed(rows)
    }
