"""Reading the WAL through a temporary slot, and serving the subscribers with it."""

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Callable

import psycopg

from devstack.realtime.bindings import Subscriber, activate
from devstack.realtime.changes import dispatch
from devstack.realtime.history import told
from devstack.realtime.hub import Hub
from devstack.realtime.pgoutput import Change, Decoder
from devstack.realtime.tables import Connection

# Broadcasts from the database come through a publication of their own.
PUBLICATIONS = "supabase_realtime,supabase_realtime_messages_publication"
POLL_SECONDS = 0.05
IDLE_SECONDS = 1.0
RETRY_SECONDS = 1.0
_MAX_CHANGES = 1000
_SLOT_PREFIX = "realtime_"
# A live gateway's slot is temporary and in use, so what is not in use was left behind.
_DROP_STALE_SLOTS = """
    select pg_drop_replication_slot(slot_name) from pg_replication_slots
    where starts_with(slot_name, %s) and database = current_database() and not active
"""
_DROP_OLD_MESSAGES = "delete from realtime.messages where inserted_at < now() - interval '72 hours'"

log = logging.getLogger(__name__)


class Feed:
    """One task, one slot; broadcasts from the database go to the hub."""

    def __init__(self, db_url: str, hub: Hub) -> None:
        self._db_url, self._hub = db_url, hub
        self._active: set[Subscriber] = set()
        self._pending: list[Subscriber] = []
        self._wake = asyncio.Event()
        self._is_following = False
        self._awaiting: list[Callable[[], None]] = []

    def when_following(self, tell: Callable[[], None]) -> None:
        """Call `tell` as soon as the WAL is being read, which may be now."""
        if self._is_following:
            tell()
        else:
            self._awaiting.append(tell)

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
            except Exception:
                # Whatever it was, everybody would wait in vain if this task ended.
                log.exception("realtime.feed_failed")
            self._is_following = False
            # Changes may have been missed meanwhile, so everybody is told anew.
            self._pending[:0] = self._active
            self._active.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> Connection:
        conn = await psycopg.AsyncConnection.connect(self._db_url, autocommit=True)
        # PostgreSQL logs two lines per poll; dates and times come in one form whatever the server's is.
        await conn.execute("set log_min_messages = fatal; set timezone = 'UTC'; set datestyle = 'ISO'")
        return conn

    async def _follow(self, wal: Connection, conn: Connection) -> None:
        """Two connections, because an error drops its session's temporary slots."""
        with contextlib.suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
            await conn.execute(_DROP_STALE_SLOTS, [_SLOT_PREFIX])
        await conn.execute(_DROP_OLD_MESSAGES)
        slot = _SLOT_PREFIX + uuid.uuid4().hex
        await wal.execute("select pg_create_logical_replication_slot(%s, 'pgoutput', true)", [slot])
        self._is_following = True
        while self._awaiting:
            self._awaiting.pop()()
        decoder = Decoder()
        while True:
            self._wake.clear()
            changes = await _read(wal, slot, decoder)
            for change in changes:
                if change.relation.schema == "realtime":
                    self._broadcast(change)
                    # The sockets' turn to write, as in `dispatch`.
                    await asyncio.sleep(0)
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
        binary = row.get("binary_payload")
        content = bytes.fromhex(binary[2:]) if binary else json.loads(row.get("payload") or "{}")
        number = str(row["id"])
        self._hub.publish(
            f"realtime:{row['topic']}",
            "broadcast",
            told(str(row["event"]), content, id=number),
            is_private=row.get("private") == "t",
            message_id=number,
        )


async def _read(wal: Connection, slot: str, decoder: Decoder) -> list[Change]:
    query = (
        "select data from pg_logical_slot_get_binary_changes(%s, null, %s,"
        " 'proto_version', '1', 'publication_names', %s)"
    )
    rows = await (await wal.execute(query, [slot, _MAX_CHANGES, PUBLICATIONS])).fetchall()
    return [change for row in rows if (change := decoder.decode(row[0]))]
