"""Claim and finish: the row says what happened, the message only says "look at this row"."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import Row, change, claim, denied, finish, issued_invoice, look, one, refused, work

TABLES = {
    "render": ("public.invoice_documents", "pending", "stored"),
    "send": ("public.communications", "queued", "sent"),
    "push": ("public.push_notifications", "queued", "sent"),
}
queues = pytest.mark.parametrize("queue", TABLES)


WIPE = """
delete from public.delivery_attempts;
delete from public.push_notifications;
delete from public.communications;
delete from public.invoice_documents;
delete from private.wakeups;
delete from pgmq.q_render;
delete from pgmq.q_send;
delete from pgmq.q_push;
update public.push_devices set retired_at = null;
update public.garage_modules set is_enabled = true;
"""


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with nothing to deliver."""
    change(database, WIPE)
    return database


@pytest.fixture
def waiting(database: Database) -> Callable[[str], None]:
    """Makes one job wait in a queue, those before it being done."""

    def make(queue: str) -> None:
        issued_invoice(database, RITA, CARLA)
        if queue != "render":
            (claimed,) = claim(database, "render")
            finish(database, "render", claimed)

    return make


def row_of(database: Database, queue: str) -> Row:
    with database.connect() as connection:
        rows = connection.execute(f"select * from {TABLES[queue][0]}".encode()).fetchall()
    assert len(rows) == 1
    return rows[0]


def show_again(database: Database, queue: str) -> None:
    """Let the visibility of every message run out."""
    change(database, f"update pgmq.q_{queue} set vt = now() - interval '1 second'")


def outcomes(database: Database) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute(
            "select outcome from public.delivery_attempts order by finished_at"
        ).fetchall()
    return [row["outcome"] for row in rows]


@pytest.mark.req("D7")
def test_an_issue_leads_to_a_document_an_email_and_a_push(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    assert (claim(database, "send"), claim(database, "push")) == ([], [])
    (render,) = claim(database, "render")
    job = render["job"]
    assert job["snapshot"] == invoice["snapshot"] and job["logo_png_base64"]
    assert job["storage_path"] == f"{NOORD}/{invoice['id']}/{job['subject_id']}.pdf"
    assert (job["kind"], job["attempt"], job["version"]) == ("render_invoice", 1, 1)
    assert finish(database, "render", render) == "stored"
    (send,) = claim(database, "send")
    assert send["job"]["recipient"] == {"address": "carla@example.test", "name": "Carla Verstraete"}
    assert send["job"]["attachment"]["path"] == job["storage_path"]
    assert send["job"]["context"]["gross_total"] == str(invoice["gross_total"])
    assert finish(database, "send", send) == "sent"
    (push,) = claim(database, "push")
    assert push["job"]["expo_token"] == "ExponentPushToken[CarlaNoordPhone0000001]"
    assert set(push["job"]["data"]) == {"notification_id", "kind"}
    assert finish(database, "push", push) == "sent"
    assert outcomes(database) == ["done"] * 3
    assert look(database, "select count(*) from private.wakeups") == 3


@queues
def test_a_claimed_job_is_given_to_nobody_else_until_its_visibility_runs_out(
    database: Database, waiting: Callable[[str], None], queue: str
) -> None:
    waiting(queue)
    assert len(claim(database, queue)) == 1
    assert claim(database, queue) == []


@queues
def test_a_job_to_retry_waits_and_raises_the_attempt(
    database: Database, waiting: Callable[[str], None], queue: str
) -> None:
    waiting(queue)
    (first,) = claim(database, queue)
    assert finish(database, queue, first, "retry", "provider is down", delay=60) == TABLES[queue][1]
    assert claim(database, queue) == []
    show_again(database, queue)
    (second,) = claim(database, queue)
    assert (first["job"]["attempt"], second["job"]["attempt"]) == (1, 2)
    assert finish(database, queue, second) == TABLES[queue][2]
    assert row_of(database, queue)["last_error"] is None
    assert outcomes(database)[-2:] == ["retry", "done"]


@queues
def test_after_the_limit_a_retry_becomes_failed_with_its_reason(
    database: Database, waiting: Callable[[str], None], queue: str
) -> None:
    waiting(queue)
    limit = row_of(database, queue)["attempt_limit"]
    for _ in range(limit):
        show_again(database, queue)
        (claimed,) = claim(database, queue)
        finish(database, queue, claimed, "retry", "provider is down")
    row = row_of(database, queue)
    assert (row["status"], row["attempt"], row["last_error"]) == ("failed", limit, "provider is down")
    assert claim(database, queue, visibility_seconds=0) == []


@queues
def test_a_failed_delivery_is_retried_by_a_person_and_keeps_counting(
    database: Database, waiting: Callable[[str], None], queue: str
) -> None:
    waiting(queue)
    (claimed,) = claim(database, queue)
    assert finish(database, queue, claimed, "give_up", "refused by the provider") == "failed"
    subject = claimed["job"]["subject_id"]
    retry = "select public.retry_delivery(%s)"
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(retry, (subject,))
    with OTTO.acting(database) as connection, refused("delivery_not_retryable", 409):
        connection.execute(retry, (subject,))
    with RITA.acting(database) as connection:
        connection.execute(retry, (subject,))
        with refused("delivery_not_retryable", 409):
            connection.execute(retry, (subject,))
    with RITA.acting(database) as connection:
        connection.execute(retry, (subject,))
        connection.commit()
    (again,) = claim(database, queue)
    assert (again["job"]["subject_id"], again["job"]["attempt"]) == (subject, 2)
    assert finish(database, queue, again) == TABLES[queue][2]


@pytest.mark.parametrize("queue", ["send", "push"])
def test_a_worker_that_died_during_the_call_leaves_unknown_which_is_never_sent_again(
    database: Database, waiting: Callable[[str], None], queue: str
) -> None:
    waiting(queue)
    (dead,) = claim(database, queue)
    for _ in range(2):
        show_again(database, queue)
        assert claim(database, queue) == []
    row = row_of(database, queue)
    assert (row["status"], row["last_error"]) == ("unknown", "worker_died")
    assert outcomes(database)[-1] == "unknown"
    with refused("job_superseded", 409):
        finish(database, queue, dead)
    with RITA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (dead["job"]["subject_id"],))
        connection.commit()
    (again,) = claim(database, queue)
    assert again["job"]["attempt"] > dead["job"]["attempt"]


def test_a_worker_that_died_while_rendering_is_followed_by_another(
    database: Database, waiting: Callable[[str], None]
) -> None:
    waiting("render")
    (dead,) = claim(database, "render")
    show_again(database, "render")
    (alive,) = claim(database, "render")
    assert alive["job"]["attempt"] == 2
    with refused("job_superseded", 409):
        finish(database, "render", dead)
    assert row_of(database, "render")["status"] == "rendering"
    assert finish(database, "render", alive) == "stored"
    with refused("job_superseded", 409):
        finish(database, "render", alive)
    assert outcomes(database) == ["retry", "done"], "the attempt of the dead worker is recorded, too"


def test_workers_that_keep_dying_while_rendering_leave_failed(
    database: Database, waiting: Callable[[str], None]
) -> None:
    waiting("render")
    for _ in range(row_of(database, "render")["attempt_limit"]):
        show_again(database, "render")
        assert len(claim(database, "render")) == 1
    show_again(database, "render")
    assert claim(database, "render") == []
    row = row_of(database, "render")
    assert (row["status"], row["last_error"]) == ("failed", "worker_died")
    assert outcomes(database) == ["retry"] * row["attempt_limit"] + ["give_up"]


@pytest.mark.parametrize("late", ["done", "retry", "give_up", "unknown"])
def test_a_late_finish_after_a_retry_by_a_person_is_refused(
    database: Database, waiting: Callable[[str], None], late: str
) -> None:
    waiting("send")
    (first,) = claim(database, "send")
    finish(database, "send", first, "give_up", "refused")
    with RITA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (first["job"]["subject_id"],))
        connection.commit()
    (second,) = claim(database, "send")
    with refused("job_superseded", 409):
        finish(database, "send", first, late)
    forged = {"msg_id": second["msg_id"], "job": first["job"]}
    with refused("job_superseded", 409):
        finish(database, "send", forged, late)
    assert finish(database, "send", second) == "sent"


def test_a_dead_push_token_is_retired_and_not_used_again(
    database: Database, waiting: Callable[[str], None]
) -> None:
    waiting("push")
    (claimed,) = claim(database, "push")
    assert finish(database, "push", claimed, "give_up", "DeviceNotRegistered") == "failed"
    assert look(database, "select retired_at is not null from public.push_devices")
    issued_invoice(database, RITA, CARLA)
    work(database)
    assert look(database, "select count(*) from public.push_notifications") == 1


@pytest.mark.req("D2")
def test_without_the_module_for_pdfs_there_is_no_document_but_the_email_goes_out(database: Database) -> None:
    switch = "update public.garage_modules set is_enabled = false where garage_id = %s and module = %s"
    change(database, switch, NOORD, "pdf_storage")
    issued_invoice(database, RITA, CARLA)
    assert claim(database, "render") == []
    (send,) = claim(database, "send")
    assert send["job"]["attachment"] is None
    change(database, switch, NOORD, "email")
    change(database, switch, NOORD, "push")
    issued_invoice(database, RITA, CARLA)
    assert claim(database, "send") == []
    assert look(database, "select count(*) from public.push_notifications") == 1


@pytest.mark.req("D2")
@pytest.mark.parametrize(
    ("queue", "module"), [("render", "pdf_storage"), ("send", "email"), ("push", "push")]
)
def test_work_of_a_module_switched_off_meanwhile_waits_until_it_is_on_again(
    database: Database, waiting: Callable[[str], None], queue: str, module: str
) -> None:
    waiting(queue)
    switch = "update public.garage_modules set is_enabled = %s where garage_id = %s and module = %s"
    change(database, switch, False, NOORD, module)
    assert claim(database, queue) == []
    row = row_of(database, queue)
    assert (row["status"], row["last_error"], row["attempt"]) == (TABLES[queue][1], "module_closed", 0)
    change(database, switch, True, NOORD, module)
    assert row_of(database, queue)["last_error"] is None
    (job,) = claim(database, queue)
    assert finish(database, queue, job) == TABLES[queue][2]


@pytest.mark.req("D2", "D14")
def test_a_document_that_may_not_be_kept_any_more_still_leaves_the_email_and_only_one(
    database: Database, waiting: Callable[[str], None]
) -> None:
    waiting("render")
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'pdf_storage'"
    )
    change(database, switch, False, NOORD)
    assert claim(database, "render") == []
    (mail,) = claim(database, "send")
    assert mail["job"]["attachment"] is None
    finish(database, "send", mail)
    change(database, switch, True, NOORD)
    (again,) = claim(database, "render")
    assert finish(database, "render", again) == "stored"
    assert claim(database, "send") == []


@pytest.mark.req("D8")
def test_a_retry_goes_to_the_address_the_customer_has_now(
    database: Database, waiting: Callable[[str], None]
) -> None:
    waiting("send")
    (first,) = claim(database, "send")
    finish(database, "send", first, "give_up", "sendgrid_http_400")
    change(database, "update public.customers set email = 'carla@new.test' where id = %s", CARLA.customer_id)
    with RITA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (first["job"]["subject_id"],))
        connection.commit()
    (again,) = claim(database, "send")
    change(database, "update public.customers set email = %s where id = %s", CARLA.login, CARLA.customer_id)
    assert first["job"]["recipient"]["address"] == CARLA.login
    assert again["job"]["recipient"]["address"] == "carla@new.test"


def test_what_a_message_points_at_may_be_gone_or_odd(database: Database) -> None:
    change(database, "select pgmq.send('send', '{\"id\": \"99999999-0000-4000-8000-000000000009\"}')")
    change(database, "select pgmq.send('send', '{}')")
    assert claim(database, "send", visibility_seconds=0) == []
    assert look(database, "select count(*) from pgmq.q_send") == 0


def test_claims_of_two_workers_never_overlap(database: Database) -> None:
    with RITA.acting(database) as connection:
        connection.execute(
            "insert into public.invoices (garage_id, customer_id, note)"
            " select %s, %s, 'bulk' from generate_series(1, 40)",
            (NOORD, KAREL.customer_id),
        )
        connection.commit()
    change(
        database,
        "insert into public.invoice_documents (garage_id, invoice_id)"
        " select garage_id, id from public.invoices where note = 'bulk'",
    )
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: claim(database, "render", max_jobs=7), range(8)))
    claimed = [row["job"]["subject_id"] for batch in batches for row in batch]
    assert len(claimed) == len(set(claimed)) == 40


def test_claims_and_late_finishes_never_deadlock(database: Database) -> None:
    for _ in range(3):
        issued_invoice(database, RITA, KAREL)

    def churn(seed: int) -> list[str]:
        chance, errors = random.Random(seed), []
        for _ in range(15):
            for claimed in claim(database, "render", visibility_seconds=0):
                try:
                    finish(database, "render", claimed, chance.choice(("retry", "done", "retry")), "again")
                except psycopg.Error as error:
                    errors.append(f"{error.sqlstate} {error.diag.message_detail}")
        return errors

    with ThreadPoolExecutor(4) as pool:
        errors = [error for found in pool.map(churn, range(4)) for error in found]
    assert set(errors) <= {"PT409 job_superseded"}
    with database.connect() as connection:
        rows = connection.execute("select distinct status from public.invoice_documents").fetchall()
    assert {row["status"] for row in rows} <= {"stored", "failed"}


@pytest.mark.parametrize("login", ["authenticator", "edge"])
def test_only_a_worker_claims(busy_database: Database, login: str) -> None:
    with busy_database.connect(login) as connection, denied():
        connection.execute("select * from private.claim_jobs('send', 1, 1)")
    with busy_database.connect("worker") as connection, denied():
        connection.execute("select * from pgmq.read('send', 1, 1)")
    with busy_database.connect("worker") as connection:
        assert connection.execute("select * from private.claim_jobs('send', 1, 1)").fetchall() == []
        connection.rollback()


def test_housekeeping_removes_what_is_old_and_nothing_else(database: Database) -> None:
    issued_invoice(database, RITA, CARLA)
    change(
        database,
        "insert into private.wakeups (queue, created_at) values ('send', now() - interval '2 hours')",
    )
    with database.connect("worker") as connection:
        assert one(connection, "select private.housekeep()")["wakeups"] == 1
        connection.commit()
    assert look(database, "select count(*) from private.wakeups") == 1
