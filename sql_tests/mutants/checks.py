"""One condition taken out of a function that policies or callers rely on: a session that is not looked at,
a garage that is not compared, an error that is not caught."""

import re
from collections.abc import Iterator

from devstack.testing import Connection
from sql_tests.claims import bearers
from sql_tests.mutants.planting import Mutant, rows
from sql_tests.mutants.words import conjuncts

CALLED = """
select p.oid::regprocedure::text as signature, pg_get_functiondef(p.oid) as definition,
       p.pronamespace::regnamespace::text || '.' || p.proname as called
  from pg_proc p where p.pronamespace = 'private'::regnamespace and p.prosecdef and p.prokind = 'f'
   and p.prosrc <> '' and (has_function_privilege('authenticated', p.oid, 'execute')
        or has_function_privilege('portal', p.oid, 'execute')) order by 1
"""
CALLERS = """
select p.oid::regprocedure::text as signature from pg_proc p where p.prokind = 'f'
   and p.pronamespace::regnamespace::text in ('public', 'portal', 'website', 'private')
   and pg_get_functiondef(p.oid) ~ '{}[(]'
"""
DEFINITION = "select pg_get_functiondef('{}'::regprocedure) as definition"
ROLE_CHECK = re.compile(r"if claims ->> 'role' is distinct from '\w+' then\s+return null;\s+end if;")
HANDLER = re.compile(r"exception when others then\s+[^;]+;")
# Whose rows, not which person's of them: that is for the tests of each call.
SCOPED = re.compile(r"garage(?!, \w+\.customer_id)")


def mutants(connection: Connection) -> list[Mutant]:
    """Helpers lose any condition, what people call loses those about garage and session."""
    ask = rows(connection)
    helpers = {b.signature for b in bearers(connection) if b.is_total} | {"private.signed_in_user()"}
    found: list[Mutant] = []
    for signature in sorted(helpers):
        definition = ask(DEFINITION.format(signature))[0]["definition"]
        found += _helper(signature, definition)
    for row in ask(CALLED):
        if row["signature"] not in helpers:
            callers = {c["signature"] for c in ask(CALLERS.format(row["called"].replace(".", "[.]")))}
            found += _called(row["signature"], row["definition"], frozenset({row["signature"], *callers}))
    return found


def _helper(signature: str, definition: str) -> Iterator[Mutant]:
    for n, (gone, left) in enumerate(conjuncts(definition), start=1):
        yield Mutant("check in a helper", f"{signature} without {n}: {gone}", left)
    for what, pattern in (("its role check", ROLE_CHECK), ("its handler", HANDLER)):
        if pattern.search(definition):
            left = pattern.sub("", definition, count=1)
            yield Mutant("check in a helper", f"{signature} without {what}", left)


def _called(signature: str, definition: str, scope: frozenset[str]) -> Iterator[Mutant]:
    for n, (gone, left) in enumerate(conjuncts(definition), start=1):
        if SCOPED.search(gone):
            yield Mutant("check in a call", f"{signature} without {n}: {gone}", left, scope)
