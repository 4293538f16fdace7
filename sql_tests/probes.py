"""Trying every verb on every table as somebody, and seeing what it did to whose rows.

All probes run in one transaction that is rolled back. Triggers are off, so that what refuses is a grant
or a policy and nothing that comes after them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from devstack.testing import Connection
from sql_tests.cast import Actor
from sql_tests.steps import one

TENANT_TABLES = """
select c.oid::regclass::text as name, n.nspname as schema, c.relname as table,
       case when c.relname = 'garages' then 'id' else 'garage_id' end as tenant,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                and not a.attisdropped and a.attgenerated = '' and a.attidentity = '') as columns,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                and not a.attnotnull and a.attgenerated = '') as nullable,
       array(select distinct a.attname::text from pg_index i join pg_attribute a
                 on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
              where i.indrelid = c.oid and i.indisunique) as keys
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('public', 'private', 'audit') and c.relkind::text = any (%s)
   and not c.relispartition
   and (c.relname = 'garages' or exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname = 'garage_id'))
 order by 1
"""
REFUSED = "refused"


@dataclass(frozen=True)
class Table:
    """A tenant table as the probes need it; `tenant` is the column that holds the garage."""

    name: str
    schema: str
    table: str
    tenant: str
    columns: list[str]
    nullable: list[str]
    keys: list[str]


def tenant_tables(connection: Connection) -> list[Table]:
    """All tenant tables there are, read from the catalogue."""
    connection.execute("set local search_path = pg_catalog")
    return [Table(**row) for row in connection.execute(TENANT_TABLES, (["r", "p"],))]


def tenant_views(connection: Connection) -> list[Table]:
    """All views for members that show rows of a garage."""
    connection.execute("set local search_path = pg_catalog")
    return [Table(**row) for row in connection.execute(TENANT_TABLES, (["v"],))]


def disable_triggers(connection: Connection, tables: list[Table]) -> None:
    """Leave nothing between a statement and the tables but grants, policies and constraints."""
    for table in tables:
        connection.execute(f"alter table {table.name} disable trigger user".encode())


@contextmanager
def acting(connection: Connection, actor: Actor) -> Iterator[None]:
    """Be somebody for a moment; what they changed is undone afterwards."""
    connection.execute("savepoint before")
    try:
        connection.execute(
            "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
            (json.dumps(actor.claims), actor.role),
        )
        yield
    finally:
        connection.execute("rollback to savepoint before")


def seen(connection: Connection, actor: Actor, table: Table) -> dict[str, int] | None:
    """How many rows of which garage somebody sees; None when the table is closed to them."""
    query = f"select {table.tenant}::text as garage, count(*)::int as n from {table.name} group by 1"
    try:
        with acting(connection, actor):
            return {row["garage"]: row["n"] for row in connection.execute(query.encode())}
    except psycopg.errors.InsufficientPrivilege:
        return None


def tried(connection: Connection, actor: Actor, table: Table, statement: str, others: str) -> int | str:
    """Execute a statement as somebody: the number of rows, or "refused" by grant or policy.

    Asserts that the rows outside the garage `others` is not about stayed as they were.
    """
    before = _fingerprint(connection, table, others)
    try:
        with acting(connection, actor):
            count = connection.execute(statement.encode()).rowcount
            connection.execute("reset role")
            assert _fingerprint(connection, table, others) == before, f"{actor.name}: {statement}"
            return count
    except (psycopg.errors.InsufficientPrivilege, psycopg.DataError):
        return REFUSED  # a column's default casts the claims: malformed ones are refused there
    except (psycopg.IntegrityError, psycopg.errors.FeatureNotSupported):
        return 1  # past grants and policies, stopped by a constraint


def _fingerprint(connection: Connection, table: Table, garage_id: str) -> str | None:
    """The rows of a garage, in one value."""
    query = (
        f"select md5(string_agg(t::text, '|' order by t::text)) from {table.name} t where {table.tenant} = %s"
    )
    fingerprint: str | None = one(connection, query, garage_id)
    return fingerprint


def granted(connection: Connection, actor: Actor, table: Table, verb: str) -> list[str]:
    """The columns somebody's role may write."""
    query = (
        "select array(select c from unnest(%s::text[]) c where has_column_privilege(%s, %s, c, %s)) as found"
    )
    found: list[str] = one(connection, query, table.columns, actor.role, table.name, verb)
    return found


def insert_copy(connection: Connection, actor: Actor, table: Table, garage_id: str) -> str:
    """An insert of a new row like one that the garage has, in the columns somebody may write."""
    columns = granted(connection, actor, table, "insert") or [table.tenant]
    sample = one(
        connection, f"select to_jsonb(t) from {table.name} t where {table.tenant} = %s limit 1", garage_id
    )
    if "id" in sample and table.tenant != "id":
        sample["id"] = one(connection, "select gen_random_uuid()::text")
    values = [_literal(connection, sample[column]) for column in columns]
    return f"insert into {table.name} ({', '.join(columns)}) values ({', '.join(values)})"


def update_all(connection: Connection, actor: Actor, table: Table) -> str:
    """An update without a condition, which reads no column: policies for reading do not apply to it."""
    columns = granted(connection, actor, table, "update") or table.columns
    column = next((c for c in columns if c in table.nullable), None)
    if column is None:
        column = next((c for c in columns if c not in table.keys), columns[-1])
        value = one(connection, f"select to_jsonb(t) -> %s from {table.name} t limit 1", column)
        return f"update {table.name} set {column} = {_literal(connection, value)}"
    return f"update {table.name} set {column} = null"


def _literal(connection: Connection, value: object) -> str:
    if value is None:
        return "null"
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, list):
        text = "{" + ",".join(map(str, value)) + "}"
    return str(one(connection, "select quote_literal(%s::text)", text))
