"""From a change in the WAL to what each subscriber may know about it."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from devstack.caller import become
from devstack.keys import Claims
from devstack.realtime import filters, tables
from devstack.realtime.filters import Filter
from devstack.realtime.pgoutput import Change, Relation, Values
from devstack.realtime.tables import Connection, Table

MAX_ROW = 1024 * 1024
_SMALL = 64
_POLICY_TIMEOUT = "3s"

log = logging.getLogger(__name__)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Binding:
    """One `postgres_changes` entry of a join; `*` stands for any."""

    id: int
    event: str
    schema: str
    table: str
    filter: Filter | None

    def matches(self, change: Change) -> bool:
        """Event, table and filter; rights are another matter."""
        relation = change.relation
        row = change.new if change.new is not None else change.old
        return (
            self.event in ("*", change.kind)
            and self.schema in ("*", relation.schema)
            and self.table in ("*", relation.table)
            and (self.filter is None or self.filter.matches(row or {}))
        )


@dataclass(eq=False)
class Subscriber:
    """A channel that wants changes. `deliver` takes the ids that match and the data."""

    claims: Claims
    requests: list[dict[str, Any]]
    deliver: Callable[[list[int], dict[str, Any]], None]
    report: Callable[[str, str], None]
    bindings: list[Binding] = field(default_factory=list)
    is_gone: bool = False

    @property
    def role(self) -> str:
        """The role of the claims."""
        return str(self.claims["role"])

    def ids(self, change: Change) -> list[int]:
        """The bindings that match."""
        return [binding.id for binding in self.bindings if binding.matches(change)]


async def dispatch(conn: Connection, changes: list[Change], subscribers: Iterable[Subscriber]) -> None:
    """Give every subscriber the changes it asked for and may see, in commit order."""
    wanted = [(change, one, ids) for change in changes for one in subscribers if (ids := one.ids(change))]
    if not wanted:
        return
    batch = _Batch(conn)
    for change, subscriber, _ in wanted:
        await batch.prepare(change, subscriber)
    for change, subscriber, ids in wanted:
        if await batch.may_see(change, subscriber):
            subscriber.deliver(ids, await batch.data(change, subscriber.role))


class _Batch:
    """Answers shared by the changes of one poll: tables per role, rows per caller, data per role."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.tables: dict[tuple[int, str], Table] = {}
        self.asked: dict[tuple[str, int], set[Key]] = defaultdict(set)
        self.seen: dict[tuple[str, int], set[Key]] = {}
        self.ready: dict[tuple[Change, str], dict[str, Any]] = {}

    async def prepare(self, change: Change, subscriber: Subscriber) -> None:
        """Look the table up and note which row has to be checked."""
        relation, role = change.relation, subscriber.role
        if (relation.oid, role) not in self.tables:
            self.tables[relation.oid, role] = await _describe(self.conn, relation, role)
        table = self.tables[relation.oid, role]
        if self._needs_check(change, table):
            self.asked[_caller(subscriber), relation.oid].add(_key(change, table))

    async def may_see(self, change: Change, subscriber: Subscriber) -> bool:
        """Whether the row passes the caller's policies; a DELETE has no row to check."""
        table = self.tables[change.relation.oid, subscriber.role]
        if not table.columns:
            return False
        if not self._needs_check(change, table):
            return True
        where = _caller(subscriber), change.relation.oid
        if where not in self.seen:
            keys = sorted(self.asked[where])
            self.seen[where] = await _visible(self.conn, subscriber.claims, change.relation, table, keys)
        return _key(change, table) in self.seen[where]

    async def data(self, change: Change, role: str) -> dict[str, Any]:
        """What the role is told about the change."""
        if (change, role) not in self.ready:
            table = self.tables[change.relation.oid, role]
            self.ready[change, role] = await _data(self.conn, change, table)
        return self.ready[change, role]

    @staticmethod
    def _needs_check(change: Change, table: Table) -> bool:
        return change.kind != "DELETE" and table.has_policies and _is_allowed(table)


def _is_allowed(table: Table) -> bool:
    return bool(table.keys) and all(column.is_readable for column in table.keys)


def _caller(subscriber: Subscriber) -> str:
    return json.dumps(subscriber.claims, sort_keys=True)


def _key(change: Change, table: Table) -> Key:
    return tuple(str((change.new or {})[column.name]) for column in table.keys)


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
    if table.keys and not _is_allowed(table):
        return {**about, "errors": ["Error 401: Unauthorized"]}
    about["commit_timestamp"] = change.commit_time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not table.keys and change.kind != "DELETE":
        return {**about, "errors": ["Error 400: Bad Request, no primary key"]}
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


async def activate(conn: Connection, subscriber: Subscriber) -> None:
    """Check what was asked for and fill `bindings`. Raises ValueError with the words for the client."""
    subscriber.bindings = [await _binding(conn, request, subscriber.role) for request in subscriber.requests]


async def _binding(conn: Connection, request: dict[str, Any], role: str) -> Binding:
    if not request.get("schema") and not request.get("table"):
        words = (
            "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to"
        )
        raise ValueError(f"{words}: {request}")
    schema, table = str(request.get("schema") or "public"), str(request.get("table") or "*")
    published = await conn.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_publication_tables"
        " where pubname = 'supabase_realtime'"
        " and %s::text in ('*', schemaname) and %s::text in ('*', tablename)",
        [schema, table],
    )
    names = [row[0] for row in await published.fetchall()]
    event = str(request.get("event") or "*").upper()
    wanted = f"[event: {event}, schema: {schema}, table: {table}, filters: {_listed(request)}, select: nil]"
    problem = "Unable to subscribe to changes with given parameters."
    if not names:
        raise ValueError(
            f"{problem} Please check Realtime is enabled for the given connect parameters: {wanted}"
        )
    condition = filters.parse(str(request["filter"])) if request.get("filter") else None
    try:
        condition = await _checked(conn, condition, names[0], role)
    except (ValueError, psycopg.Error) as error:
        words = f"{problem} An exception happened so please check your connect parameters: {wanted}."
        raise ValueError(f"{words} Exception: {str(error).splitlines()[0]}") from error
    return Binding(int(request["id"]), event, schema, table, condition)


def _listed(request: dict[str, Any]) -> str:
    return f'["{request["filter"]}"]' if request.get("filter") else "[]"


async def _checked(conn: Connection, condition: Filter | None, table: str, role: str) -> Filter | None:
    if condition is None:
        return None
    described = await tables.describe(conn, table, role)
    for column in described.readable:
        if column.name == condition.column:
            values = tuple([await tables.canonical(conn, column, value) for value in condition.values])
            return Filter(column.name, condition.op, values, column.is_numeric)
    raise ValueError(f"invalid column for filter {condition.column}")
