"""What channels want to know of the database, checked against the publication and the role's rights."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import psycopg

from devstack.keys import Claims
from devstack.realtime import filters, tables
from devstack.realtime.filters import Filter
from devstack.realtime.pgoutput import Change, Relation
from devstack.realtime.protocol import Encoded
from devstack.realtime.tables import Connection, Table
from devstack.realtime.words import inspect

EVENTS = ("INSERT", "UPDATE", "DELETE")
_PROBLEM = "Unable to subscribe to changes with given parameters."
_PUBLISHED = """
    select format('%%I.%%I', schemaname, tablename) from pg_publication_tables
    where pubname = 'supabase_realtime'
        and %s::text in ('*', schemaname) and %s::text in ('*', tablename)
"""

# The columns a subscription selects; None stands for all of them.
Selection = frozenset[str] | None


@dataclass(frozen=True)
class Binding:
    """One `postgres_changes` entry of a join; `*` stands for any."""

    id: int
    event: str
    schema: str
    table: str
    filters: tuple[Filter, ...] = ()
    selection: Selection = None

    def matches(self, change: Change) -> bool:
        """Event, table and filters; rights are another matter."""
        row = change.new if change.new is not None else change.old
        return self.covers(change) and all(one.matches(row or {}) for one in self.filters)

    def covers(self, change: Change) -> bool:
        """Event and table alone."""
        relation = change.relation
        return (
            self.event in ("*", change.kind)
            and self.schema in ("*", relation.schema)
            and self.table in ("*", relation.table)
        )


@dataclass(eq=False)
class Subscriber:
    """A channel that wants changes. `deliver` takes the kind, the ids that match, and the data."""

    claims: Claims
    requests: list[dict[str, Any]]
    deliver: Callable[[str, list[int], Encoded], None]
    report: Callable[[str, str], None]
    bindings: list[Binding] = field(default_factory=list)
    is_gone: bool = False
    _unfiltered: dict[tuple[Relation, str], dict[Selection, list[int]]] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """The role of the claims."""
        return str(self.claims["role"])

    @cached_property
    def caller(self) -> str:
        """The claims as text: those of the same ones see the same rows."""
        return json.dumps(self.claims, sort_keys=True)

    def wanted(self, change: Change) -> dict[Selection, list[int]]:
        """The bindings that match, by the columns they select."""
        if any(binding.filters for binding in self.bindings):
            return _by_selection([binding for binding in self.bindings if binding.matches(change)])
        place = change.relation, change.kind
        if place not in self._unfiltered:
            covering = [binding for binding in self.bindings if binding.covers(change)]
            self._unfiltered[place] = _by_selection(covering)
        return self._unfiltered[place]


def _by_selection(bindings: list[Binding]) -> dict[Selection, list[int]]:
    found: dict[Selection, list[int]] = defaultdict(list)
    for binding in bindings:
        found[binding.selection].append(binding.id)
    return found


async def activate(conn: Connection, subscriber: Subscriber) -> None:
    """Check what was asked for and fill `bindings`. Raises ValueError with the words for the client."""
    parsed = [_parsed(request) for request in subscriber.requests]
    subscriber.bindings = [await _checked(conn, binding, subscriber.role) for binding in parsed]


def _parsed(request: dict[str, Any]) -> Binding:
    asked = {name: value for name, value in request.items() if name != "id"}
    selection = _selection(asked.get("select"))
    schema, table, condition = (asked.get(name) for name in ("schema", "table", "filter"))
    is_whole = isinstance(schema, str) and isinstance(table, str)
    if not (schema or table) or (condition is not None and not is_whole):
        words = "Please provide at least a `schema` or `table` to subscribe to"
        raise ValueError(f"No subscription params provided. {words}: {inspect(asked)}")
    event = str(asked.get("event") or "*").upper()
    binding = Binding(
        id=int(request["id"]),
        event=event if event in EVENTS else "*",
        schema=str(schema or "public"),
        table=str(table or "*"),
        filters=filters.parse(str(condition or "")),
        selection=selection,
    )
    if selection and "*" in (binding.schema, binding.table):
        words = "Provide an explicit schema and table name."
        raise ValueError(f"Column selection is not supported for wildcard subscriptions. {words}")
    return binding


def _selection(wanted: Any) -> Selection:
    if isinstance(wanted, str):
        words = 'expected a list of column name strings, e.g. select: ["col1", "col2"]'
        raise ValueError(f"Error parsing `select` params: {words}")
    names = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else []
    return frozenset(names) or None


async def _checked(conn: Connection, binding: Binding, role: str) -> Binding:
    """The binding with values as PostgreSQL writes them."""
    published = await conn.execute(_PUBLISHED, [binding.schema, binding.table])
    names = [row[0] for row in await published.fetchall()]
    if not names:
        words = "Please check Realtime is enabled for the given connect parameters"
        raise ValueError(f"{_PROBLEM} {words}: [{_shown(binding)}]")
    try:
        table = await tables.describe(conn, names[0], role)
        known = {column.name for column in table.readable}
        for name in sorted((binding.selection or frozenset()) - known):
            raise ValueError(f"invalid column for select {name}")
        return replace(binding, filters=tuple([await _typed(conn, one, table) for one in binding.filters]))
    except (ValueError, psycopg.Error) as error:
        words = f"An exception happened so please check your connect parameters: [{_shown(binding)}]."
        raise ValueError(f"{_PROBLEM} {words} Exception: {str(error).splitlines()[0]}") from error


async def _typed(conn: Connection, condition: Filter, table: Table) -> Filter:
    for column in table.readable:
        if column.name == condition.column:
            if not condition.is_typed:
                return condition
            values = tuple([await tables.canonical(conn, column, value) for value in condition.values])
            return replace(condition, values=values, is_numeric=column.is_numeric)
    raise ValueError(f"invalid column for filter {condition.column}")


def _shown(binding: Binding) -> str:
    conditions = [
        (
            one.column,
            one.op,
            "{" + ",".join(one.values) + "}" if one.op == "in" else one.values[0],
            one.is_negated,
        )
        for one in binding.filters
    ]
    selection = sorted(binding.selection) if binding.selection else None
    about = f"event: {binding.event}, schema: {binding.schema}, table: {binding.table}"
    return f"{about}, filters: {inspect(conditions)}, select: {inspect(selection)}"
