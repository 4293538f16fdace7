"""The mail of an invitation: it alone has the token, and nothing of it stays behind."""

import re

import pytest

from devstack.testing import Database
from sql_tests.cast import ANON, CARLA, NOORD, OLGA, OTTO, RITA, Actor
from sql_tests.people import (
    RESTORE,
    call,
    invite,
    mailed_token,
    sign_up,
)
from sql_tests.steps import Row, change, claim, denied, finish, look, one, refused

pytestmark = pytest.mark.req("D3")

NINA = "nina@example.test"
EVERYTHING = """
select string_agg(query_to_xml(concat('select * from ', c.oid::regclass), true, false, '')::text, '')
  from pg_class c
 where c.relkind in ('r', 'p')
   and c.relnamespace::regnamespace::text in ('public', 'private', 'audit', 'pgmq')
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


@pytest.mark.req("D8")
@pytest.mark.parametrize("statement", ["resend_invitation(%s)", "revoke_invitation(%s)"])
def test_a_mail_that_has_not_left_does_not_carry_a_dead_token(database: Database, statement: str) -> None:
    invitation = call(database, OLGA, "invite_member(%s, 'mechanic')", NINA)
    old = mail_row(database)["id"]
    call(database, OLGA, statement, invitation)
    assert len(claim(database, "send")) == (1 if "resend" in statement else 0)
    query = "select status || ' ' || last_error from public.communications where id = %s"
    assert look(database, query, old) == "failed no_longer_wanted"


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
