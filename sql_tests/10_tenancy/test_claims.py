"""Whatever a token or a header holds, the functions behind the policies answer null and never raise."""

import json
from collections.abc import Iterator
from itertools import product

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import ANON, CARLA, NOORD, OLGA, OTTO, SERVICE_ROLE, ZUID, Actor
from sql_tests.steps import one

pytestmark = pytest.mark.req("D1", "S2")

VALUES: list[object] = [
    None,
    "",
    " ",
    "null",
    "x" * 100_000,
    "11111111-0000-4000-8000-00000000000",
    "11111111-0000-4000-8000-000000000009",
    "' or true --",
    "{}",
    "\u0000",
    "\ud83d\ude97",
    0,
    -1,
    1e308,
    True,
    [],
    [NOORD],
    {},
    {"id": NOORD},
]
NOT_CLAIMS = [
    "",
    " ",
    "null",
    "[]",
    "[1]",
    "1",
    '"text"',
    "true",
    "{",
    "}",
    "{]",
    "nul",
    "\\u0000",
    "x" * 1000,
    "[" * 5000,
]
ANSWERS = {
    "authenticated": ("private.garage_id()", "private.garage_id_for('invoices.read')"),
    "portal": (
        "private.garage_id()",
        "private.portal_garage_id()",
        "private.portal_customer_id()",
        "private.granted_object_name()",
    ),
}
GOOD = {"authenticated": dict(OLGA.claims), "portal": dict(CARLA.actor.claims)}
BROKEN = [
    json.dumps({**good, key: value})
    for good in GOOD.values()
    for key, value in product(["role", "sub", "garage_id", "session_id"], VALUES)
    if not (good["role"] == "authenticated" and key == "session_id")
] + NOT_CLAIMS


@pytest.fixture(scope="module")
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def answer(connection: Connection, function: str, claims: str, headers: str = "{}") -> object:
    connection.execute("savepoint before")
    try:
        for setting, value in (("request.jwt.claims", claims), ("request.headers", headers)):
            connection.execute("select set_config(%s, %s, true)", (setting, value))
        return one(connection, f"select {function}")
    except psycopg.Error as error:
        return f"raises {error.diag.message_primary}"
    finally:
        connection.execute("rollback to savepoint before")


@pytest.mark.parametrize(
    ("role", "function"), [(role, function) for role, names in ANSWERS.items() for function in names]
)
def test_malformed_claims_give_null_and_never_an_error(
    connection: Connection, role: str, function: str
) -> None:
    assert len(BROKEN) > 60
    answers = {claims[:80]: answer(connection, function, claims) for claims in BROKEN}
    assert {claims: found for claims, found in answers.items() if found is not None} == {}


@pytest.mark.req("D3")
def test_malformed_claims_of_somebody_without_a_garage_are_no_error_either(connection: Connection) -> None:
    whole = json.dumps(GOOD["authenticated"])
    assert str(answer(connection, "(private.signed_in_user()).id", whole)) == OLGA.claims["sub"]
    answers = {answer(connection, "(private.signed_in_user()).id", claims) for claims in BROKEN}
    assert {str(found) for found in answers} == {"None", OLGA.claims["sub"]}


def test_good_claims_give_the_garage(connection: Connection) -> None:
    for role, functions in ANSWERS.items():
        for function in functions[:2]:
            assert str(answer(connection, function, json.dumps(GOOD[role]))) == NOORD
    assert (
        str(answer(connection, "private.portal_customer_id()", json.dumps(GOOD["portal"])))
        == CARLA.customer_id
    )


@pytest.mark.parametrize("headers", [*NOT_CLAIMS, '{"x-document-grant": null}', '{"x-document-grant": [1]}'])
def test_malformed_headers_give_no_document_and_never_an_error(connection: Connection, headers: str) -> None:
    claims = json.dumps(GOOD["portal"])
    assert answer(connection, "private.granted_object_name()", claims, headers) is None


def test_a_document_needs_the_nonce_and_the_session_it_was_granted_to(connection: Connection) -> None:
    headers = json.dumps({"x-document-grant": f"nonce-{CARLA.number}"})
    found = answer(connection, "private.granted_object_name()", json.dumps(GOOD["portal"]), headers)
    assert str(found).startswith(f"{NOORD}/")
    other = json.dumps(dict(OTTO.claims))
    assert answer(connection, "private.granted_object_name()", other, headers) is None


@pytest.mark.parametrize("actor", [ANON, SERVICE_ROLE], ids=lambda actor: actor.name)
def test_tokens_of_no_person_have_no_garage(connection: Connection, actor: Actor) -> None:
    claims = json.dumps({**GOOD["authenticated"], "role": actor.role})
    assert answer(connection, "private.garage_id()", claims) is None


def test_a_garage_that_the_member_does_not_work_for_is_null(connection: Connection) -> None:
    assert answer(connection, "private.garage_id()", json.dumps({**OLGA.claims, "garage_id": ZUID})) is None
