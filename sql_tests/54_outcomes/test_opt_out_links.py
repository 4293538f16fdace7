"""The link by which mails are stopped: of one message, for who has its address, and nobody's to make up."""

from uuid import uuid4

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, RITA, ZUID, Actor
from sql_tests.outcomes import under_way
from sql_tests.steps import change, claim, denied, edge, finish, issued_invoice, look, restrict

pytestmark = pytest.mark.req("D10")

TOKEN = "select private.opt_out_token(%s)"
STOPPED = "select array_agg(distinct customer_id::text) from public.customer_opt_outs where channel = 'email'"
WANTS = "select private.wants(%s, %s, 'email')"
NOTICE = "select private.notify_of_change(a, 'pin_changed') from public.portal_accounts a where a.id = %s"
NOBODYS = f"{uuid4().hex}{'0' * 32}"


@pytest.fixture
def database(fresh_database: Database) -> Database:
    return fresh_database


@pytest.fixture
def mail(database: Database) -> str:
    return under_way(database, CARLA.customer_id)


@pytest.fixture
def token(database: Database, mail: str) -> str:
    return str(look(database, TOKEN, mail))


def test_the_link_says_whose_mails_it_stops_and_stops_them(database: Database, token: str) -> None:
    page = edge(database, "read_opt_out", token=token)
    assert page == {"garage_name": "Garage Noord", "locale": "nl"}
    assert look(database, STOPPED) is None, "whoever only looks, a scanner of links say, stops nothing"
    for _ in range(2):
        assert edge(database, "take_opt_out", token=token) == {**page, "is_known": True}
    assert look(database, STOPPED) == [CARLA.customer_id]
    assert not look(database, WANTS, NOORD, CARLA.customer_id)
    assert look(database, WANTS, NOORD, KAREL.customer_id)
    assert look(database, WANTS, ZUID, CARLA_AT_ZUID.customer_id), "another garage is another matter"


def invoice_is_mailed(database: Database) -> None:
    issued_invoice(database, RITA, CARLA)
    for claimed in claim(database, "render"):
        finish(database, "render", claimed)


def test_what_waited_goes_no_more_but_for_access(database: Database, token: str) -> None:
    invoice_is_mailed(database)
    change(database, NOTICE, CARLA.account_id)
    edge(database, "take_opt_out", token=token)
    assert [claimed["job"]["template"] for claimed in claim(database, "send")] == ["portal_notice"]
    query = "select last_error from public.communications where template = 'invoice_issued'"
    assert look(database, query) == "opted_out"


def test_everybody_with_that_address_is_meant_and_nobody_who_had_it(database: Database, token: str) -> None:
    change(
        database, "update public.customers set email = 'carla@example.test' where id = %s", KAREL.customer_id
    )
    change(
        database, "update public.customers set email = 'new@example.test' where id = %s", CARLA.customer_id
    )
    assert edge(database, "take_opt_out", token=token) is not None
    assert look(database, STOPPED) == [KAREL.customer_id]


def test_an_address_that_nobody_has_any_more_stops_nothing_and_says_so(
    database: Database, token: str
) -> None:
    change(
        database, "update public.customers set email = 'new@example.test' where id = %s", CARLA.customer_id
    )
    assert edge(database, "take_opt_out", token=token)["is_known"] is False
    assert look(database, STOPPED) is None


def test_who_is_restricted_can_stop_mails_too(database: Database, token: str) -> None:
    restrict(database, CARLA)
    assert edge(database, "take_opt_out", token=token) is not None
    assert look(database, STOPPED) == [CARLA.customer_id]


def test_a_token_is_of_one_mail_and_made_by_the_database_alone(
    database: Database, mail: str, token: str
) -> None:
    other = look(database, TOKEN, under_way(database, KAREL.customer_id))
    half = mail.replace("-", "")
    assert token.startswith(half) and len(token) == 64
    forged = [other[:32] + token[32:], half + "0" * 32, token.upper(), token[:-1], token + "0", "", NOBODYS]
    for made_up in [*forged, "' or true --", "\N{FULLWIDTH DIGIT ZERO}" * 64]:
        assert edge(database, "read_opt_out", token=made_up) is None
        assert edge(database, "take_opt_out", token=made_up) is None
    assert look(database, STOPPED) is None
    assert edge(database, "take_opt_out", token=other) is not None
    assert look(database, STOPPED) == [KAREL.customer_id]


@pytest.mark.parametrize("actor", [RITA, CARLA.actor], ids=lambda actor: actor.name)
def test_no_client_learns_a_token(database: Database, mail: str, actor: Actor) -> None:
    for function in ("opt_out_token(%s)", "read_opt_out(%s)", "take_opt_out(%s)"):
        with denied(), actor.acting(database) as connection:
            connection.execute(f"select private.{function}".encode(), (mail,))
    with denied(), database.connect("edge") as connection:
        connection.execute("select private.opt_out_token(%s)", (mail,))
    assert edge(database, "read_opt_out", token=look(database, TOKEN, mail)) is not None


def test_a_mail_to_a_customer_carries_its_token_and_one_about_access_does_not(database: Database) -> None:
    invoice_is_mailed(database)
    change(database, NOTICE, CARLA.account_id)
    jobs = {claimed["job"]["template"]: claimed["job"] for claimed in claim(database, "send")}
    assert jobs["portal_notice"]["opt_out_token"] is None
    ordinary = jobs["invoice_issued"]
    assert ordinary["opt_out_token"] == look(database, TOKEN, ordinary["subject_id"])
    assert edge(database, "read_opt_out", token=ordinary["opt_out_token"])["garage_name"] == "Garage Noord"
    of_access = look(database, TOKEN, jobs["portal_notice"]["subject_id"])
    assert edge(database, "read_opt_out", token=of_access) is None
