"""Owners are told by mail: that Autexor asks for support, and that a breach concerns their garage."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from devstack.testing import Database
from sql_tests import outcomes, people, support
from sql_tests.cast import ADA, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import Row, change, claim, finish, look, one

pytestmark = [pytest.mark.req("D8"), pytest.mark.req("D15", "G8")]

MAILS = """
select garage_id::text, template, channel, locale, recipient, status, last_error, provider_account_id
  from public.communications where membership_id is not null order by recipient
"""
OLGAS, OTTOS, NINAS = "olga@garage-noord.test", "otto@garage-zuid.test", "nina@example.test"
SILENCE = """
update public.garage_modules set is_enabled = false where garage_id = %(garage)s;
insert into public.channel_settings (garage_id, channel, daily_limit, quiet_from, quiet_until)
values (%(garage)s, 'email', 0,
    ((now() at time zone 'Europe/Brussels') - interval '1 hour')::time,
    ((now() at time zone 'Europe/Brussels') + interval '1 hour')::time)
on conflict (garage_id, channel) do update set daily_limit = 0, quiet_from = excluded.quiet_from,
    quiet_until = excluded.quiet_until;
insert into public.suppressions (garage_id, channel, address, reason)
values (%(garage)s, 'email', 'olga@garage-noord.test', 'stop');
"""
SILENT = """
select not private.can_send(g.id, 'email') and private.is_suppressed(g.id, 'email', 'olga@garage-noord.test')
       and private.quiet_until(private.settings_of(g.id, 'email'), now()) is not null
  from public.garages g where g.id = %s
"""
CLEAN = """
delete from public.suppressions;
delete from public.channel_settings;
delete from public.provider_accounts;
update website.settings set notice_address = default;
"""
Notify = Callable[[Database], Any]


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with everybody as in the seeds, whom nobody has told anything."""
    support.forget(database)
    change(database, CLEAN)
    change(database, people.RESTORE)
    return database


def tell_noord(database: Database) -> str:
    """Garage Noord is told of a new breach; the breach."""
    breach = support.record_breach(database)
    support.tell(database, breach, NOORD)
    return breach


BOTH = pytest.mark.parametrize(
    ("notify", "template"),
    [(support.ask, "support_requested"), (tell_noord, "breach_notified")],
    ids=["support", "breach"],
)


def mails(database: Database) -> list[Row]:
    with database.connect() as connection:
        return connection.execute(MAILS).fetchall()


def second_owner(database: Database, garage: str = NOORD) -> tuple[Actor, str]:
    return people.hire(database, people.sign_up(database, NINAS), garage, "owner")


@BOTH
def test_each_active_owner_of_that_garage_is_told_once_and_nobody_else(
    database: Database, notify: Notify, template: str
) -> None:
    second_owner(database)
    for role in ("manager", "receptionist", "mechanic", "accountant"):
        people.hire(database, people.sign_up(database, f"{role}@example.test"), NOORD, role)
    _, membership = people.hire(database, people.sign_up(database, "gone@example.test"), NOORD, "owner")
    change(database, "update public.memberships set deactivated_at = now() where id = %s", membership)
    notify(database)
    found = [(mail["garage_id"], mail["template"], mail["recipient"]) for mail in mails(database)]
    assert found == [(NOORD, template, NINAS), (NOORD, template, OLGAS)]


@BOTH
def test_an_owner_of_another_garage_reads_nothing_of_it_and_members_see_that_it_was_sent(
    database: Database, notify: Notify, template: str
) -> None:
    notify(database)
    seen = "select count(*) from public.communications where template = %s"
    for actor, count in ((OLGA, 1), (RITA, 1), (OTTO, 0), (ADA, 0)):
        with actor.acting(database) as connection:
            assert one(connection, seen, template) == count


def test_the_mail_about_support_says_how_long_and_to_do_what_and_no_reason(database: Database) -> None:
    support.ask(database, ZUID, 3, is_read_only=False)
    (mail,) = claim(database, "send")
    job = mail["job"]
    assert (job["template"], job["locale"], job["attachment"]) == ("support_requested", "fr", None)
    assert job["recipient"] == {"address": OTTOS, "name": "Otto Lambert"}
    assert job["context"] == {"garage_name": "Garage Zuid", "hours": 3, "is_read_only": False}
    assert support.REASON not in str(job) and "ada@" not in str(job)


def test_the_mail_about_a_breach_says_when_it_was_noticed_and_no_fact_of_it(database: Database) -> None:
    breach = tell_noord(database)
    support.tell(database, breach, NOORD)
    first, second = (mail["job"]["context"] for mail in claim(database, "send"))
    at = {"garage_name": "Garage Noord", "noticed_at": "2026-11-02T10:00"}
    assert (first, second) == (at | {"is_first": True}, at | {"is_first": False})


@BOTH
def test_it_comes_from_autexor_whatever_account_the_garage_has(
    database: Database, notify: Notify, template: str
) -> None:
    change(database, "update website.settings set notice_address = 'help@autexor.test'")
    outcomes.account(database, NOORD, "email")
    assert look(database, "select (private.account_in_use(%s, 'email')).id", NOORD) is not None
    notify(database)
    (mail,) = claim(database, "send")
    assert (mail["job"]["account"], mail["job"]["wording"]) == (None, None)
    assert mail["job"]["opt_out_token"] is None
    assert mail["job"]["sender"] == {
        "name": "Autexor", "address": "no-reply@autexor.be", "reply_to": "help@autexor.test",
    }  # fmt: skip


@BOTH
def test_neither_opt_outs_limits_quiet_hours_nor_a_module_that_is_off_hold_it_up(
    database: Database, notify: Notify, template: str
) -> None:
    with database.connect() as connection:
        for statement in SILENCE.strip().split(";\n"):
            connection.execute(statement.encode(), {"garage": NOORD})
    assert look(database, SILENT, NOORD)
    notify(database)
    (mail,) = claim(database, "send")
    assert mail["job"]["template"] == template
    assert finish(database, "send", mail, "give_up", "sendgrid_http_400") == "failed"
    # The garage may try again, although it writes to this address no more.
    change(database, "update public.garage_modules set is_enabled = true")
    with OLGA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (mail["job"]["subject_id"],))
        connection.commit()
    assert [again["job"]["attempt"] for again in claim(database, "send")] == [2]


@BOTH
def test_whoever_was_told_is_not_told_again_of_the_same(
    database: Database, notify: Notify, template: str
) -> None:
    notify(database)
    change(
        database,
        "select private.tell_owners(garage_id, template, support_request_id, breach_notice_id)"
        " from public.communications where membership_id is not null",
    )
    assert len(mails(database)) == 1
    second_owner(database)
    change(
        database,
        "select private.tell_owners(garage_id, template, support_request_id, breach_notice_id)"
        " from public.communications where membership_id is not null",
    )
    assert [mail["recipient"] for mail in mails(database)] == [NINAS, OLGAS]


def refuse(database: Database, request: str) -> None:
    people.call(database, OLGA, "refuse_support(%s)", request)


def lapse(database: Database, request: str) -> None:
    change(database, "alter table public.support_requests disable trigger _900_freeze")
    change(database, "update public.support_requests set requested_at = now() - interval '8 days'")
    change(database, "alter table public.support_requests enable always trigger _900_freeze")


@pytest.mark.parametrize(
    "settle",
    [support.grant, refuse, lapse, lambda database, request: support.end(database, request, ADA)],
    ids=["granted", "refused", "lapsed", "withdrawn"],
)
def test_a_request_that_is_settled_is_not_mailed_any_more(
    database: Database, settle: Callable[[Database, str], object]
) -> None:
    settle(database, support.ask(database))
    support.ask(database, ZUID)
    assert [mail["job"]["recipient"]["address"] for mail in claim(database, "send")] == [OTTOS]
    first = mails(database)[0]
    assert (first["recipient"], first["status"], first["last_error"]) == (
        OLGAS, "failed", "no_longer_wanted",
    )  # fmt: skip


@BOTH
@pytest.mark.parametrize("change_made", ["deactivated_at = now()", "role = 'mechanic'"])
def test_who_is_no_owner_any_more_gets_no_mail(
    database: Database, notify: Notify, template: str, change_made: str
) -> None:
    _, membership = second_owner(database)
    notify(database)
    change(database, f"update public.memberships set {change_made} where id = %s", membership)
    assert [mail["job"]["recipient"]["address"] for mail in claim(database, "send")] == [OLGAS]
    assert [mail["last_error"] for mail in mails(database)] == ["no_longer_wanted", None]


@BOTH
@pytest.mark.req("G5")
def test_the_address_goes_with_the_mail_when_its_time_has_come(
    database: Database, notify: Notify, template: str
) -> None:
    notify(database)
    (mail,) = claim(database, "send")
    finish(database, "send", mail)
    kept = "select count(*)::int from public.communications where membership_id is not null"
    assert look(database, kept) == 1
    for years, left in ((2, 1), (4, 0)):
        change(
            database,
            "select private.apply_retention(now() + make_interval(years => %s), false, array[%s::uuid])",
            years,
            NOORD,
        )
        assert look(database, kept) == left


@BOTH
def test_a_mail_to_an_owner_is_about_one_thing_and_of_their_garage(
    database: Database, notify: Notify, template: str
) -> None:
    notify(database)
    breaking = {
        "support_request_id = null, breach_notice_id = null": "communications_owner_is_told_of_one_thing",
        "membership_id = null": "communications_",
        f"garage_id = '{ZUID}'": "communications_garage_id_",
    }
    for change_made, constraint in breaking.items():
        with pytest.raises(psycopg.errors.IntegrityError, match=constraint), database.connect() as connection:
            connection.execute(
                f"update public.communications set {change_made} where template = %s".encode(), (template,)
            )
