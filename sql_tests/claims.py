"""Claims that are not what they should be, and who has to bear them: a library, shown to mutants too.

What a policy asks (and what that asks in turn) is total: whatever the token holds it answers, and one answer
that raised would stop Realtime for everybody. What a person calls may refuse, but only in words.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from devstack.testing import Connection
from sql_tests.cast import CARLA, NOORD, OLGA
from sql_tests.matrix import attempts
from sql_tests.matrix.attempts import Ask

VALUES: list[object] = [
    None, "", " ", "null", "x" * 100_000, "11111111-0000-4000-8000-00000000000",
    "11111111-0000-4000-8000-000000000009", "' or true --", "{}", "\u0000", "\ud83d\ude97",
    0, -1, 1e308, True, [], [NOORD], {}, {"id": NOORD},
]  # fmt: skip
NOT_CLAIMS = [
    "", " ", "null", "[]", "[1]", "1", '"text"', "true", "{", "}", "{]", "nul", "\\u0000",
    "x" * 1000, "[" * 5000,
]  # fmt: skip
NOT_HEADERS = [*NOT_CLAIMS, '{"x-document-grant": null}', '{"x-document-grant": [1]}']
GOOD = {"authenticated": dict(OLGA.claims), "portal": dict(CARLA.actor.claims)}
BROKEN = [
    json.dumps({**good, key: value})
    for good in GOOD.values()
    for key, value in product(["role", "sub", "garage_id", "session_id"], VALUES)
] + NOT_CLAIMS
# Functions that policies name, and all that these call or that read the request themselves.
BEARERS = """
with recursive ours as (
    select p.oid, p.oid::regprocedure::text as signature, p.proname::text as name, p.pronargs,
           p.pronamespace::regnamespace::text || '.' || quote_ident(p.proname) as called, p.prosrc,
           array(select t::regtype::text from unnest(p.proargtypes::oid[]) t) as types
      from pg_proc p
     where p.pronamespace::regnamespace::text in ('public', 'portal', 'website', 'private')
       and p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
), asked as (
    select o.* from ours o where exists (
        select from pg_policy where concat(pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid)) like '%' || o.called || '(%')
    union
    select o.* from asked a join ours o on a.prosrc like '%' || o.called || '(%'
)
select signature, called, types, signature in (select signature from asked) as is_total
  from ours
 where signature in (select signature from asked)
    or prosrc ~ 'request[.](jwt|headers|cookies)|auth[.](uid|jwt|role)'
 order by 1
"""
ARGUMENTS = {"text": "invoices.read", "uuid": NOORD, "date": "2026-01-02", "integer": "1"}


@dataclass(frozen=True)
class Token:
    """Whatever arrives as claims and headers."""

    claims: str
    headers: str = "{}"
    role: str = "none"


@dataclass(frozen=True)
class Bearer:
    """A function that has to bear it; a total one never raises."""

    signature: str
    called: str
    types: list[str]
    is_total: bool

    @property
    def ask(self) -> Ask:
        """A call with arguments that are well-formed."""
        values = (ARGUMENTS.get(kind) for kind in self.types)
        given = ", ".join(
            f"{'null' if value is None else repr(value)}::{kind}"
            for value, kind in zip(values, self.types, strict=True)
        )
        return Ask(f"select (r)::text from {self.called}({given}) r limit 1", is_query=True)


def bearers(connection: Connection) -> list[Bearer]:
    """All of them, from the catalogue."""
    connection.execute("set local search_path = pg_catalog")
    return [Bearer(**row) for row in connection.execute(BEARERS)]


def raised(connection: Connection, found: list[Bearer], tokens: Iterable[Token]) -> Iterator[str]:
    """Who raised what, and was not to; needs `attempts.SETUP` in this transaction."""
    for token in tokens:
        outcomes = attempts.attempt(connection, token, [bearer.ask for bearer in found])
        for bearer, outcome in zip(found, outcomes, strict=True):
            is_refusal = (outcome.state or "").startswith("PT")
            if not (outcome.is_done or (is_refusal and not bearer.is_total)):
                yield f"{bearer.signature}: {outcome} for {token.claims[:80]} {token.headers[:40]}"


def malformed() -> list[Token]:
    """The fixed list."""
    good = json.dumps(GOOD["portal"])
    return [*(Token(claims) for claims in BROKEN), *(Token(good, headers) for headers in NOT_HEADERS)]
