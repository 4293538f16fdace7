"""Invitations: the token is in the mail alone, works once, for the invited address, within a week."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import ANON, CARLA, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.people import (
    MARC_MEMBERSHIP,
    OLGA_MEMBERSHIP,
    RESTORE,
    call,
    invite,
    mailed_token,
    override,
    sign_up,
)
from sql_tests.steps import change, denied, look, one, refused

pytestmark = pytest.mark.req("D3")

NINA = "nina@example.test"
NOBODY = "99999999-0000-4000-8000-000000000009"
ACCEPT = "accept_invitation(%s, 'Nina Claes')"


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with everybody as in the seeds, and nobody invited."""
    change(database, RESTORE)
    return database


@pytest.fixture
def nina(database: Database) -> Actor:
    """Somebody with an account, who works for nobody."""
    return sign_up(database, NINA)


def test_who_accepts_is_a_member_at_once(database: Database, nina: Actor) -> None:
    _, token = invite(database, NINA, "receptionist")
    assert str(call(database, nina, ACCEPT, token)) == NOORD
    with nina.but("Nina at Noord", garage_id=NOORD).acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") == 2
        query = "select full_name || ' ' || email || ' ' || role from public.memberships where email = %s"
        assert one(connection, query, NINA) == f"Nina Claes {NINA} receptionist"


def test_a_member_of_one_garage_joins_another_and_it_becomes_the_active_one(database: Database) -> None:
    _, token = invite(database, "rita@garage-noord.test", "accountant", OTTO)
    assert str(call(database, RITA, "accept_invitation(%s, 'Rita Claes')", token)) == ZUID
    event = "jsonb_build_object('user_id', %s::text, 'claims', '{}'::jsonb)"
    hook = f"select private.custom_access_token_hook({event}) #>> '{{claims,garage_id}}'"
    assert look(database, hook, RITA.claims["sub"]) == ZUID


def set_up_late(database: Database, invitation: str, token: str) -> str:
    change(database, "update public.invitations set expires_at = now() where id = %s", invitation)
    return token


def set_up_revoked(database: Database, invitation: str, token: str) -> str:
    call(database, OLGA, "revoke_invitation(%s)", invitation)
    return token


def set_up_replaced(database: Database, invitation: str, token: str) -> str:
    call(database, OLGA, "resend_invitation(%s)", invitation)
    return token


def set_up_used(database: Database, invitation: str, token: str) -> str:
    change(database, "update public.invitations set accepted_at = now() where id = %s", invitation)
    return token


def set_up_unknown(database: Database, invitation: str, token: str) -> str:
    return token.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))


def set_up_of_somebody_put_out(database: Database, invitation: str, token: str) -> str:
    change(database, "update public.memberships set deactivated_at = now() where id = %s", OLGA_MEMBERSHIP)
    return token


def set_up_of_somebody_who_lost_the_right(database: Database, invitation: str, token: str) -> str:
    override(database, OLGA_MEMBERSHIP, "vehicles.write", False)
    return token


SET_UPS: list[Callable[[Database, str, str], str]] = [
    set_up_late,
    set_up_revoked,
    set_up_replaced,
    set_up_used,
    set_up_unknown,
    set_up_of_somebody_put_out,
    set_up_of_somebody_who_lost_the_right,
]


@pytest.mark.parametrize("set_up", SET_UPS, ids=lambda set_up: set_up.__name__.removeprefix("set_up_"))
def test_an_invitation_that_does_not_hold_is_refused_like_any_other(
    database: Database, nina: Actor, set_up: Callable[[Database, str, str], str]
) -> None:
    invitation, token = invite(database, NINA)
    with nina.acting(database) as connection:
        assert str(one(connection, f"select public.{ACCEPT}", token)) == NOORD
    bad = set_up(database, invitation, token)
    with nina.acting(database) as connection, refused("invitation_invalid", 404):
        connection.execute(f"select public.{ACCEPT}".encode(), (bad,))


@pytest.mark.req("S2")
def test_only_the_invited_and_verified_address_opens_it(database: Database, nina: Actor) -> None:
    _, token = invite(database, NINA)
    words = set()
    for actor in (
        MARC,
        sign_up(database, "nina@example.test.evil"),
        nina.but("signed out", session_id=NOBODY),
        nina.but("on Marc's sign-in", session_id=MARC.claims["session_id"]),
        nina.but("claiming an address", sub=MARC.claims["sub"], email=NINA),
        nina.but("malformed", sub="x"),
    ):
        with actor.acting(database) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"select public.{ACCEPT}".encode(), (token,))
        found = caught.value.diag
        words.add((found.sqlstate, found.message_detail, found.message_primary, found.message_hint))
    assert {(state, code) for state, code, _, _ in words} == {("PT404", "invitation_invalid")}
    assert len(words) == 1
    for actor in (ANON, CARLA.actor):
        with actor.acting(database) as connection, denied():
            connection.execute(f"select public.{ACCEPT}".encode(), (token,))
    assert call(database, nina, ACCEPT, token)


def test_an_address_that_is_not_verified_opens_nothing(database: Database) -> None:
    _, token = invite(database, NINA)
    nina = sign_up(database, NINA, is_verified=False)
    with nina.acting(database) as connection, refused("invitation_invalid", 404):
        connection.execute(f"select public.{ACCEPT}".encode(), (token,))
    change(database, "update auth.users set email_confirmed_at = now() where email = %s", NINA)
    assert call(database, nina, ACCEPT, token)


def test_a_token_works_once_also_for_two_at_the_same_time(database: Database, nina: Actor) -> None:
    _, token = invite(database, NINA)

    def accept(_: int) -> str | None:
        try:
            call(database, nina, ACCEPT, token)
        except psycopg.Error as error:
            return error.diag.message_detail
        return None

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(accept, range(4)))
    assert sorted(map(str, answers)) == ["None", *["invitation_invalid"] * 3]
    assert look(database, "select count(*) from public.memberships where email = %s", NINA) == 1


def test_a_bad_name_is_refused_and_leaves_the_invitation_open(database: Database, nina: Actor) -> None:
    _, token = invite(database, NINA)
    for name, code in (("", "full_name_invalid"), ("x" * 121, "full_name_invalid"), (None, "value_missing")):
        with nina.acting(database) as connection, refused(code):
            connection.execute("select public.accept_invitation(%s, %s)", (token, name))
    assert call(database, nina, ACCEPT, token)


def test_sent_again_the_new_token_works_and_the_time_starts_anew(database: Database, nina: Actor) -> None:
    invitation, old = invite(database, NINA)
    change(database, "update public.invitations set expires_at = now() - interval '1 day'")
    call(database, OLGA, "resend_invitation(%s)", invitation)
    token = mailed_token(database)
    assert token != old
    with nina.acting(database) as connection, refused("invitation_invalid", 404):
        connection.execute(f"select public.{ACCEPT}".encode(), (old,))
    assert call(database, nina, ACCEPT, token)


def test_an_invitation_is_sent_five_times_at_most(database: Database) -> None:
    invitation, _ = invite(database, NINA)
    for _ in range(4):
        call(database, OLGA, "resend_invitation(%s)", invitation)
    with OLGA.acting(database) as connection, refused("invitation_sent_too_often"):
        connection.execute("select public.resend_invitation(%s)", (invitation,))


@pytest.mark.parametrize("rpc", ["resend_invitation", "revoke_invitation"])
def test_a_closed_a_foreign_and_an_unknown_invitation_are_refused(database: Database, rpc: str) -> None:
    invitation, _ = invite(database, NINA)
    theirs, _ = invite(database, NINA, inviter=OTTO)
    statement = f"select public.{rpc}(%s)".encode()
    for other in (theirs, NOBODY):
        with OLGA.acting(database) as connection, refused("invitation_not_found", 404):
            connection.execute(statement, (other,))
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(statement, (invitation,))
    with OLGA.acting(database) as connection:
        connection.execute(statement, (invitation,))
    call(database, OLGA, "revoke_invitation(%s)", invitation)
    with OLGA.acting(database) as connection, refused("invitation_closed", 409):
        connection.execute(statement, (invitation,))


def test_who_is_invited_or_a_member_already_is_not_invited_again(database: Database) -> None:
    invitation, _ = invite(database, NINA)
    invite_again = "select public.invite_member(%s, 'mechanic')"
    for address, code in ((NINA.upper(), "already_invited"), (" Rita@Garage-Noord.test", "already_member")):
        with OLGA.acting(database) as connection, refused(code, 409):
            connection.execute(invite_again.encode(), (address,))
    call(database, OTTO, "invite_member(%s, 'mechanic')", NINA)
    call(database, OLGA, "revoke_invitation(%s)", invitation)
    assert call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)


def test_a_member_under_another_address_accepts_nothing(database: Database) -> None:
    _, token = invite(database, "rita@home.test")
    change(database, "update auth.users set email = 'rita@home.test' where id = %s", RITA.claims["sub"])
    with RITA.acting(database) as connection, refused("already_member", 409):
        connection.execute(f"select public.{ACCEPT}".encode(), (token,))
    change(
        database, "update auth.users set email = 'rita@garage-noord.test' where id = %s", RITA.claims["sub"]
    )
    nina = sign_up(database, NINA)
    _, token = invite(database, NINA)
    assert call(database, nina, ACCEPT, token)


@pytest.mark.parametrize(
    "address", ["", "nina", "nina@example", "ni na@example.test", "n@x.be\r\nBcc: a@b.be"]
)
def test_what_is_no_address_is_refused(database: Database, address: str) -> None:
    with OLGA.acting(database) as connection, refused("email_invalid"):
        connection.execute("select public.invite_member(%s, 'mechanic')", (address,))
    assert call(database, OLGA, "invite_member('o''neill+x@xn--caf-dma.example', 'mechanic')")


def test_nobody_invites_to_more_than_they_hold(database: Database) -> None:
    override(database, MARC_MEMBERSHIP, "members.write", True)
    for role, code in (("receptionist", "permission_not_held"), ("owner", "owner_required")):
        with MARC.acting(database) as connection, refused(code, 403):
            connection.execute("select public.invite_member(%s, %s)", (NINA, role))
    invitation, _ = invite(database, "bea@example.test", "receptionist")
    with MARC.acting(database) as connection, refused("permission_not_held", 403):
        connection.execute("select public.resend_invitation(%s)", (invitation,))
    assert call(database, MARC, "invite_member(%s, 'mechanic')", NINA)
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute("select public.invite_member('bob@example.test', 'mechanic')")
