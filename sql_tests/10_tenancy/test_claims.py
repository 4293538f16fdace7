"""Whatever a token or a header holds, the functions behind the policies answer null and never raise."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.config import SUPERUSER
from devstack.testing import Connection, Database
from sql_tests import claims as malformed
from sql_tests.cast import ANON, CARLA, NOORD, OLGA, OTTO, SERVICE_ROLE, ZUID, Actor
from sql_tests.claims import BROKEN, GOOD, NOT_HEADERS, Bearer, Token
from sql_tests.matrix import attempts
from sql_tests.steps import one

pytestmark = pytest.mark.req("D1", "S2")

ANSWERS = {
    "authenticated": ("private.garage_id()", "private.garage_id_for('invoices.read')"),
    "portal": (
        "private.garage_id()",
        "private.portal_garage_id()",
        "private.portal_customer_id()",
        "private.granted_object_name()",
    ),
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(malformed.VALUES),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=6,
)
KEYS = ("role", "sub", "garage_id", "session_id", "aud", "exp", "iss", "user_metadata")
CLAIMS = st.builds(
    lambda good, changes, gone: json.dumps({k: v for k, v in {**good, **changes}.items() if k not in gone}),
    st.sampled_from([*GOOD.values(), {}]),
    st.dictionaries(st.sampled_from(KEYS), ANYTHING),
    st.sets(st.sampled_from(KEYS)),
) | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
HEADERS = st.dictionaries(st.sampled_from(["x-document-grant", "x-forwarded-for", ""]), ANYTHING).map(
    json.dumps
)


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
    assert len(BROKEN) > 140
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


@pytest.mark.parametrize("headers", NOT_HEADERS)
def test_malformed_headers_give_no_document_and_never_an_error(connection: Connection, headers: str) -> None:
    claims = json.dumps(GOOD["portal"])
    assert answer(connection, "private.granted_object_name()", claims, headers) is None


@pytest.fixture(scope="module")
def bearing(busy_database: Database) -> Iterator[tuple[Connection, list[Bearer]]]:
    with busy_database.connect(SUPERUSER) as connection:
        connection.execute(attempts.SETUP)
        yield connection, malformed.bearers(connection)
        connection.rollback()


def test_everything_that_reads_a_token_bears_malformed_ones(
    bearing: tuple[Connection, list[Bearer]],
) -> None:
    """Read from the catalogue: what policies ask never raises, what people call refuses in words."""
    found = {bearer.called for bearer in bearing[1]}
    assert {"private.staff_garage_id", "private.portal_session", "private.pre_request"} <= found
    assert len(found) > 15
    assert list(malformed.raised(*bearing, malformed.malformed())) == []


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(claims=CLAIMS, headers=HEADERS)
def test_everything_that_reads_a_token_bears_invented_ones(
    bearing: tuple[Connection, list[Bearer]], claims: str, headers: str
) -> None:
    assert list(malformed.raised(*bearing, [Token(claims, headers)])) == []


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
