"""What a mutant is, and all kinds of them that a database can have."""

from collections.abc import Callable
from dataclasses import dataclass

from devstack.testing import Connection


@dataclass(frozen=True)
class Mutant:
    """One thing opened by a statement; `scope` says what the matrix has to look at (None: everything).

    A `behind_locks` one breaks one of the two locks: it must be harmless to other garages.
    """

    kind: str
    name: str
    statement: str
    scope: frozenset[str] | None = None
    behind_locks: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


Rows = Callable[[str], list[dict[str, str]]]


def rows(connection: Connection) -> Rows:
    """Ask the catalogue."""
    return lambda query: connection.execute(query.encode()).fetchall()


OURS = "('public', 'portal', 'website', 'private', 'audit')"
RELATIONS = f"""
select c.oid::regclass::text as name, c.relkind::text as kind, exists (select from pg_attribute a
           where a.attrelid = c.oid and a.attname = 'garage_id') or c.relname = 'garages' as is_tenant
  from pg_class c where c.relnamespace::regnamespace::text in {OURS} and c.relkind in ('r', 'p', 'v')
   and not c.relispartition order by 1
"""
VIEWS = """
with recursive uses as (
    select distinct d.refobjid::regclass::text as below, r.ev_class::regclass::text as view
      from pg_depend d join pg_rewrite r on r.oid = d.objid
     where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
       and d.refobjid <> r.ev_class
), deep as (
    select * from uses union select u.below, d.view from uses u join deep d on d.below = u.view
)
select below, view from deep
"""


def scopes(connection: Connection) -> Callable[..., frozenset[str]]:
    """A relation together with the views that show it."""
    found = rows(connection)(VIEWS)
    return lambda *names: frozenset({*names, *(row["view"] for row in found if row["below"] in names)})


def everything(connection: Connection) -> list[Mutant]:
    """All mutants of this database, in a fixed order."""
    connection.execute("set local search_path = pg_catalog")
    # Here, since each kind imports this module.
    from sql_tests.mutants import checks, doors, keys, policies

    found: list[Mutant] = []
    for part in (policies, doors, keys, checks):
        found += part.mutants(connection)
    return found
