"""Verifying history and reading who looked, from the command line, on the real stack."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from devstack.stack import Stack

RITA = "rita@garage-noord.test"
NOORD = "11111111-0000-4000-8000-000000000001"
CARLA = "33333333-0000-4000-8000-000000000001"
Autexor = Callable[..., Any]
ALL_GUARDS = """
do $$ declare part regclass; begin
    for part in select c.oid from pg_class c
                 where c.relnamespace = 'audit'::regnamespace and c.relkind in ('r', 'p')
                   and c.oid <> all (array['audit.chains', 'audit.client_errors']::regclass[]) loop
        execute format('alter table %s {how} trigger _900_append_only', part);
    end loop;
end $$
"""


@contextmanager
def unguarded(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """The owner of the database, who takes the guards away and puts them back."""
    with psycopg.connect(stack.environment()["DB_URL"]) as owner:
        owner.execute(ALL_GUARDS.replace("{how}", "disable").encode())
        yield owner
        owner.execute(ALL_GUARDS.replace("{how}", "enable always").encode())


def seal(stack: Stack) -> None:
    with psycopg.connect(stack.environment()["DB_URL"]) as owner:
        owner.execute("update public.garages set payment_days = payment_days where false")
        owner.execute("select private.seal_audit(now())")


@pytest.mark.req("D11")
def test_a_history_as_it_was_sealed_is_verified_with_an_anchor(autexor: Autexor, stack: Stack) -> None:
    seal(stack)
    said = autexor("audit", "verify")
    assert (said.code, "is_intact\tyes" in said.out) == (0, True), said.err
    assert "Note number and hash" in said.err
    (anchor,) = autexor("audit", "seals", "--limit", "1", "--quiet").out.splitlines()
    found = json.loads(autexor("audit", "verify", "--anchor", anchor, "--json").out)
    assert found["is_intact"] is True and anchor == f"{found['last_number']}:{found['last_hash']}"
    newest = json.loads(autexor("audit", "seals", "--limit", "1", "--json").out)[0]
    assert (newest["garage_id"], newest["kind"], newest["anchor"]) == (NOORD, "entries", anchor)


@pytest.mark.req("D11")
def test_a_touched_entry_is_named_in_three_lines(autexor: Autexor, stack: Stack) -> None:
    seal(stack)
    with unguarded(stack) as owner:
        row = owner.execute(
            "select id, actor from audit.entries where garage_id = %s order by xid, id limit 1", (NOORD,)
        ).fetchone()
        assert row is not None
        owner.execute("update audit.entries set actor = 'nobody' where id = %s", (row[0],))
    said = autexor("audit", "verify", "--json")
    assert (said.code, json.loads(said.out)["entry_id"]) == (1, row[0])
    what, why, fix = said.err.splitlines()[-3:]
    assert what == f"Error: Entry {row[0]} of seal 1 is not what was sealed [audit_entry_altered]"
    assert why.startswith("  why: ") and fix.startswith("  fix: Keep the database as it is")
    with unguarded(stack) as owner:
        owner.execute("update audit.entries set actor = %s where id = %s", (row[1], row[0]))
    assert autexor("audit", "verify").code == 0


@pytest.mark.req("D11")
@pytest.mark.parametrize("anchor", ["", "1", "1:abc", "x:" + "0" * 64])
def test_what_is_no_anchor_is_misuse(autexor: Autexor, anchor: str) -> None:
    said = autexor("audit", "verify", "--anchor", anchor)
    assert (said.code, said.out, "[anchor_invalid]" in said.err) == (2, "", True)
    missed = autexor("audit", "verify", "--anchor", "1:" + "0" * 64)
    assert (missed.code, "[audit_anchor_missed]" in missed.err) == (1, True)


@pytest.mark.req("D11", "D12")
def test_history_and_looks_need_the_permission(autexor: Autexor) -> None:
    for arguments in (("audit", "verify"), ("access", "list"), ("access", "list", "--customer", CARLA)):
        said = autexor(*arguments, who=RITA)
        assert (said.code, said.out, "[permission_missing]" in said.err) == (1, "", True), said
    assert autexor("access", "list").code == 0


@pytest.mark.req("D12")
def test_who_looked_is_listed_by_name_and_for_one_customer(autexor: Autexor, stack: Stack) -> None:
    autexor("members", "list", who=RITA)  # signs in
    row = json.loads(autexor("access", "list", "--json").out)
    assert ("staff_login", "Rita Claes (receptionist)") in {(one["event"], one["who"]) for one in row}
    with psycopg.connect(stack.environment()["DB_URL"]) as owner:
        owner.execute("select private.log_look(%s, 'customer_opened', %s)", (NOORD, CARLA))
    about = json.loads(autexor("access", "list", "--customer", CARLA, "--json").out)
    assert (about[-1]["event"], about[-1]["who"], about[-1]["subject_id"]) == (
        "customer_opened",
        "postgres",
        CARLA,
    )
    nobody = autexor("access", "list", "--customer", NOORD)
    assert (nobody.code, "[customer_not_found]" in nobody.err) == (1, True)


@pytest.mark.req("D11", "D12")
@pytest.mark.parametrize("arguments", [("audit", "list"), ("access", "list")])
def test_a_list_shows_the_garages_clock(autexor: Autexor, stack: Stack, arguments: tuple[str, ...]) -> None:
    said = autexor(*arguments, "--limit", "5", "--json")
    rows = json.loads(said.out)
    assert rows, said.err
    with psycopg.connect(stack.environment()["DB_URL"]) as owner:
        for row in rows:
            query = "select to_char(%s::timestamptz at time zone 'Europe/Brussels', 'YYYY-MM-DD HH24:MI:SS')"
            shown = owner.execute(query, (row["occurred_at"],)).fetchone()
            assert shown == (row["when"],)
