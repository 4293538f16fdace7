"""Staff of Autexor: whose row lives, who is signed in, and nobody else, whatever their token says."""

import json

import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, ANON, CARLA, NOORD, OLGA, SERVICE_ROLE, Actor
from sql_tests.claims import BROKEN, NOT_CLAIMS
from sql_tests.people import call, hire, sign_up
from sql_tests.steps import change, denied, look, one, refused

pytestmark = pytest.mark.req("W1", "D15")


def is_operator(database: Database, actor: Actor) -> bool:
    """As a policy would ask it for somebody with this token."""
    with database.connect() as connection:
        claims = json.dumps(dict(actor.claims))
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        return bool(one(connection, "select private.is_operator()"))


def test_an_operator_is_one(database: Database) -> None:
    assert is_operator(database, ADA)
    with ADA.acting(database) as connection:
        assert str(one(connection, "select private.require_operator()")) == ADA.claims["sub"]


@pytest.mark.parametrize(
    "actor",
    [
        OLGA,
        ANON,
        SERVICE_ROLE,
        CARLA.actor,
        ADA.but("Ada's id as a customer", role="portal"),
        ADA.but("Ada in Olga's sign-in", session_id=OLGA.claims["session_id"]),
        OLGA.but("Olga in Ada's sign-in", session_id=ADA.claims["session_id"]),
        ADA.but("Ada without a sign-in", session_id=None),
        OLGA.but("Olga with metadata", user_metadata={"operator": True}, app_metadata={"operator": True}),
        OLGA.but("Olga at no garage", garage_id=None),
    ],
    ids=lambda actor: str(actor.name),
)
def test_nobody_else_is_one(database: Database, actor: Actor) -> None:
    assert not is_operator(database, actor)


def test_a_member_is_refused_in_words(database: Database) -> None:
    with OLGA.acting(database) as connection, refused("operator_required", 403):
        connection.execute("select private.require_operator()")


def test_a_revoked_operator_is_none_from_the_next_statement_on(fresh_database: Database) -> None:
    with ADA.acting(fresh_database) as connection:
        assert one(connection, "select private.is_operator()")
        change(fresh_database, "update private.operators set revoked_at = now()")
        assert not one(connection, "select private.is_operator()")


def test_an_operator_who_signed_out_is_none(fresh_database: Database) -> None:
    assert is_operator(fresh_database, ADA)
    change(fresh_database, "delete from auth.sessions where id = %s", ADA.claims["session_id"])
    assert not is_operator(fresh_database, ADA)


def test_an_operator_reaches_no_garage(database: Database) -> None:
    with ADA.but("Ada naming Noord", garage_id=NOORD).acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") == 0
        assert one(connection, "select private.garage_id()") is None
    with OLGA.acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") > 0


@pytest.mark.parametrize("actor", [ADA, OLGA, ANON, SERVICE_ROLE, CARLA.actor], ids=lambda a: str(a.name))
def test_nobody_reads_or_writes_the_list(database: Database, actor: Actor) -> None:
    with actor.acting(database) as connection, denied():
        connection.execute("select from private.operators")
    with actor.acting(database) as connection, denied():
        connection.execute("insert into private.operators (user_id) values (gen_random_uuid())")
    assert look(database, "select count(*) from private.operators") == 1


@pytest.mark.parametrize("claims", [*NOT_CLAIMS, *BROKEN], ids=lambda claims: claims[:60])
def test_the_question_never_raises(database: Database, claims: str) -> None:
    with database.connect() as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        assert one(connection, "select private.is_operator()") is False


def test_a_member_who_is_an_operator_too_is_both_by_two_rows(fresh_database: Database) -> None:
    somebody, _ = hire(fresh_database, sign_up(fresh_database, "both@autexor.test"), NOORD, "mechanic")
    assert not is_operator(fresh_database, somebody)
    change(fresh_database, "insert into private.operators (user_id) values (%s)", somebody.claims["sub"])
    assert is_operator(fresh_database, somebody)
    call(fresh_database, somebody, "leave_garage()")
    assert is_operator(fresh_database, somebody)
