"""The two mails of a request: what is in their jobs, who gets how many, and what becomes of them."""

import json

import pytest

from devstack.testing import Database
from sql_tests.cast import ANON, CARLA, OLGA
from sql_tests.steps import change, claim, denied, finish, look, refused
from sql_tests.visitors import REQUEST, ask, at, handle, rows, submit

pytestmark = pytest.mark.req("W1", "D8")

KINDS = "select kind, recipient, locale, status from website.mails order by kind"


def jobs(site: Database) -> list[dict[str, object]]:
    return [dict(claimed["job"]) for claimed in claim(site, "website")]


def kinds(site: Database) -> list[str]:
    return [row["kind"] for row in rows(site, KINDS)]


def test_autexor_is_told_and_the_sender_is_thanked(site: Database) -> None:
    submit(site, locale="fr")
    assert [tuple(row.values()) for row in rows(site, KINDS)] == [
        ("website_acknowledgement", "vera@example.test", "fr", "queued"),
        ("website_notice", "info@autexor.be", "nl", "queued"),
    ]
    for claimed in claim(site, "website"):
        assert finish(site, "website", claimed) == "sent"
    assert {row["status"] for row in rows(site, KINDS)} == {"sent"}
    attempts = rows(site, "select attempt, outcome, provider from website.mail_attempts")
    assert [tuple(row.values()) for row in attempts] == [(1, "done", "sendgrid")] * 2
    assert look(site, "select count(*) from pgmq.q_website") == 0


@pytest.mark.req("W4")
def test_nothing_a_visitor_typed_is_in_a_mail_but_the_address_it_goes_to(site: Database) -> None:
    submit(site, phone="0470123456", kind="demo")
    told = jobs(site)
    assert [job["template"] for job in told] == ["website_notice", "website_acknowledgement"]
    for job in told:
        sent = json.dumps({**job, "recipient": None})
        assert not any(text in sent for text in ("Vera", "vera", "0470123456", REQUEST["message"]))
        assert job["recipient"] in (
            {"address": "vera@example.test", "name": "vera@example.test"},
            {"address": "info@autexor.be", "name": "info@autexor.be"},
        )


@pytest.mark.req("W4")
def test_one_mailbox_is_thanked_once_a_day(site: Database) -> None:
    submit(site, email="vera@gmail.com")
    submit(site, at("198.51.100.8"), email="ve.ra+x@gmail.com", message="Nog iets")
    assert kinds(site) == ["website_acknowledgement", "website_notice", "website_notice"]
    submit(site, email="other@example.test")
    assert kinds(site).count("website_acknowledgement") == 2
    change(site, "update website.mails set created_at = created_at - interval '25 hours'")
    change(site, "delete from private.rate_limits")
    submit(site, email="vera@gmail.com", message="Een dag later")
    assert kinds(site).count("website_acknowledgement") == 3


def test_a_mail_is_tried_again_and_given_up_at_its_limit(site: Database) -> None:
    submit(site)
    change(site, "delete from website.mails where kind = 'website_notice'")
    for number in range(1, 9):
        (claimed,) = claim(site, "website", visibility_seconds=0)
        assert claimed["job"]["attempt"] == number
        assert finish(site, "website", claimed, "retry", "busy") == ("queued" if number < 8 else "failed")
    assert claim(site, "website") == []
    assert look(site, "select count(*) from website.mail_attempts") == 8


def test_a_mail_whose_worker_died_is_unknown_and_never_sent_again_by_itself(site: Database) -> None:
    submit(site)
    assert len(claim(site, "website", visibility_seconds=0)) == 2
    assert claim(site, "website") == []
    assert {row["status"] for row in rows(site, KINDS)} == {"unknown"}
    assert look(site, "select count(*) from website.mail_attempts where reason = 'worker_died'") == 2


def test_a_late_finish_is_refused(site: Database) -> None:
    submit(site)
    claimed = claim(site, "website", visibility_seconds=0)[0]
    change(site, "update website.mails set status = 'queued'")
    assert claim(site, "website")
    with refused("job_superseded", 409):
        finish(site, "website", claimed)


def test_an_operator_retries_what_failed_and_nobody_else_does(site: Database) -> None:
    submit(site)
    for claimed in claim(site, "website"):
        finish(site, "website", claimed, "give_up", "sendgrid_http_400")
    mail = look(site, "select id from website.mails where kind = 'website_notice'")
    with refused("operator_required", 403):
        ask(site, "retry_mail", who=OLGA, mail_id=mail)
    for actor in (ANON, CARLA.actor):
        with denied():
            ask(site, "retry_mail", who=actor, mail_id=mail)
    handle(site, "retry_mail", mail_id=mail)
    with refused("mail_not_retryable", 409):
        handle(site, "retry_mail", mail_id=mail)
    (job,) = jobs(site)
    assert (job["template"], job["attempt"]) == ("website_notice", 2)


def test_a_mail_of_an_erased_request_is_not_sent(site: Database) -> None:
    submit(site)
    assert look(site, "select count(*) from pgmq.q_website") == 2
    change(site, "delete from website.requests")
    assert claim(site, "website") == []
    assert look(site, "select count(*) from pgmq.q_website") == 0
