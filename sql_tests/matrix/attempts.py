"""Trying statements as somebody, many in one round trip, each undone before the next.

The connection is the superuser's, who can be anybody; a statement runs in a subtransaction as the caller's
role with the caller's claims, and what it did is looked at as the owner before it is rolled back.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from devstack.testing import Connection

SETUP = """
-- Another value whenever rows were written: how many so far, and the files tables are in, of which a
-- truncate makes new ones.
create function pg_temp.written(tables oid[]) returns text
language sql
return (select sum(pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
                   + pg_stat_get_xact_tuples_deleted(c.oid)) || ' ' || sum(c.relfilenode::bigint)
          from pg_class c where c.oid = any (tables));

create function pg_temp.attempt(role text, claims text, headers text, asks jsonb)
returns table (rows int, value text, state text, message text, detail text, hint text, key text, after text)
language plpgsql
as $$
declare
    ask jsonb;
    written text;
    tables oid[] := array(select oid from pg_class where relkind in ('r', 'p')
        and relnamespace::regnamespace::text !~ '^(pg_|information_schema)');
begin
    for ask in select a from jsonb_array_elements(asks) a loop
        rows := null; value := null; state := 'BEFOR'; message := null; detail := null; hint := null;
        key := null; after := null;
        begin
            if ask ? 'before' then
                execute ask ->> 'before';
            end if;
            state := null;
            if ask ? 'after' then
                written := pg_temp.written(tables);
            end if;
            perform set_config('request.jwt.claims', claims, true),
                set_config('request.headers', headers, true), set_config('role', attempt.role, true);
            if ask ? 'query' then
                execute ask ->> 'query' into value;
            else
                execute ask ->> 'statement';
            end if;
            get diagnostics rows = row_count;
            perform set_config('role', 'none', true);
            -- What wrote nothing changed nothing.
            if ask ? 'after' and written <> pg_temp.written(tables) then
                execute ask ->> 'after' into after;
            end if;
            raise sqlstate 'ZZ000';
        exception
            when sqlstate 'ZZ000' then null;
            when others then
                get stacked diagnostics message = message_text, detail = pg_exception_detail,
                    hint = pg_exception_hint, key = constraint_name;
                state := coalesce(state || ' ' || sqlstate, sqlstate);
        end;
        return next;
    end loop;
end $$
"""
# A column's default casts the claims, so that malformed ones are refused there with 22P02.
DENIALS = ("42501", "22P02")


class Somebody(Protocol):
    """Who an attempt is made as."""

    @property
    def role(self) -> str: ...

    @property
    def claims(self) -> str: ...

    @property
    def headers(self) -> str: ...


@dataclass(frozen=True)
class DatabaseOwner:
    """Whom no grant and no policy stops: the positive control of what nobody else may do."""

    name: str = "the owner of the database"
    role: str = "none"
    claims: str = "{}"
    headers: str = "{}"


OWNER = DatabaseOwner()


@dataclass(frozen=True)
class Ask:
    """A statement, or a query of one value; what the owner does before, and looks at after it has written."""

    statement: str
    is_query: bool = False
    before: str | None = None
    after: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The ask as the function in the database reads it."""
        found = {"query" if self.is_query else "statement": self.statement}
        found |= {} if self.before is None else {"before": self.before}
        return found | ({} if self.after is None else {"after": self.after})


@dataclass(frozen=True)
class Outcome:
    """What became of an ask."""

    rows: int | None
    value: str | None
    state: str | None
    message: str | None
    detail: str | None
    hint: str | None
    key: str | None
    after: str | None

    @property
    def is_done(self) -> bool:
        """It went through."""
        return self.state is None

    @property
    def is_denied(self) -> bool:
        """A grant or a policy refused it."""
        return self.state in DENIALS

    @property
    def is_stopped(self) -> bool:
        """A constraint refused it, to which it came past grants and policies."""
        return (self.state or "").startswith("23")

    @property
    def touched(self) -> int:
        """How many rows it changed."""
        return self.rows or 0 if self.is_done else 0

    def __str__(self) -> str:
        if self.is_done:
            return f"done, {self.rows} rows {(self.value or '')[:160]}"
        return f"{self.state} {self.message} {self.detail or ''}"


def attempt(connection: Connection, who: Somebody, asks: Sequence[Ask]) -> list[Outcome]:
    """Try each ask as somebody; nothing of it stays."""
    if not asks:
        return []
    rows = connection.execute(
        "select * from pg_temp.attempt(%s, %s, %s, %s)",
        (who.role, who.claims, who.headers, json.dumps([ask.fields for ask in asks])),
    )
    return [Outcome(**row) for row in rows]
