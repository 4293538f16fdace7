"""Changes that a customer confirms with password and PIN: of these two, of the address, and the end of it."""

import pytest

from devstack.testing import Database
from sql_tests import access
from sql_tests.cast import CARLA, KAREL, OTTO, RITA
from sql_tests.people import call
from sql_tests.steps import change, edge, look, refused, sign_in

pytestmark = pytest.mark.req("P1", "P3")
NEW = access.HASH + "bmV3"


def notices(database: Database) -> list[tuple[str, str]]:
    return [
        (mail["recipient"]["address"], mail["context"]["event"])
        for mail in access.mails(database)
        if mail["template"] == "portal_notice"
    ]


@pytest.mark.parametrize("kind", ["password_changed", "pin_changed"])
def test_a_secret_is_changed_by_who_knows_both_and_the_other_sessions_end(
    fresh_database: Database, kind: str
) -> None:
    other, _ = sign_in(fresh_database, CARLA)
    session, _ = sign_in(fresh_database, CARLA)
    column, table = {
        "password_changed": ("password_hash", "private.portal_credentials"),
        "pin_changed": ("pin_hash", "private.portal_pins"),
    }[kind]
    count = f"select count(*) from {table} where {column} = %s"
    wrong = access.confirm(fresh_database, session, kind, NEW, is_ok=False)
    assert wrong == {"error": "confirmation_refused"} and look(fresh_database, count, NEW) == 0
    assert access.confirm(fresh_database, session, kind, NEW) == {}
    assert look(fresh_database, count, NEW) == 1
    assert access.is_live(fresh_database, session) and not access.is_live(fresh_database, other)
    assert notices(fresh_database) == [(CARLA.login, kind)]


def test_a_change_needs_the_session_and_the_device_it_began_on(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    foreign, _ = sign_in(fresh_database, KAREL)
    cloned = access.confirm(fresh_database, session, "pin_changed", NEW, device_id="stolen-phone")
    assert cloned == {"error": "confirmation_refused"}
    mixed = {**session, "session_id": foreign["session_id"]}
    assert access.confirm(fresh_database, mixed, "pin_changed", NEW) == {"error": "session_ended"}
    assert access.confirm(fresh_database, session, "pin_changed", NEW) == {}


@pytest.mark.req("P4")
def test_guessing_in_a_stolen_session_is_counted_like_a_sign_in(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    for _ in range(5):
        access.confirm(fresh_database, session, "pin_changed", NEW, is_ok=False)
    locked = access.confirm(fresh_database, session, "pin_changed", NEW)
    assert locked == {"error": "confirmation_refused"}
    change(fresh_database, "delete from private.rate_limits")
    assert access.confirm(fresh_database, session, "pin_changed", NEW) == {}


def test_a_new_address_is_confirmed_from_there_and_the_old_one_is_told(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    access.confirm(fresh_database, session, "email_change_asked", " Carla.New@Example.test ")
    mails = {mail["recipient"]["address"]: mail for mail in access.mails(fresh_database)}
    assert set(mails) == {CARLA.login, "carla.new@example.test"}
    assert mails[CARLA.login]["context"]["token"] is None
    login = "select login from public.portal_accounts where id = %s"
    assert look(fresh_database, login, CARLA.account_id) == CARLA.login
    token = access.digest(mails["carla.new@example.test"]["context"]["token"])
    assert edge(fresh_database, "portal_confirm_email", token_sha256=token, **access.ADDRESS) == {}
    assert look(fresh_database, login, CARLA.account_id) == "carla.new@example.test"
    assert notices(fresh_database) == [(CARLA.login, "email_changed")]
    again = edge(fresh_database, "portal_confirm_email", token_sha256=token, **access.ADDRESS)
    assert again == {"error": "link_invalid"}


def test_a_taken_address_is_answered_like_a_free_one_and_gets_no_mail(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    assert access.confirm(fresh_database, session, "email_change_asked", KAREL.login) == {}
    assert [mail["recipient"]["address"] for mail in access.mails(fresh_database)] == [CARLA.login]


def test_a_closed_account_opens_nothing_and_an_invitation_gives_it_back(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    access.confirm(fresh_database, session, "account_closed", None)
    assert not access.is_live(fresh_database, session) and not access.opens(fresh_database, CARLA)
    secrets = "select count(*) from private.portal_credentials where account_id = %s"
    assert look(fresh_database, secrets, CARLA.account_id) == 0
    assert notices(fresh_database) == [(CARLA.login, "account_closed")]
    access.invite(fresh_database, CARLA.customer_id)
    back = access.activate(fresh_database, access.mailed_token(fresh_database), "carla-new-phone")
    assert back["account_id"] == CARLA.account_id and access.is_live(fresh_database, back)


def test_the_garage_closes_an_access_and_no_other_garage_does(fresh_database: Database) -> None:
    session, _ = sign_in(fresh_database, CARLA)
    with OTTO.acting(fresh_database) as connection, refused("account_not_found", 404):
        connection.execute("select public.close_portal_account(%s)", (CARLA.account_id,))
    assert access.is_live(fresh_database, session)
    call(fresh_database, RITA, "close_portal_account(%s)", CARLA.account_id)
    assert not access.is_live(fresh_database, session)
    event = "select count(*) from audit.access_entries where event = 'account_closed' and subject_id = %s"
    assert look(fresh_database, event, CARLA.account_id) == 1
