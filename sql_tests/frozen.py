"""Who may do what with which schema, relation and column, and which changes are published: one line each.

Frozen in `00_house_rules/grants.txt`: a change there is a change of what somebody may do, to be looked at.
"""

from pathlib import Path

from devstack.testing import Connection

GOLDEN = Path(__file__).parent / "00_house_rules" / "grants.txt"
LINES = """
with ours as (
    select c.oid, c.oid::regclass::text as name, c.relacl from pg_class c
     where c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
), api as (
    select oid, rolname from pg_roles
     where rolname in ('anon', 'authenticated', 'portal', 'service_role', 'worker', 'edge', 'authenticator')
    union all select 0, 'public'
)
select concat_ws(' ', rolname, 'usage', 'schema', n.nspname) as line
  from pg_namespace n cross join aclexplode(n.nspacl) acl join api on api.oid = acl.grantee
 where n.nspname in ('public', 'portal', 'website', 'private', 'audit', 'pgmq', 'vault')
union all
select concat_ws(' ', rolname, lower(privilege_type), name)
  from ours cross join aclexplode(relacl) acl join api on api.oid = acl.grantee
union all
select concat_ws(' ', rolname, lower(privilege_type), name,
           '(' || string_agg(a.attname, ', ' order by a.attname) || ')')
  from ours join pg_attribute a on a.attrelid = ours.oid and not a.attisdropped
 cross join aclexplode(a.attacl) acl
  join api on api.oid = acl.grantee
 group by rolname, privilege_type, name
union all
select concat_ws(' ', pubname, 'publishes', format('%I.%I', schemaname, tablename))
  from pg_publication_tables
"""


def grants(connection: Connection) -> list[str]:
    """The lines as they are in this database."""
    connection.execute("set local search_path = pg_catalog")
    return sorted(row["line"] for row in connection.execute(LINES))
