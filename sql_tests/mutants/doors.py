"""Doors: grants on schemas, tables, columns and functions, views and calls with their owner's rights,
triggers that are off, published tables and public buckets."""

from collections.abc import Iterator

from devstack.testing import Connection
from sql_tests.mutants.planting import OURS, RELATIONS, Mutant, rows, scopes

SCHEMAS = """
select r as role, n.nspname::text as schema from pg_namespace n
  cross join unnest(array['anon', 'authenticated', 'portal', 'service_role', 'worker', 'edge']) r
 where n.nspname in ('public', 'portal', 'website', 'private', 'audit', 'pgmq', 'vault')
   and not has_schema_privilege(r, n.oid, 'usage') order by 1, 2
"""
TABLE_GRANTS = f"""
select c.oid::regclass::text as relation, r as role, v as verb
  from pg_class c cross join unnest(array['anon', 'authenticated', 'portal', 'service_role', 'worker']) r
  cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate']) v
 where c.relnamespace::regnamespace::text in {OURS} and c.relkind in ('r', 'p', 'v')
   and not c.relispartition
   and not has_table_privilege(r, c.oid, v) order by 1, 2, 3
"""
COLUMN_GRANTS = f"""
select a.attrelid::regclass::text as relation, a.attname::text as column, r as role, v as verb
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  cross join unnest(array['authenticated', 'portal']) r
  cross join unnest(array['select', 'insert', 'update']) v
 where c.relnamespace::regnamespace::text in {OURS} and c.relkind in ('r', 'p')
   and not c.relispartition and a.attnum > 0
   and not a.attisdropped and has_any_column_privilege(r, c.oid, v)
   and not has_column_privilege(r, c.oid, a.attname, v) order by 1, 2, 3, 4
"""
FUNCTIONS = f"""
select p.oid::regprocedure::text as signature, p.pronamespace::regnamespace::text as schema, r as role
  from pg_proc p cross join unnest(array['anon', 'authenticated', 'portal', 'worker', 'edge']) r
 where p.pronamespace::regnamespace::text in {OURS} and p.prokind = 'f'
   and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and not has_function_privilege(r, p.oid, 'execute') order by 1, 3
"""
CALLS = """
select p.oid::regprocedure::text as signature from pg_proc p where not p.prosecdef and p.prokind = 'f'
   and p.pronamespace::regnamespace::text in ('public', 'portal', 'website') order by 1
"""
TRIGGERS = f"""
select t.tgrelid::regclass::text as relation, t.tgname::text as name from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
 where c.relnamespace::regnamespace::text in {OURS} and not t.tgisinternal order by 1, 2
"""


def mutants(connection: Connection) -> list[Mutant]:
    """All of them."""
    return [*_grants(connection), *_rights(connection), *_switches(connection)]


def _grants(connection: Connection) -> Iterator[Mutant]:
    ask, scope = rows(connection), scopes(connection)
    for row in ask(SCHEMAS):
        name = f"{row['role']} usage of {row['schema']}"
        yield Mutant("grant, schema", name, f"grant usage on schema {row['schema']} to {row['role']}", _NONE)
    for row in ask(TABLE_GRANTS):
        statement = f"grant {row['verb']} on {row['relation']} to {row['role']}"
        yield Mutant("grant, table", statement.removeprefix("grant "), statement, scope(row["relation"]))
    for row in ask(COLUMN_GRANTS):
        statement = f'grant {row["verb"]} ("{row["column"]}") on {row["relation"]} to {row["role"]}'
        yield Mutant("grant, column", statement.removeprefix("grant "), statement, scope(row["relation"]))
    for row in ask(FUNCTIONS):
        statement = f"grant execute on function {row['signature']} to {row['role']}"
        name = statement.removeprefix("grant ")
        yield Mutant("grant, function", name, statement, frozenset({row["signature"]}))


def _rights(connection: Connection) -> Iterator[Mutant]:
    ask, scope = rows(connection), scopes(connection)
    for row in ask(RELATIONS):
        if row["kind"] == "v":
            statement = f"alter view {row['name']} reset (security_invoker)"
            yield Mutant("view as its owner", row["name"], statement, scope(row["name"]))
    for row in ask(CALLS):
        statement = f"alter function {row['signature']} security definer"
        yield Mutant("call as its owner", row["signature"], statement, frozenset({row["signature"]}))


def _switches(connection: Connection) -> Iterator[Mutant]:
    ask = rows(connection)
    for row in ask(TRIGGERS):
        statement = f'alter table {row["relation"]} disable trigger "{row["name"]}"'
        yield Mutant("trigger off", f"{row['relation']} {row['name']}", statement, _NONE)
    for row in ask(RELATIONS):
        if row["kind"] == "r" and row["name"] != "private.wakeups":
            statement = f"alter publication supabase_realtime add table {row['name']}"
            yield Mutant("published", row["name"], statement, frozenset({row["name"]}))
    for row in ask("select id from storage.buckets order by id"):
        statement = f"update storage.buckets set public = true where id = '{row['id']}'"
        yield Mutant("public bucket", row["id"], statement, frozenset({"storage.objects"}))


_NONE = frozenset[str]()
