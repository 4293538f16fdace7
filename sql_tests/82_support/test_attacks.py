"""Attacks on support access: what is over, of another garage, of another person, or granted to oneself."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devstack.testing import Connection, Database, become
from sql_tests import people, support
from sql_tests.cast import ADA, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import change, look, one, refused

pytestmark = pytest.mark.req("D15", "D1")

GARAGES = "select count(*) from public.garages"
PAST = """
update public.support_requests
   set granted_at = now() - interval '5 hours', expires_at = now() - interval '1 second'
"""
RAW = "select private.garage_id()"
LIVE = "select id from public.support_requests where garage_id = %s and granted_at is not null"
# What the garage's people may call; an operator's own calls are theirs, in support or not.
CALLS = """
select p.proname::text as name, array(select t::regtype::text from unnest(p.proargtypes::oid[]) t) as types
  from pg_proc p
 where p.pronamespace = 'public'::regnamespace and p.provolatile = 'v'
   and has_function_privilege('authenticated', p.oid, 'execute')
   and p.proname not in ('end_support', 'open_support', 'request_support', 'record_breach', 'change_breach',
       'tell_garages')
 order by p.oid::regprocedure::text
"""
STATES = """
select string_agg(query_to_xml(format(
    'select md5(string_agg(t::text, $$|$$ order by t::text)) from %%s t', c.oid::regclass),
    true, false, '')::text, '')
  from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
"""
HAVING_IDS = (
    "invoices", "customers", "vehicles", "conversations", "work_orders", "memberships", "portal_accounts",
    "invoice_documents", "communications", "portal_invitations", "invitations", "support_requests",
    "breach_notices",
)  # fmt: skip


@pytest.fixture
def database(database: Database) -> Iterator[Database]:
    """This module's database, where nobody has asked for support yet."""
    support.forget(database)
    yield database
    change(database, "update private.operators set revoked_at = null")


def unfrozen(database: Database, statement: str) -> None:
    """What nobody could do: the test moves the clock instead."""
    with database.connect() as connection:
        connection.execute("alter table public.support_requests disable trigger _900_freeze")
        connection.execute(statement.encode())
        connection.execute("alter table public.support_requests enable always trigger _900_freeze")


def is_in(database: Database, actor: Actor) -> bool:
    """Does this token open any garage?"""
    with actor.acting(database) as connection:
        seen = one(connection, GARAGES)
        assert (one(connection, RAW) is not None) is bool(seen)
        return bool(seen)


def test_a_grant_that_has_expired_opens_nothing_from_the_next_statement(database: Database) -> None:
    actor = support.granted(database)
    assert is_in(database, actor)
    unfrozen(database, PAST)
    assert not is_in(database, actor)
    with ADA.acting(database) as connection, refused("support_not_live", 403):
        connection.execute("select public.open_support(%s)", (actor.claims["support_grant"],))
    with OLGA.acting(database) as connection, refused("support_over", 409):
        connection.execute("select public.end_support(%s)", (actor.claims["support_grant"],))


def test_it_expires_within_a_transaction_too(database: Database) -> None:
    actor = support.granted(database)
    with actor.acting(database) as connection:
        assert one(connection, GARAGES) == 1
        unfrozen(database, PAST)
        assert one(connection, GARAGES) == 0


def test_a_revoked_operator_is_nobody_at_once(database: Database) -> None:
    actor = support.granted(database)
    assert is_in(database, actor)
    change(database, "update private.operators set revoked_at = now()")
    assert not is_in(database, actor)
    with ADA.acting(database) as connection, refused("operator_required", 403):
        connection.execute("select public.request_support(%s, %s)", (ZUID, support.REASON))


def test_an_operator_who_signed_out_is_nobody(database: Database) -> None:
    granted = support.granted(database)
    assert is_in(database, granted)
    actor = granted.but("Ada elsewhere", session_id=str(uuid4()))
    assert not is_in(database, actor)
    assert not is_in(database, actor.but("Ada in Olga's sign-in", session_id=OLGA.claims["session_id"]))


@pytest.mark.parametrize("member", [OLGA, RITA, MARC, OTTO], ids=lambda member: member.name)
def test_a_grant_serves_its_operator_alone(database: Database, member: Actor) -> None:
    """Not even a member's own garage opens to a token that says it is support."""
    request = support.granted(database).claims["support_grant"]
    for garage in (NOORD, ZUID):
        thief = member.but("thief", garage_id=garage, support_grant=request)
        assert not is_in(database, thief)
    assert is_in(database, member)


def test_a_grant_of_one_garage_opens_no_other(database: Database) -> None:
    request = support.grant(database, support.ask(database, ZUID), OTTO)
    assert is_in(database, support.token(request, ZUID))
    assert not is_in(database, support.token(request, NOORD))
    with OLGA.acting(database) as connection:
        assert one(connection, "select count(*) from public.support_grants") == 0


@pytest.mark.parametrize("grant", [None, "", "x", 1, [], {}, [NOORD], True, str(uuid4()), "\u0000"])
def test_a_malformed_grant_opens_nothing_and_raises_nothing(database: Database, grant: object) -> None:
    assert is_in(database, support.granted(database)) and is_in(database, OLGA)
    for actor in (ADA.but("Ada", garage_id=NOORD), OLGA):
        assert not is_in(database, actor.but("malformed", support_grant=grant)), json.dumps(grant)


def test_an_operator_without_a_grant_sees_nothing(database: Database) -> None:
    request = support.ask(database)
    for garage in (None, NOORD, ZUID):
        assert not is_in(database, ADA.but("Ada", garage_id=garage))
    assert not is_in(database, support.token(request))
    support.grant(database, request)
    assert is_in(database, support.token(request))


def test_nobody_grants_their_own_request(clone_database: Callable[[], Database]) -> None:
    """An owner of the garage who became an operator of Autexor, too."""
    database = clone_database()
    change(database, "insert into private.operators (user_id) values (%s)", OLGA.claims["sub"])
    request = support.ask(database, operator=OLGA)
    with OLGA.acting(database) as connection, refused("own_support_request", 403):
        connection.execute("select public.grant_support(%s, %s)", (request, support.INSTRUCTION))
    second, _ = people.hire(database, people.sign_up(database, "oscar@garage-noord.test"), NOORD, "owner")
    support.grant(database, request, second)
    assert is_in(database, support.token(request, operator=OLGA))
    decide = "update public.support_requests set decided_by = operator_id, granted_at = now() where id = %s"
    again = support.ask(database, operator=OLGA)
    with database.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(decide.encode(), (again,))


@pytest.mark.parametrize("call", ["grant_support(%s, 'Ga gerust je gang')", "refuse_support(%s)"])
def test_only_an_owner_decides_and_never_support_itself(database: Database, call: str) -> None:
    supporting = support.granted(database, is_read_only=False)
    request = support.ask(database)
    for somebody in (RITA, MARC, supporting):
        with somebody.acting(database) as connection, refused("permission_missing", 403):
            connection.execute(f"select public.{call}".encode(), (request,))
    with ADA.acting(database) as connection, refused("membership_not_live", 403):
        connection.execute(f"select public.{call}".encode(), (request,))
    with OTTO.acting(database) as connection, refused("support_not_found", 404):
        connection.execute(f"select public.{call}".encode(), (request,))
    with OLGA.acting(database) as connection:
        connection.execute(f"select public.{call}".encode(), (request,))


def test_nobody_prolongs_a_grant(database: Database) -> None:
    actor = support.granted(database)
    request = actor.claims["support_grant"]
    for somebody, code, status in ((OLGA, "support_decided", 409), (actor, "permission_missing", 403)):
        with somebody.acting(database) as connection, refused(code, status):
            connection.execute("select public.grant_support(%s, %s, 8)", (request, support.INSTRUCTION))
    for somebody in (OLGA, ADA, actor):
        with somebody.acting(database) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("update public.support_requests set expires_at = now() + interval '1 year'")


@pytest.mark.parametrize(
    ("change_made", "code"),
    [
        ("%s, '', 2, true", "reason_missing"),
        ("%s, 'Omdat', 2, true", "reason_missing"),
        ("%s, 'Een goede reden', 0, true", "hours_invalid"),
        ("%s, 'Een goede reden', 9, true", "hours_invalid"),
        ("%s, null, 2, true", "reason_missing"),
    ],
)
def test_a_question_without_reason_or_bound_is_refused(
    database: Database, change_made: str, code: str
) -> None:
    with ADA.acting(database) as connection, refused(code):
        connection.execute(f"select public.request_support({change_made})".encode(), (NOORD,))
    with ADA.acting(database) as connection:
        connection.execute("select public.request_support(%s, 'Een goede reden', 8, true)", (NOORD,))


def test_members_ask_for_nothing(database: Database) -> None:
    for member in (OLGA, OTTO, RITA):
        with member.acting(database) as connection, refused("operator_required", 403):
            connection.execute("select public.request_support(%s, %s)", (NOORD, support.REASON))


@pytest.mark.parametrize("hours", [0, 9, 1000])
def test_a_grant_is_bounded_whoever_grants_it(database: Database, hours: int) -> None:
    request = support.ask(database)
    with OLGA.acting(database) as connection, refused("hours_invalid"):
        connection.execute("select public.grant_support(%s, %s, %s)", (request, support.INSTRUCTION, hours))
    with OLGA.acting(database) as connection, refused("instruction_missing"):
        connection.execute("select public.grant_support(%s, 'ok')", (request,))


def test_who_asked_to_read_never_gets_to_write(database: Database) -> None:
    reader = support.ask(database, is_read_only=True)
    support.grant(database, reader, is_read_only=False)
    assert look(database, "select is_read_only from public.support_requests where id = %s", reader)


def test_a_read_only_grant_changes_nothing_through_any_call(busy_database: Database) -> None:
    """Every volatile call of the garage's software, with what the garage has; looks are logged."""
    with busy_database.connect() as connection:
        request = str(one(connection, LIVE, NOORD))
        calls, ids = connection.execute(CALLS).fetchall(), _ids(connection)
        assert len(calls) * len(ids) > 500
        before = one(connection, STATES)
        become(connection, support.token(request).claims)
        assert _opened(connection) == [NOORD]
        _call_all(connection, calls, ids)
        assert _opened(connection) == [NOORD]  # no call took the token's power away from those after it
        connection.execute("reset role")
        assert one(connection, STATES) == before
        become(connection, OLGA.claims)
        assert _opened(connection) == [NOORD]
        _call_all(connection, calls, ids)
        connection.execute("reset role")
        assert one(connection, STATES) != before  # the same calls, by an owner, change a lot
        connection.rollback()


def _opened(connection: Connection) -> list[str]:
    """The garages that a token opens."""
    return [str(row["id"]) for row in connection.execute("select id from public.garages")]


def _ids(connection: Connection) -> list[str]:
    """Something of everything that Garage Noord has."""
    some = "select id from public.{} where garage_id = %s limit 3"
    return [
        str(row["id"])
        for table in HAVING_IDS
        for row in connection.execute(some.format(table).encode(), (NOORD,))
    ]


def _call_all(connection: Connection, calls: list[dict[str, Any]], ids: list[str]) -> None:
    """Call each with each id, whatever comes of it."""
    for call, id in product(calls, ids):
        values = [_value(kind, id) for kind in call["types"]]
        arguments = ", ".join(f"%s::{kind}" for kind in call["types"])
        with suppress(psycopg.Error), connection.transaction():
            connection.execute(f"select public.{call['name']}({arguments})".encode(), values)


def _value(kind: str, id: str) -> object:
    return {
        "uuid": id, "text": "Een lange genoeg reden", "date": "2026-01-02", "integer": 2, "boolean": True,
        "public.member_role": "mechanic", "jsonb": "{}", "uuid[]": [id],
    }.get(kind)  # fmt: skip
