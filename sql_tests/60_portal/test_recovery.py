"""What a mail lets a customer do: set a forgotten password, bind a further device."""

import pytest

from devstack.testing import Database
from sql_tests import access
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL
from sql_tests.steps import change, look, reserve, sign_in

pytestmark = pytest.mark.req("P1", "P4")


def test_a_forgotten_password_is_set_once_and_every_session_ends(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    elsewhere, _ = sign_in(fresh_database, CARLA_AT_ZUID)
    assert access.forgot(fresh_database, " Carla@Example.test ") == {}
    token = access.mailed_token(fresh_database)
    assert access.reset(fresh_database, token) == {}
    assert not access.is_live(fresh_database, session) and access.is_live(fresh_database, elsewhere)
    query = "select password_hash from private.portal_credentials where account_id = %s"
    assert look(fresh_database, query, CARLA.account_id) == access.HASH + "bmV3"
    assert access.reset(fresh_database, token) == {"error": "link_invalid"}
    (notice,) = access.mails(fresh_database)
    assert (notice["template"], notice["context"]["event"]) == ("portal_notice", "password_changed")


def test_an_unknown_login_is_answered_alike_and_gets_no_mail(fresh_database: Database) -> None:
    assert access.forgot(fresh_database, "nobody@example.test") == access.forgot(fresh_database, CARLA.login)
    assert [mail["recipient"]["address"] for mail in access.mails(fresh_database)] == [CARLA.login]


def test_a_newer_link_replaces_the_one_before_and_it_holds_half_an_hour(fresh_database: Database) -> None:
    tokens = []
    for _ in range(2):
        access.forgot(fresh_database, CARLA.login)
        tokens.append(access.mailed_token(fresh_database))
    assert access.reset(fresh_database, tokens[0]) == {"error": "link_invalid"}
    access.let_pass(fresh_database, "private.portal_challenges", "30 minutes")
    assert access.reset(fresh_database, tokens[1]) == {"error": "link_invalid"}


@pytest.mark.req("S4")
def test_a_login_is_mailed_three_times_an_hour_at_most(fresh_database: Database) -> None:
    access.forgot(fresh_database, KAREL.login)
    for n in range(5):
        assert access.forgot(fresh_database, CARLA.login, client_ip=f"192.0.2.{n}") == {}
    sent = look(
        fresh_database, "select count(*) from public.communications where template = 'portal_password_reset'"
    )
    assert sent == 4


@pytest.mark.req("P6")
def test_a_further_phone_is_bound_with_password_and_mailed_code(fresh_database: Database) -> None:
    assert not access.opens(fresh_database, CARLA, device_id="second", fingerprint="fp-new")
    assert access.ask_device(fresh_database, "second") == {}
    code = access.mailed_token(fresh_database)
    assert access.bind_device(fresh_database, "third", code) == {}
    assert access.bind_device(fresh_database, "second", code, fingerprint="fp-other") == {}
    assert access.bind_device(fresh_database, "second", code, is_ok=False) == {}
    change(fresh_database, "delete from private.rate_limits")
    session = access.bind_device(fresh_database, "second", code)
    assert access.is_live(fresh_database, session)
    assert access.opens(fresh_database, CARLA, device_id="second", fingerprint="fp-new")
    assert access.opens(fresh_database, CARLA)
    assert access.bind_device(fresh_database, "second", code) == {}


@pytest.mark.req("P6")
def test_no_code_is_mailed_for_a_wrong_password_and_no_one_learns_it(fresh_database: Database) -> None:
    wrong = access.ask_device(fresh_database, "second", is_ok=False)
    assert access.mails(fresh_database) == []
    assert access.ask_device(fresh_database, "second") == wrong
    (mail,) = access.mails(fresh_database)
    assert mail["template"] == "portal_device_code"


@pytest.mark.req("P3", "P6")
def test_a_pin_opens_nothing_on_another_phone(fresh_database: Database) -> None:
    access.ask_device(fresh_database, "second")
    access.bind_device(fresh_database, "second", access.mailed_token(fresh_database))
    mine = reserve(fresh_database, CARLA)["pin_hash"]
    other = reserve(fresh_database, CARLA, device_id="second", fingerprint="fp-new")["pin_hash"]
    stranger = reserve(fresh_database, CARLA, device_id="stolen")["pin_hash"]
    assert mine and other and mine != other and stranger is None
