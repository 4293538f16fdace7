"""Modules: what one closes is read from the catalogue, and tried with each of them switched off."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import CARLA, CARLA_AT_ZUID, NOORD, OLGA, OTTO, ZUID, Actor
from sql_tests.probes import REFUSED, Table
from sql_tests.steps import one

pytestmark = pytest.mark.req("D2", "S2")

FILES = Table("storage.objects", "storage", "objects", "split_part(name, '/', 1)", ["name"], [], [])
MODULES = """
select m.module, array(select p.module from private.modules p where p.requires = m.module) as parts
  from private.modules m order by 1
"""
# Which module each policy for members or customers asks for, by way of its permission or by name.
POLICIES = r"""
with asked as (
    select polrelid::regclass::text as name, polcmd::text as verb, polroles[1]::regrole::text as role,
           concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as rule
      from pg_policy where polpermissive)
select case when a.name = 'storage.objects'
           then format('(select * from storage.objects where bucket_id = %L) files',
               substring(a.rule from $$bucket_id = '([a-z_]+)$$)) else a.name end as name,
       a.verb, a.role, coalesce(p.module, substring(a.rule from 'portal_garage_id\(''([a-z_]+)'''),
           case when a.role = 'portal' then 'portal' end) as module
  from asked a
  left join private.permissions p
    on p.permission = substring(a.rule from 'garage_id_for\(''([a-z_.]+)''')
 where a.role in ('authenticated', 'portal')
"""
VIEWS = """
select v.oid::regclass::text as name,
       array(select distinct d.refobjid::regclass::text
               from pg_rewrite r join pg_depend d on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass
               join pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p', 'v') and t.oid <> v.oid
              where r.ev_class = v.oid and d.refclassid = 'pg_class'::regclass) as reads
  from pg_class v where v.relkind = 'v' and v.relnamespace = %s::regnamespace
"""
# What members may call, and the modules of the permissions that its twin in schema private asks for.
CALLS = r"""
select format('select %s(%s)', p.oid::regproc, (select string_agg(format('null::%s', t::regtype), ', ')
           from unnest(p.proargtypes) t)) as statement,
       array(select distinct q.module
               from pg_depend d join pg_proc twin on twin.oid = d.refobjid
               cross join regexp_matches(twin.prosrc, $$(?:require|member)\('([a-z_.]+)'$$, 'g') asked
               join private.permissions q on q.permission = asked[1]
              where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                and d.refclassid = 'pg_proc'::regclass) as modules
  from pg_proc p
 where p.pronamespace = 'public'::regnamespace
   and has_function_privilege('authenticated', p.oid, 'execute')
"""
PHOTOS = """
insert into storage.objects (bucket_id, name)
select 'work_order_photos', storage_path from public.work_order_photos
union all select 'message_photos', storage_path from public.message_photos
"""
SWITCH = "update public.garage_modules set is_enabled = %s where garage_id = %s and module = %s"
CHANGED_BY_SWITCHING = ("public.garage_modules", "audit.entries")


@dataclass(frozen=True)
class Module:
    """A module, and all that is closed with it: itself and its parts."""

    name: str
    closed: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """What a policy lets whom do where, and the module it needs."""

    name: str
    verb: str
    role: str
    module: str | None


@pytest.fixture(scope="module")
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        connection.execute(PHOTOS)
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def modules(connection: Connection) -> list[Module]:
    rows = connection.execute(MODULES.encode()).fetchall()
    found = [Module(row["module"], frozenset([row["module"], *row["parts"]])) for row in rows]
    assert len(found) >= 6
    return found


@pytest.fixture(scope="module")
def policies(connection: Connection) -> list[Policy]:
    connection.execute("set local search_path = pg_catalog")
    return [Policy(**row) for row in connection.execute(POLICIES.encode())]


@pytest.fixture(scope="module")
def tables(connection: Connection) -> list[Table]:
    """What members may be shown: the tables in public, and the files of each bucket."""
    buckets = connection.execute("select id from storage.buckets order by id").fetchall()
    files = [
        replace(FILES, name=f"(select * from storage.objects where bucket_id = '{bucket['id']}') files")
        for bucket in buckets
    ]
    return [*(t for t in probes.tenant_tables(connection) if t.schema == "public"), *files]


def switch(connection: Connection, module: Module, is_enabled: bool) -> None:
    connection.execute(SWITCH.encode(), (is_enabled, NOORD, module.name))


def closed_tables(policies: list[Policy], module: Module, role: str, verb: str = "r") -> set[str]:
    return {p.name for p in policies if p.role == role and p.verb == verb and p.module in module.closed}


def views(connection: Connection, schema: str) -> dict[str, set[str]]:
    """The views of a schema, and the tables or views each reads."""
    connection.execute("set local search_path = pg_catalog")
    return {row["name"]: set(row["reads"]) for row in connection.execute(VIEWS.encode(), (schema,))}


def rows_seen(connection: Connection, actor: Actor, name: str) -> int:
    with probes.acting(connection, actor):
        return int(one(connection, f"select count(*) from {name}"))


def test_every_module_closes_something_and_nothing_is_closed_by_a_module_that_is_not_there(
    modules: list[Module], policies: list[Policy]
) -> None:
    named = {policy.module for policy in policies if policy.module}
    assert named <= {module.name for module in modules}
    # Channels are work alone: what was sent stays to be seen. Their queues are tried elsewhere.
    assert {module.name for module in modules} - named == {"email", "push", "sms", "whatsapp"}


def test_a_closed_module_hides_its_tables_and_files_from_staff_and_no_others(
    connection: Connection, modules: list[Module], policies: list[Policy], tables: list[Table]
) -> None:
    before = {table.name: probes.seen(connection, OLGA, table) for table in tables}
    assert all(before.values())
    for module in modules:
        hidden = closed_tables(policies, module, "authenticated")
        switch(connection, module, False)
        for table in tables:
            expected = {} if table.name in hidden else before[table.name]
            assert probes.seen(connection, OLGA, table) == expected, (module.name, table.name)
            assert probes.seen(connection, OTTO, table), (module.name, table.name)
        switch(connection, module, True)


def writes_to(connection: Connection, table: Table) -> dict[str, str]:
    """A write of each kind, by the letter that policies have for it."""
    return {
        "a": probes.insert_copy(connection, OLGA, table, NOORD),
        "w": probes.update_all(connection, OLGA, table),
        "d": f"delete from {table.name}",
    }


def test_a_closed_module_refuses_every_write_to_its_tables(
    connection: Connection, modules: list[Module], policies: list[Policy], tables: list[Table]
) -> None:
    connection.execute("savepoint with_triggers")
    tables = [table for table in tables if table.schema == "public"]
    probes.disable_triggers(connection, tables)
    tried = 0
    for module in modules:
        for verb in "awd":
            shut = closed_tables(policies, module, "authenticated", verb)
            for table in (table for table in tables if table.name in shut):
                statement = writes_to(connection, table)[verb]
                assert probes.tried(connection, OLGA, table, statement, ZUID) not in (0, REFUSED), statement
                switch(connection, module, False)
                assert probes.tried(connection, OLGA, table, statement, NOORD) in (0, REFUSED), statement
                switch(connection, module, True)
                tried += 1
    connection.execute("rollback to savepoint with_triggers")
    assert tried >= 13


def test_a_closed_module_empties_the_views_over_its_tables(
    connection: Connection, modules: list[Module], policies: list[Policy]
) -> None:
    for schema, actor, role in (("public", OLGA, "authenticated"), ("portal", CARLA.actor, "portal")):
        reads = views(connection, schema)
        before = {name: rows_seen(connection, actor, name) for name in reads}
        for module in modules:
            hidden = closed_tables(policies, module, role)
            switch(connection, module, False)
            for name, sources in reads.items():
                count = rows_seen(connection, actor, name)
                if (module.name, role) == ("portal", "portal") or (sources and sources <= hidden):
                    assert before[name] and count == 0, (module.name, name)
                elif not sources & {*hidden, *CHANGED_BY_SWITCHING}:
                    assert count == before[name], (module.name, name)
            switch(connection, module, True)


def test_customers_of_another_garage_notice_nothing(connection: Connection, modules: list[Module]) -> None:
    names = list(views(connection, "portal"))
    before = [rows_seen(connection, CARLA_AT_ZUID.actor, name) for name in names]
    assert sum(before) > 5
    for module in modules:
        switch(connection, module, False)
        assert [rows_seen(connection, CARLA_AT_ZUID.actor, name) for name in names] == before
        switch(connection, module, True)


def code_of(connection: Connection, actor: Actor, statement: str) -> str | None:
    """The code a statement is refused with."""
    try:
        with probes.acting(connection, actor):
            connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.diag.message_detail
    return None


def test_a_closed_module_refuses_its_calls_by_its_name(connection: Connection, modules: list[Module]) -> None:
    connection.execute("set local search_path = pg_catalog")
    calls = {row["statement"]: set(row["modules"]) for row in connection.execute(CALLS.encode())}
    assert len(calls) >= 25
    assert sum(bool(needed - {None}) for needed in calls.values()) >= 4
    for module in modules:
        assert "module_closed" not in {code_of(connection, OLGA, statement) for statement in calls}
        switch(connection, module, False)
        for statement, needed in calls.items():
            is_refused = code_of(connection, OLGA, statement) == "module_closed"
            assert is_refused == bool(needed & module.closed), (module.name, statement)
        switch(connection, module, True)


def test_switched_off_and_on_again_every_row_is_as_before(
    connection: Connection, modules: list[Module], tables: list[Table]
) -> None:
    all_tables = [
        table
        for table in [*probes.tenant_tables(connection), FILES]
        if table.name not in CHANGED_BY_SWITCHING
    ]

    def fingerprint() -> dict[str, object]:
        query = "select md5(string_agg(t::text, '|' order by t::text)) from {} t"
        return {table.name: one(connection, query.format(table.name)) for table in all_tables}

    def shown() -> list[dict[str, int] | None]:
        return [probes.seen(connection, OLGA, table) for table in tables]

    rows, seen = fingerprint(), shown()
    assert all(rows.values()) and len(rows) > 30
    for module in modules:
        switch(connection, module, False)
        assert fingerprint() == rows, module.name
        switch(connection, module, True)
        assert fingerprint() == rows, module.name
        assert shown() == seen, module.name
