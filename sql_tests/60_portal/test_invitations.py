"""A garage asks a customer to use the portal, and the customer activates the access, once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from devstack.testing import Database
from sql_tests import access
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID
from sql_tests.people import call
from sql_tests.steps import change, denied, edge, look, one, refused

pytestmark = pytest.mark.req("P1")
INVITED = "nele@example.test"


@pytest.fixture
def clean(fresh_database: Database) -> Database:
    """A database of its own in which nobody was invited yet."""
    return fresh_database


def test_an_invitation_becomes_an_account_with_password_device_and_pin(clean: Database) -> None:
    customer = access.newcomer(clean, INVITED)
    access.invite(clean, customer, RITA)
    session = access.activate(clean, access.mailed_token(clean))
    assert session["garage_id"] == NOORD and access.is_live(clean, session)
    found = "select count(*) from private.portal_pins p join public.portal_devices d on d.id = p.device_id"
    found += " join public.portal_accounts a on a.id = d.account_id"
    found += " join private.portal_credentials c on c.account_id = a.id"
    assert look(clean, f"{found} where a.login = %s and a.customer_id = %s", INVITED, customer) == 1


def test_the_token_is_in_the_mail_alone_and_gone_once_it_left(clean: Database) -> None:
    access.invite(clean, access.newcomer(clean, INVITED))
    waiting = look(clean, "select token from private.portal_mails")
    token = access.mailed_token(clean)
    assert token == waiting
    assert look(clean, "select count(*) from private.portal_mails") == 0
    with clean.connect() as connection:
        for table in ("public.portal_invitations", "public.communications", "audit.entries"):
            assert one(connection, f"select count(*) from {table}") > 0
            assert one(connection, f"select count(*) from {table} t where t::text like %s", f"%{token}%") == 0


def test_a_token_works_once_also_for_two_at_the_same_time(clean: Database) -> None:
    access.invite(clean, access.newcomer(clean, INVITED))
    token = access.mailed_token(clean)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: access.activate(clean, token, f"phone-{n}"), range(4)))
    assert sorted("session_id" in answer for answer in answers) == [False, False, False, True]
    assert access.activate(clean, token) == {"error": "link_invalid"}


def test_it_expires_after_a_fortnight_and_sent_again_the_old_token_is_dead(clean: Database) -> None:
    invitation = access.invite(clean, access.newcomer(clean, INVITED))
    old = access.mailed_token(clean)
    access.let_pass(clean, "public.portal_invitations", "14 days")
    assert access.activate(clean, old) == {"error": "link_invalid"}
    call(clean, OLGA, "resend_portal_invitation(%s)", invitation)
    new = access.mailed_token(clean)
    assert access.activate(clean, old) == {"error": "link_invalid"}
    assert "session_id" in access.activate(clean, new)
    with RITA.acting(clean) as connection, refused("invitation_closed", 409):
        connection.execute("select public.resend_portal_invitation(%s)", (invitation,))


def test_taken_back_it_opens_nothing_and_the_mail_does_not_leave(clean: Database) -> None:
    invitation = access.invite(clean, access.newcomer(clean, INVITED))
    call(clean, RITA, "revoke_portal_invitation(%s)", invitation)
    assert access.mails(clean) == []
    again = access.invite(clean, str(look(clean, "select customer_id from public.portal_invitations")))
    token = access.mailed_token(clean)
    call(clean, RITA, "revoke_portal_invitation(%s)", again)
    assert access.activate(clean, token) == {"error": "link_invalid"}


@pytest.mark.req("D1")
def test_another_garage_neither_invites_nor_ends_and_a_mechanic_does_not_either(clean: Database) -> None:
    customer = access.newcomer(clean, INVITED)
    with OTTO.acting(clean) as connection, refused("customer_not_found", 404):
        connection.execute("select public.invite_customer(%s)", (customer,))
    with MARC.acting(clean) as connection, refused("permission_missing", 403):
        connection.execute("select public.invite_customer(%s)", (customer,))
    invitation = access.invite(clean, customer)
    for name in ("resend_portal_invitation", "revoke_portal_invitation"):
        with OTTO.acting(clean) as connection, refused("invitation_not_found", 404):
            connection.execute(f"select public.{name}(%s)".encode(), (invitation,))
    with OTTO.acting(clean) as connection:
        assert one(connection, "select count(*) from public.portal_invitations") == 0
    with RITA.acting(clean) as connection:
        assert one(connection, "select count(*) from public.portal_invitations") == 1
        with denied(), connection.transaction():
            connection.execute("select token_sha256 from public.portal_invitations")


def test_who_uses_the_portal_or_is_invited_already_is_not_invited_again(clean: Database) -> None:
    customer = access.newcomer(clean, INVITED)
    access.invite(clean, customer)
    namesake = access.newcomer(clean, CARLA.login)
    nameless = access.newcomer(clean, "x@example.test")
    change(clean, "update public.customers set email = null where id = %s", nameless)
    cases = ((customer, "already_invited", 409), (KAREL.customer_id, "account_exists", 409))
    cases += ((namesake, "account_exists", 409), (nameless, "customer_without_email", 422))
    for who, code, status in cases:
        with OLGA.acting(clean) as connection, refused(code, status):
            connection.execute("select public.invite_customer(%s)", (who,))


def test_the_same_person_at_two_garages_has_two_accounts(clean: Database) -> None:
    sessions = []
    for garage, owner in ((NOORD, OLGA), (ZUID, OTTO)):
        access.invite(clean, access.newcomer(clean, INVITED, garage), owner)
        sessions.append(access.activate(clean, access.mailed_token(clean)))
    assert {session["garage_id"] for session in sessions} == {NOORD, ZUID}
    assert len({session["account_id"] for session in sessions}) == 2


@pytest.mark.req("D2")
def test_with_the_portal_switched_off_nothing_is_activated_and_nothing_lost(clean: Database) -> None:
    access.invite(clean, access.newcomer(clean, INVITED))
    token = access.mailed_token(clean)
    switch = "update public.garage_modules set is_enabled = %s where module = 'portal'"
    change(clean, switch, False)
    assert access.activate(clean, token) == {"error": "link_invalid"}
    change(clean, switch, True)
    assert "session_id" in access.activate(clean, token)


@pytest.mark.req("P4", "S4")
def test_an_address_that_guesses_tokens_is_stopped_and_another_is_not(clean: Database) -> None:
    access.invite(clean, access.newcomer(clean, INVITED))
    token = access.mailed_token(clean)

    def login_of(client_ip: str, token: str) -> object:
        found = edge(clean, "portal_activation", token_sha256=access.digest(token), client_ip=client_ip)
        return found.get("login")

    assert [login_of("192.0.2.66", f"guess {n}") for n in range(60)] == [None] * 60
    assert login_of("192.0.2.66", token) is None
    assert login_of("192.0.2.7", token) == INVITED
