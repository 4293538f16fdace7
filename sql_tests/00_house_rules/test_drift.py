"""The policy files are idempotent: applied again to a migrated database they change nothing."""

import pytest

from devstack.config import ROOT
from devstack.testing import Connection, Database

POLICY_FILES = sorted((ROOT / "supabase" / "policies").glob("[0-9]*_*.sql"))
NOT_OURS = "('pg_catalog', 'information_schema', 'pg_toast', 'pgmq', 'supabase_migrations')"

CATALOGUE = f"""
select 'table' as kind, c.oid::regclass::text as name,
       concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity, c.reloptions) as state
  from pg_class c
 where c.relkind in ('r', 'p', 'v') and c.relnamespace::regnamespace::text not in {NOT_OURS}
union all
select 'grant', c.oid::regclass::text,
       concat_ws(' ', acl.grantee::regrole, acl.privilege_type, acl.is_grantable)
  from pg_class c cross join aclexplode(c.relacl) acl
 where c.relnamespace::regnamespace::text not in {NOT_OURS}
union all
select 'column grant', a.attrelid::regclass || '.' || a.attname,
       concat_ws(' ', acl.grantee::regrole, acl.privilege_type, acl.is_grantable)
  from pg_attribute a cross join aclexplode(a.attacl) acl
 where a.attrelid in (select oid from pg_class where relnamespace::regnamespace::text not in {NOT_OURS})
union all
select 'policy', polrelid::regclass || '.' || polname, concat_ws(' ', polcmd, polpermissive,
       polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
       obj_description(oid, 'pg_policy'))
  from pg_policy
union all
select 'trigger', tgrelid::regclass || '.' || tgname, tgenabled::text || ' ' || pg_get_triggerdef(oid)
  from pg_trigger where not tgisinternal
union all
select 'function', oid::regprocedure::text, concat_ws(' ', proowner::regrole, prosecdef, provolatile,
       proconfig, prosrc, (select array_agg(concat_ws('=', grantee::regrole, privilege_type) order by 1)
                             from aclexplode(proacl)))
  from pg_proc where pronamespace::regnamespace::text not in {NOT_OURS}
union all
select 'comment', objoid::regclass || '.' || objsubid, description
  from pg_description where classoid = 'pg_class'::regclass and objoid > 16384
"""


def catalogue(connection: Connection) -> set[tuple[str, ...]]:
    return {tuple(map(str, row.values())) for row in connection.execute(CATALOGUE.encode())}


@pytest.mark.req("D1")
def test_policy_files_applied_twice_more_change_nothing(fresh_database: Database) -> None:
    with fresh_database.connect() as connection:
        before = catalogue(connection)
        for _ in range(2):
            for file in POLICY_FILES:
                connection.execute(file.read_bytes())
        assert catalogue(connection) == before


@pytest.mark.parametrize("plan", ["hashjoin", "mergejoin", "nestloop", "indexscan", "seqscan"])
def test_generated_checks_are_the_same_text_whatever_the_plan(database: Database, plan: str) -> None:
    with database.connect() as connection:
        before = catalogue(connection)
        connection.execute(f"set local enable_{plan} = off".encode())
        checked = connection.execute("select tgrelid from pg_trigger where tgname = '_250_check'").fetchall()
        assert len(checked) > 20
        for row in checked:
            connection.execute("call private.check_table(%s)", (row["tgrelid"],))
        assert catalogue(connection) == before
        connection.rollback()


def test_a_policy_made_by_hand_disappears_with_the_next_application(fresh_database: Database) -> None:
    with fresh_database.connect() as connection:
        before = catalogue(connection)
        connection.execute("create policy by_hand on public.vehicles for select to anon using (true)")
        connection.execute("grant select, delete on public.vehicles to anon, portal")
        assert catalogue(connection) != before
        for file in POLICY_FILES:
            connection.execute(file.read_bytes())
        assert catalogue(connection) == before
