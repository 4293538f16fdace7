"""From a change in the WAL to what each subscriber may know about it."""

import asyncio
import logging
from collections import defaultdict
from typing import Any

import psycopg

from devstack.caller import become
from devstack.keys import Claims
from devstack.realtime import tables
from devstack.realtime.bindings import Selection, Subscriber
from devstack.realtime.pgoutput import Change, Relation, Values
from devstack.realtime.protocol import Encoded, pack
from devstack.realtime.tables import Connection, Table

_AT_ONCE = 500
MAX_ROW = 1024 * 1024
_SMALL = 64
_POLICY_TIMEOUT = "3s"

log = logging.getLogger(__name__)

Key = tuple[str, ...]


async def dispatch(conn: Connection, changes: list[Change], subscribers: list[Subscriber]) -> None:
    """Give every subscriber the changes it asked for and may see, in commit order."""
    for start in range(0, len(changes), _AT_ONCE):
        await _dispatch(conn, changes[start : start + _AT_ONCE], subscribers)


async def _dispatch(conn: Connection, changes: list[Change], subscribers: list[Subscriber]) -> None:
    wanted = [
        (change, one, found) for change in changes for one in subscribers if (found := one.wanted(change))
    ]
    if not wanted:
        return
    batch = _Batch(conn)
    for change, subscriber, _ in wanted:
        await batch.prepare(change, subscriber)
    last = None
    for change, subscriber, bindings in wanted:
        if change is not last:
            # The sockets' turn to write: else a large transaction would overrun their queues.
            await asyncio.sleep(0)
            last = change
        if await batch.may_see(change, subscriber):
            for selection, ids in bindings.items():
                subscriber.deliver(change.kind, ids, await batch.data(change, subscriber.role, selection))


class _Batch:
    """Answers shared by the changes of one poll: tables per role, rows per caller, data per role."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.tables: dict[tuple[int, str], Table] = {}
        self.asked: dict[tuple[str, int], set[Key]] = defaultdict(set)
        self.seen: dict[tuple[str, int], set[Key]] = {}
        self.ready: dict[tuple[Change, str, Selection], Encoded] = {}

    async def prepare(self, change: Change, subscriber: Subscriber) -> None:
        """Look the table up and note which row has to be checked."""
        relation, role = change.relation, subscriber.role
        if (relation.oid, role) not in self.tables:
            self.tables[relation.oid, role] = await _describe(self.conn, relation, role)
        table = self.tables[relation.oid, role]
        if self._needs_check(change, table):
            self.asked[subscriber.caller, relation.oid].add(_key(change, table))

    async def may_see(self, change: Change, subscriber: Subscriber) -> bool:
        """Whether the row passes the caller's policies; a DELETE has no row to check."""
        table = self.tables[change.relation.oid, subscriber.role]
        if not table.columns:
            return False
        if not self._needs_check(change, table):
            return True
        where = subscriber.caller, change.relation.oid
        if where not in self.seen:
            keys = sorted(self.asked[where])
            self.seen[where] = await _visible(self.conn, subscriber.claims, change.relation, table, keys)
        return _key(change, table) in self.seen[where]

    async def data(self, change: Change, role: str, selection: Selection) -> Encoded:
        """What the role is told about the change, as JSON."""
        key = change, role, selection
        if key not in self.ready:
            table = self.tables[change.relation.oid, role].only(selection)
            self.ready[key] = pack(await _data(self.conn, change, table))
        return self.ready[key]

    @staticmethod
    def _needs_check(change: Change, table: Table) -> bool:
        return change.kind != "DELETE" and table.has_policies and _is_allowed(table)


def _is_allowed(table: Table) -> bool:
    return bool(table.keys) and all(column.is_readable for column in table.keys)


def _key(change: Change, table: Table) -> Key:
    return tuple(str((change.new or {}).get(column.name)) for column in table.keys)


async def _describe(conn: Connection, relation: Relation, role: str) -> Table:
    try:
        return await tables.describe(conn, relation.oid, role)
    except psycopg.errors.UndefinedObject:
        return Table((), has_policies=True)


async def _visible(
    conn: Connection, claims: Claims, relation: Relation, table: Table, keys: list[Key]
) -> set[Key]:
    """A policy that raises hides the rows it raised for, from these claims alone."""
    try:
        async with conn.transaction():
            await become(conn, claims, statement_timeout=_POLICY_TIMEOUT)
            return await tables.visible(conn, relation, table, keys)
    except psycopg.Error as error:
        if conn.closed:
            raise
        if len(keys) == 1:
            log.warning("realtime.row_check_failed", extra={"table": relation.table, "code": error.sqlstate})
            return set()
    found = [await _visible(conn, claims, relation, table, [key]) for key in keys]
    return set[Key]().union(*found)


async def _data(conn: Connection, change: Change, table: Table) -> dict[str, Any]:
    relation = change.relation
    about = {"schema": relation.schema, "table": relation.table, "type": change.kind}
    if change.kind != "DELETE" and not table.keys:
        return {**about, "errors": ["Error 400: Bad Request, no primary key"]}
    if change.kind != "DELETE" and not _is_allowed(table):
        return {**about, "errors": ["Error 401: Unauthorized"]}
    about["commit_timestamp"] = change.commit_time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    columns = [{"name": column.name, "type": column.type} for column in table.readable]
    data: dict[str, Any] = {**about, "columns": columns, "errors": None}
    if change.new is not None:
        await tables.complete(conn, relation, table, change.new)
        data["record"] = await _shown(conn, table, change.new, data)
    if change.kind != "INSERT":
        data["old_record"] = await _shown(conn, table, _old(change, table), data)
    return data


def _old(change: Change, table: Table) -> Values:
    """The primary key; more only when the replica identity has it and no policy could hide it."""
    keys = {column.name for column in table.keys}
    known = change.old if change.old is not None else change.new or {}
    is_whole = change.old is not None and (change.kind == "UPDATE" or not table.has_policies)
    return {name: value for name, value in known.items() if is_whole or name in keys}


async def _shown(conn: Connection, table: Table, values: Values, data: dict[str, Any]) -> dict[str, Any]:
    names = {column.name for column in table.readable}
    mine = {name: value for name, value in values.items() if name in names}
    if sum(len(value or "") for value in mine.values()) > MAX_ROW:
        data["errors"] = ["Error 413: Payload Too Large"]
        mine = {name: value for name, value in mine.items() if len(value or "") <= _SMALL}
    return await tables.typed(conn, table, mine)
