"""What the catalogue says about a table for a role, and typed values of its rows."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from psycopg import AsyncConnection, sql

from devstack.realtime.pgoutput import Relation, Values

Connection = AsyncConnection[Any]

_DESCRIBE = """
    select a.attname, t.typname, t.typcategory = 'N', format_type(a.atttypid, a.atttypmod),
        coalesce(a.attnum = any(i.indkey), false),
        has_column_privilege(%(role)s, a.attrelid, a.attnum, 'select')
            and pg_has_role('authenticator', %(role)s, 'member'),
        c.relrowsecurity
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_type as t on t.oid = a.atttypid
    left join pg_index as i on i.indrelid = c.oid and i.indisprimary
    where a.attrelid = %(table)s and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""


@dataclass(frozen=True)
class Column:
    """A column; `type` is the short name clients are told, `cast` what SQL calls it."""

    name: str
    type: str
    is_numeric: bool
    cast: str
    is_key: bool
    is_readable: bool


@dataclass(frozen=True)
class Table:
    """A table as one role may see it."""

    columns: tuple[Column, ...]
    has_policies: bool

    @cached_property
    def keys(self) -> tuple[Column, ...]:
        """The primary key."""
        return tuple(column for column in self.columns if column.is_key)

    @property
    def readable(self) -> tuple[Column, ...]:
        """What the role may select."""
        return tuple(column for column in self.columns if column.is_readable)

    def only(self, names: frozenset[str] | None) -> "Table":
        """The table with the primary key and these columns; None leaves them all."""
        if names is None:
            return self
        chosen = tuple(column for column in self.columns if column.is_key or column.name in names)
        return replace(self, columns=chosen)


async def describe(conn: Connection, table: int | str, role: str) -> Table:
    """The table by oid or by quoted name; without columns when it is gone."""
    query = _DESCRIBE.replace("%(table)s", "%(table)s::regclass")
    rows = await (await conn.execute(query.encode(), {"table": str(table), "role": role})).fetchall()
    return Table(tuple(Column(*row[:6]) for row in rows), any(row[6] for row in rows))


async def typed(conn: Connection, table: Table, values: Values) -> dict[str, Any]:
    """The values as the JSON that PostgreSQL makes of them; bytea without its \\x."""
    columns = [column for column in table.columns if column.name in values]
    if not columns:
        return {}
    items = [_cast(column) + sql.SQL(" as {}").format(sql.Identifier(column.name)) for column in columns]
    query = sql.SQL("select row_to_json(r) from (select {}) as r").format(sql.SQL(", ").join(items))
    row = await (await conn.execute(query, [values[column.name] for column in columns])).fetchone()
    found = cast(dict[str, Any], row[0] if row else {})
    for column in columns:
        if column.type == "bytea" and found[column.name] is not None:
            found[column.name] = found[column.name].removeprefix("\\x")
    return found


async def canonical(conn: Connection, column: Column, text: str) -> str:
    """The value as PostgreSQL writes it. Raises psycopg.Error when it is none of the type."""
    # A cast to text would say `true` where the WAL says `t`.
    query = sql.SQL("select format('%%s', {})").format(_cast(column))
    row = await (await conn.execute(query, [text])).fetchone()
    return str(row[0]) if row else text


async def complete(conn: Connection, relation: Relation, table: Table, new: Values) -> None:
    """Look up what an UPDATE did not repeat because it is long and did not change."""
    missing = [column.name for column in table.columns if column.name not in new]
    if not missing or not table.keys:
        return
    query = sql.SQL("select {}::text from {} where {}").format(
        sql.SQL("::text, ").join(map(sql.Identifier, missing)), _name(relation), _key_matches(table)
    )
    keys = [new[column.name] for column in table.keys]
    row = await (await conn.execute(query, keys)).fetchone()
    new.update(zip(missing, row, strict=True) if row else ())


async def visible(
    conn: Connection, relation: Relation, table: Table, keys: list[tuple[str, ...]]
) -> set[tuple[str, ...]]:
    """Those of the primary keys whose rows the transaction's role is shown."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.keys)
    texts = sql.SQL(", ").join(sql.Identifier(column.name) + sql.SQL("::text") for column in table.keys)
    # One text whatever the number of keys, so that PostgreSQL keeps the plan.
    arrays = [sql.SQL("%s::" + column.cast.replace("%", "%%") + "[]") for column in table.keys]
    if len(arrays) == 1:
        condition = sql.SQL("{} = any({})").format(names, arrays[0])
    else:
        unnested = sql.SQL(", ").join(sql.SQL("unnest({})").format(array) for array in arrays)
        condition = sql.SQL("({}) in (select {})").format(names, unnested)
    query = sql.SQL("select {} from {} where {}").format(texts, _name(relation), condition)
    values = [list(column) for column in zip(*keys, strict=True)]
    return {tuple(row) for row in await (await conn.execute(query, values)).fetchall()}


def _name(relation: Relation) -> sql.Identifier:
    return sql.Identifier(relation.schema, relation.table)


def _cast(column: Column) -> sql.Composable:
    return sql.SQL("%s::" + column.cast.replace("%", "%%"))


def _key_matches(table: Table) -> sql.Composable:
    tests = [sql.Identifier(column.name) + sql.SQL(" = ") + _cast(column) for column in table.keys]
    return sql.SQL(" and ").join(tests)
