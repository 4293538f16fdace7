"""Invitations: the token is in the mail alone, works once, for the invited address, within a week."""

import re
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
from sql_tests.steps import Row, change, claim, denied, finish, look, one, refused

pytestmark = pytest.mark.req("D3")

NINA = "nina@example.test"
NOBODY = "99999999-0000-4000-8000-000000000009"
EVERYTHING = """
select string_agg(query_to_xml(concat('select * from ', c.oid::regclass), true, false, '')::text, '')
  from pg_class c
 where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('public', 'private', 'audit', 'pgmq')
"""
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


def mail_row(database: Database) -> Row:
    with database.connect() as connection:
        row = connection.execute(
            "select * from public.communications where invitation_id is not null order by created_at desc"
        ).fetchone()
    assert row is not None
    return row


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


@pytest.mark.req("D8")
def test_the_mail_goes_through_the_queue_in_the_garages_language(database: Database) -> None:
    call(database, OTTO, "invite_member(%s, 'manager')", " Nina@Example.TEST ")
    (mail,) = claim(database, "send")
    job = mail["job"]
    assert (job["template"], job["locale"], job["attachment"]) == ("member_invited", "fr", None)
    assert job["recipient"] == {"address": NINA, "name": NINA}
    assert (job["sender"]["name"], job["context"]["inviter_name"]) == ("Garage Zuid", "Otto Lambert")
    assert re.fullmatch("[0-9a-f]{64}", job["context"]["token"])
    assert finish(database, "send", mail) == "sent"


@pytest.mark.req("D8", "D11", "S2")
@pytest.mark.parametrize("outcome", ["done", "give_up", "unknown"])
def test_the_token_is_nowhere_once_the_mail_is_settled(database: Database, outcome: str) -> None:
    call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)
    (mail,) = claim(database, "send")
    token = mail["job"]["context"]["token"]
    assert look(database, "select token from private.invitation_tokens") == token
    finish(database, "send", mail, outcome, None if outcome == "done" else "sendgrid_http_500")
    row = mail_row(database)
    assert (row["body_text"], row["body_html"]) == (None, None)
    everything = look(database, EVERYTHING)
    assert NINA in everything
    assert token not in everything


@pytest.mark.req("S2")
def test_no_client_reads_the_hash_and_members_read_the_rest(database: Database) -> None:
    invite(database, NINA)
    for column in ("token_sha256", "*"):
        for actor in (OLGA, RITA, CARLA.actor, ANON):
            with actor.acting(database) as connection, denied():
                connection.execute(f"select {column} from public.invitations".encode())
    for actor in (OLGA, CARLA.actor):
        with actor.acting(database) as connection, denied():
            connection.execute("select * from private.invitation_tokens")
    with RITA.acting(database) as connection:
        assert one(connection, "select email from public.invitations") == NINA
    with OTTO.acting(database) as connection:
        assert one(connection, "select count(*) from public.invitations") == 0


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


@pytest.mark.req("D8")
@pytest.mark.parametrize("statement", ["resend_invitation(%s)", "revoke_invitation(%s)"])
def test_a_mail_that_has_not_left_does_not_carry_a_dead_token(database: Database, statement: str) -> None:
    invitation = call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)
    old = mail_row(database)["id"]
    call(database, OLGA, statement, invitation)
    assert len(claim(database, "send")) == (1 if "resend" in statement else 0)
    query = "select status || ' ' || last_error from public.communications where id = %s"
    assert look(database, query, old) == "failed invitation_ended"


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


@pytest.mark.req("D8")
def test_a_mail_that_failed_is_not_retried_but_sent_again(database: Database) -> None:
    invitation = call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)
    (mail,) = claim(database, "send")
    finish(database, "send", mail, "give_up", "sendgrid_http_400")
    with OLGA.acting(database) as connection, refused("delivery_not_retryable", 409):
        connection.execute("select public.retry_delivery(%s)", (mail["job"]["subject_id"],))
    call(database, OLGA, "resend_invitation(%s)", invitation)
    assert mailed_token(database) != mail["job"]["context"]["token"]


@pytest.mark.req("D8")
def test_a_mail_tried_again_later_still_has_its_token(database: Database, nina: Actor) -> None:
    call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)
    (mail,) = claim(database, "send")
    assert finish(database, "send", mail, "retry", "sendgrid_http_429") == "queued"
    assert call(database, nina, ACCEPT, mailed_token(database))


@pytest.mark.req("D2", "D8")
def test_people_are_invited_also_where_customers_get_no_mails(database: Database) -> None:
    change(database, "update public.garage_modules set is_enabled = false where garage_id = %s", NOORD)
    assert invite(database, NINA)[1]


@pytest.mark.req("D11")
def test_the_history_knows_who_invited_and_no_address(database: Database) -> None:
    since = look(database, "select max(id) from audit.entries")
    invitation, token = invite(database, NINA)
    call(database, OLGA, "revoke_invitation(%s)", invitation)
    with database.connect() as connection:
        rows = connection.execute(
            "select op, actor, changes::text from audit.entries where id > %s"
            " and table_name = 'public.invitations' order by id",
            (since,),
        ).fetchall()
    assert [(row["op"], row["actor"]) for row in rows] == [
        (op, f"staff:{OLGA.claims['sub']}") for op in ("I", "U")
    ]
    assert not any(word in row["changes"] for row in rows for word in (NINA, token))
