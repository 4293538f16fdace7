"""One policy opened, one of its conditions dropped, one floor gone."""

from collections.abc import Iterator

from devstack.testing import Connection
from sql_tests.mutants.planting import Mutant, rows, scopes
from sql_tests.mutants.words import conjuncts

POLICIES = """
select polrelid::regclass::text as relation, polname::text as name, polcmd::text as cmd, polpermissive::text,
       coalesce(pg_get_expr(polqual, polrelid), '') as reads, polroles::regrole[]::text as roles,
       coalesce(pg_get_expr(polwithcheck, polrelid), '') as writes
  from pg_policy where polrelid::regclass::text !~ '^(auth|vault)' order by 1, 2
"""


def mutants(connection: Connection) -> list[Mutant]:
    """All of them."""
    scope = scopes(connection)
    found: list[Mutant] = []
    for policy in rows(connection)(POLICIES):
        where = f'"{policy["name"]}" on {policy["relation"]}'
        is_floor = policy["name"] in ("tenant_floor", "operator_floor")
        parts = _floor(policy) if is_floor else _policy(policy)
        kind = "floor" if is_floor else "policy"
        for what, statement in parts:
            name = f"{policy['relation']}.{policy['name']} {what}"
            found.append(
                Mutant(kind, name, statement.replace("{where}", where), scope(policy["relation"]), True)
            )
    for row in rows(connection)(TABLES):
        name = row["name"]
        for what, words in (("row-level security off", "disable"), ("not forced", "no force")):
            statement = f"alter table {name} {words} row level security"
            found.append(Mutant("row-level security", f"{name} {what}", statement, scope(name)))
        opened = f"create policy opened on {name} for all to public using (true) with check (true)"
        found.append(Mutant("policy", f"{name} and one that opens all", opened, scope(name), True))
    return found


TABLES = """
select c.oid::regclass::text as name from pg_class c
 where c.relnamespace::regnamespace::text in ('public', 'website', 'private', 'audit')
   and c.relkind in ('r', 'p') and not c.relispartition
 order by 1
"""


def _floor(policy: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield "dropped", "drop policy {where}"
    yield "using true", "alter policy {where} using (true)"
    yield "with check true", "alter policy {where} with check (true)"
    yield "for staff alone", "alter policy {where} to authenticated"


def _policy(policy: dict[str, str]) -> Iterator[tuple[str, str]]:
    reads, writes = policy["reads"], policy["writes"]
    yield "dropped", "drop policy {where}"
    yield "to public", "alter policy {where} to public"
    if reads:
        yield "using true", "alter policy {where} using (true)"
        for gone, left in conjuncts(f"where {reads}"):
            yield f"using without {gone}", f"alter policy {{where}} using ({left.removeprefix('where')})"
    if writes:
        yield "with check true", "alter policy {where} with check (true)"
    if reads and writes:
        yield "true in both", "alter policy {where} using (true) with check (true)"
