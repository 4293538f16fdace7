"""Reading the WAL through a temporary slot, and serving the subscribers with it."""

import asyncio
import contextlib
import json
import logging
import uuid

import psycopg

from devstack.realtime.changes import Subscriber, activate, dispatch
from devstack.realtime.hub import Hub
from devstack.realtime.pgoutput import Change, Decoder
from devstack.realtime.tables import Connection

# Broadcasts from the database come through a publication of their own.
PUBLICATIONS = "supabase_realtime,supabase_realtime_messages_publication"
POLL_SECONDS = 0.05
IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
_MAX_CHANGES = 1000

log = logging.getLogger(__name__)


class Feed:
    """One task, one slot; broadcasts from the database go to the hub."""

    def __init__(self, db_url: str, hub: Hub) -> None:
        self._db_url, self._hub = db_url, hub
        self._active: set[Subscriber] = set()
        self._pending: list[Subscriber] = []
        self._wake = asyncio.Event()

    def add(self, subscriber: Subscriber) -> None:
        """Subscribe; the subscriber is told by `report` when it has begun or why it cannot."""
        self._pending.append(subscriber)
        self._wake.set()

    def remove(self, subscriber: Subscriber) -> None:
        """Stop serving the subscriber."""
        subscriber.is_gone = True
        self._active.discard(subscriber)
        with contextlib.suppress(ValueError):
            self._pending.remove(subscriber)

    async def run(self) -> None:
        """Follow the database until cancelled, through restarts of the database."""
        while True:
            try:
                async with await self._connect() as wal, await self._connect() as conn:
                    await self._follow(wal, conn)
            except (psycopg.Error, OSError) as error:
                log.warning("realtime.feed_lost reason=%s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> Connection:
        conn = await psycopg.AsyncConnection.connect(self._db_url, autocommit=True)
        # PostgreSQL logs two lines per poll; dates and times come in one form whatever the server's is.
        await conn.execute("set log_min_messages = fatal; set timezone = 'UTC'; set datestyle = 'ISO'")
        return conn

    async def _follow(self, wal: Connection, conn: Connection) -> None:
        """Two connections, because an error drops its session's temporary slots."""
        slot = f"realtime_{uuid.uuid4().hex}"
        await wal.execute("select pg_create_logical_replication_slot(%s, 'pgoutput', true)", [slot])
        decoder = Decoder()
        while True:
            self._wake.clear()
            changes = await _read(wal, slot, decoder)
            for change in changes:
                if change.relation.schema == "realtime":
                    self._broadcast(change)
            visible = [change for change in changes if change.relation.schema != "realtime"]
            await dispatch(conn, visible, list(self._active))
            while self._pending:
                await self._activate(conn, self._pending[0])
            await self._pause(is_busy=bool(changes))

    async def _pause(self, *, is_busy: bool) -> None:
        if is_busy:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS if self._hub.is_empty else POLL_SECONDS)

    async def _activate(self, conn: Connection, subscriber: Subscriber) -> None:
        status, words = "ok", "Subscribed to PostgreSQL"
        try:
            await activate(conn, subscriber)
        except (ValueError, psycopg.Error) as error:
            if conn.closed:
                raise
            status, words = "error", str(error)
        if subscriber.is_gone:
            return
        self._pending.remove(subscriber)
        if status == "ok":
            self._active.add(subscriber)
        subscriber.report(status, words)

    def _broadcast(self, change: Change) -> None:
        row = change.new or {}
        if row.get("extension") != "broadcast" or not row.get("event"):
            return
        payload = {
            "type": "broadcast",
            "event": row["event"],
            "payload": json.loads(row.get("payload") or "{}"),
        }
        is_private = row.get("private") == "t"
        payload["meta"] = {"id": row["id"]}
        self._hub.publish(f"realtime:{row['topic']}", payload, is_private=is_private)


async def _read(wal: Connection, slot: str, decoder: Decoder) -> list[Change]:
    query = (
        "select data from pg_logical_slot_get_binary_changes(%s, null, %s,"
        " 'proto_version', '1', 'publication_names', %s)"
    )
    rows = await (await wal.execute(query, [slot, _MAX_CHANGES, PUBLICATIONS])).fetchall()
    return [change for row in rows if (change := decoder.decode(row[0]))]
