"""The queue adapter as the role `worker`, against the real functions."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from devstack.testing import Database
from sql_tests import support
from workers.adapters.memory import MemoryFiles, MemoryPdf, MemoryProviders, MemoryPusher
from workers.adapters.pdf import ChildProcessPdf
from workers.adapters.postgres import PostgresQueue
from workers.core.errors import JobSuperseded, QueueUnavailable, RecordRefused
from workers.core.jobs import PushJob, RenderJob, SendJob, parse_job
from workers.core.outcomes import Done, GiveUp, RetryLater, Unknown, bare
from workers.core.values import Sites
from workers.handlers import handle
from workers.lane import subject_of
from workers.ports import Claimed, Heartbeat, Ports, Subject

SITES = Sites("https://portal.test", "https://app.test", "https://edge.test")
GARAGE = "11111111-0000-4000-8000-000000000001"
RITA = "22222222-0000-4000-8000-000000000002"
RITAS_SESSION = "2b222222-0000-4000-8000-000000000002"
CARLA = "33333333-0000-4000-8000-000000000001"
CARLAS_CAR = "44444444-0000-4000-8000-000000000001"
CARLAS_PHONE = "66666666-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def queue(database: Database) -> Iterator[PostgresQueue]:
    queue = PostgresQueue(database.conninfo("worker"))
    queue.open()
    yield queue
    queue.close()


def test_a_transaction_pooler_may_stand_in_between(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that belongs to a session: no startup options, and no prepared statement after many calls."""
    seen: set[tuple[str, int]] = set()
    close = psycopg.Connection.close

    def watched(connection: psycopg.Connection[Any]) -> None:
        row = connection.execute("select count(*) as prepared from pg_prepared_statements").fetchone()
        assert row is not None
        seen.add((connection.info.options, row["prepared"]))
        close(connection)

    monkeypatch.setattr(psycopg.Connection, "close", watched)
    queue = PostgresQueue(database.conninfo("worker"))
    queue.open()
    for _ in range(8):
        queue.housekeep()
    queue.close()
    assert seen == {("", 0)}


@pytest.fixture
def issue(database: Database) -> Callable[[], str]:
    """Rita drafts and issues an invoice for Carla's car; its id."""

    def make() -> str:
        with database.as_user(RITA, garage_id=GARAGE, session_id=RITAS_SESSION) as rita:
            drafted = rita.execute(
                "insert into public.invoices (garage_id, customer_id, vehicle_id, odometer_km)"
                " values (%s, %s, %s, 84512) returning id::text",
                (GARAGE, CARLA, CARLAS_CAR),
            ).fetchone()
            assert drafted is not None
            invoice = str(drafted["id"])
            for position, (words, price, rate) in enumerate(
                [("Onderhoud", "95.1250", 21), ("Hulp", "10", 6)]
            ):
                rita.execute(
                    "insert into public.invoice_lines"
                    " (garage_id, invoice_id, position, description, quantity, unit_price, vat_rate)"
                    " values (%s, %s, %s, %s, 1, %s, %s)",
                    (GARAGE, invoice, position + 1, words, price, rate),
                )
            rita.execute("select public.issue_invoice(%s)", (invoice,))
            rita.commit()
        return invoice

    return make


@pytest.fixture
def claim(queue: PostgresQueue) -> Callable[..., tuple[Claimed, Subject]]:
    def take(name: Any, seconds: int = 60) -> tuple[Claimed, Subject]:
        claimed = queue.claim(name, seconds)
        assert claimed is not None
        subject = subject_of(claimed.payload)
        assert subject is not None
        return claimed, subject

    return take


Claim = Callable[..., tuple[Claimed, Subject]]
RENDERED = Done({"byte_size": 5, "sha256": "0" * 64, "page_count": 1, "template_version": "invoice/1"})


def fetch(database: Database, query: str, *values: Any) -> dict[str, Any]:
    with database.connect() as connection:
        row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


@pytest.mark.req("D7", "D8", "D14", "P14")
def test_an_issued_invoice_becomes_a_document_then_a_mail_and_a_push(
    database: Database,
    queue: PostgresQueue,
    issue: Callable[[], str],
    claim: Claim,
    pdf: ChildProcessPdf,
) -> None:
    with database.connect() as connection:
        connection.execute(
            "insert into public.push_devices (garage_id, portal_device_id, expo_token)"
            " values (%s, %s, 'ExponentPushToken[CarlaNoordPhone0000001]') on conflict do nothing",
            (GARAGE, CARLAS_PHONE),
        )
    invoice = issue()
    files, providers, pusher = MemoryFiles(), MemoryProviders(), MemoryPusher()
    ports = Ports(files, pdf, providers, pusher, SITES)
    statuses = []
    for name, kind in (("render", RenderJob), ("send", SendJob), ("push", PushJob)):
        claimed, subject = claim(name)
        job = parse_job(claimed.payload)
        assert isinstance(job, kind)
        statuses.append(queue.finish(name, claimed.msg_id, subject, handle(job, ports)))
        assert queue.claim(name, 60) is None
    assert statuses == ["stored", "sent", "sent"]
    (mail,) = providers.mail.sent
    assert mail.file is not None
    assert mail.file.content == next(iter(files.stored.values()))
    row = fetch(
        database,
        "select c.subject, c.provider_message_id, d.page_count, i.invoice_number"
        " from public.communications c join public.invoice_documents d on d.id = c.document_id"
        " join public.invoices i on i.id = c.invoice_id"
        " where c.invoice_id = %s",
        invoice,
    )
    assert row["invoice_number"] in row["subject"]
    assert (row["provider_message_id"], row["page_count"]) == ("mail-1", 1)


def test_a_retry_comes_back_after_its_delay_with_the_next_attempt(
    queue: PostgresQueue, issue: Callable[[], str], claim: Claim
) -> None:
    issue()
    claimed, subject = claim("render")
    assert queue.finish("render", claimed.msg_id, subject, RetryLater("renderer_timed_out", 0)) == "pending"
    again, second = claim("render")
    assert (again.msg_id, second.attempt) == (claimed.msg_id, subject.attempt + 1)
    assert queue.finish("render", again.msg_id, second, RENDERED) == "stored"
    for name in ("send", "push"):
        while held := queue.claim(name, 60):  # type: ignore[arg-type]
            follower = subject_of(held.payload)
            assert follower is not None
            queue.finish(name, held.msg_id, follower, GiveUp("not wanted here"))  # type: ignore[arg-type]


def test_a_late_finish_is_refused(queue: PostgresQueue, issue: Callable[[], str], claim: Claim) -> None:
    issue()
    late, first = claim("render", 0)
    current, second = claim("render")
    with pytest.raises(JobSuperseded):
        queue.finish("render", late.msg_id, first, RENDERED)
    assert queue.finish("render", current.msg_id, second, GiveUp("renderer_died")) == "failed"


@pytest.mark.req("D8", "D9")
def test_an_unknown_mail_keeps_what_was_said(
    database: Database, queue: PostgresQueue, issue: Callable[[], str], claim: Claim
) -> None:
    issue()
    claimed, subject = claim("render")
    queue.finish("render", claimed.msg_id, subject, RENDERED)
    held, mail = claim("send")
    outcome = Unknown("sendgrid_TimeoutError", {"subject": "Factuur", "provider": "sendgrid"})
    assert queue.finish("send", held.msg_id, mail, outcome) == "unknown"
    row = fetch(database, "select subject, last_error from public.communications where id = %s", mail.id)
    assert row == {"subject": "Factuur", "last_error": "sendgrid_TimeoutError"}


@pytest.mark.req("D8", "D9")
def test_what_a_row_cannot_hold_is_recorded_without_it(
    database: Database, queue: PostgresQueue, issue: Callable[[], str], claim: Claim
) -> None:
    issue()
    claimed, subject = claim("render")
    queue.finish("render", claimed.msg_id, subject, RENDERED)
    held, mail = claim("send")
    known = {"provider": "sendgrid", "provider_message_id": "sg-1\0", "body_text": "Dag\0"}
    for odd in (Done(known), GiveUp("sendgrid_http_400 \0")):
        with pytest.raises(RecordRefused):
            queue.finish("send", held.msg_id, mail, odd)
    assert queue.finish("send", held.msg_id, mail, bare(Done(known))) == "sent"
    row = fetch(database, "select provider_message_id from public.communications where id = %s", mail.id)
    assert row == {"provider_message_id": "sg-1?"}


def test_a_job_that_cannot_be_read_is_set_aside_once(
    queue: PostgresQueue, issue: Callable[[], str], claim: Claim
) -> None:
    issue()
    claimed, _ = claim("render")
    before = {found.queue: found.set_aside for found in queue.metrics()}
    assert queue.set_aside("render", claimed.msg_id, "unreadable_job") is True
    assert queue.set_aside("render", claimed.msg_id, "unreadable_job") is False
    after = {found.queue: found.set_aside for found in queue.metrics()}
    assert after == before | {"render": before["render"] + 1}
    assert queue.claim("render", 60) is None


def test_a_process_says_that_it_runs_and_that_it_left(database: Database, queue: PostgresQueue) -> None:
    heartbeat = Heartbeat(uuid4(), "host-a", 1, "0.1.0", {"send": 4})
    queue.beat(heartbeat, 12.5)
    queue.beat(heartbeat, 27.5)
    row = fetch(database, "select host, pid, lanes from private.worker_status()")
    assert row == {"host": "host-a", "pid": 1, "lanes": {"send": 4}}
    queue.leave(heartbeat)
    assert fetch(database, "select count(*) as n from private.worker_status()") == {"n": 0}


def test_as_many_calls_go_on_at_once_as_there_are_lanes(database: Database) -> None:
    """And two more: the heartbeat, and whoever looks at the metrics."""
    queue = PostgresQueue(database.conninfo("worker"), lanes=1)
    queue.open()
    held = [queue._pool.getconn(timeout=10) for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError):
            queue._pool.getconn(timeout=0.1)
    finally:
        for connection in held:
            queue._pool.putconn(connection)
        queue.close()


def test_housekeeping_tells_what_it_removed(queue: PostgresQueue) -> None:
    assert "wakeups" in queue.housekeep()


def test_the_worker_reads_no_table(database: Database) -> None:
    with database.connect("worker") as worker:
        for table in ("public.invoices", "public.communications", "private.wakeups"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), worker.transaction():
                worker.execute(f"select 1 from {table}".encode())


def test_a_database_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.adapters.postgres._WAIT_SECONDS", 0.2)
    queue = PostgresQueue("postgresql://worker@127.0.0.1:1/postgres")
    queue.open()
    try:
        with pytest.raises(QueueUnavailable):
            queue.claim("render", 60)
        with pytest.raises(QueueUnavailable):
            queue.finish("render", 1, Subject(UUID(GARAGE), 1), Done())
    finally:
        queue.close()


@pytest.mark.req("W1", "D8")
def test_a_request_on_the_website_becomes_two_mails(
    database: Database, queue: PostgresQueue, claim: Claim
) -> None:
    with database.as_user(role="anon") as visitor:
        visitor.execute(
            "select website.submit_request('demo', 'Vera', 'vera@example.test', 'Graag', null, 'fr')"
        )
        visitor.commit()
    providers = MemoryProviders()
    mailer = providers.mail
    ports = Ports(MemoryFiles(), MemoryPdf(), providers, MemoryPusher(), SITES)
    for _ in range(2):
        claimed, subject = claim("website")
        assert (
            queue.finish("website", claimed.msg_id, subject, handle(parse_job(claimed.payload), ports))
            == "sent"
        )
    assert queue.claim("website", 60) is None
    sent = {mail.to.address: mail.mail for mail in mailer.sent}
    assert sent["vera@example.test"].subject == "Nous avons bien reçu votre demande"
    assert sent["info@autexor.be"].subject.startswith("Demo-aanvraag op autexor.be")
    assert not any("Vera" in mail.text + mail.html or "Graag" in mail.text for mail in sent.values())


@pytest.mark.req("D15", "G8", "D8")
def test_a_request_for_support_and_a_breach_become_mails_of_autexors_to_the_owner(
    database: Database, queue: PostgresQueue, claim: Claim
) -> None:
    support.ask(database)
    support.tell(database, support.record_breach(database), GARAGE)
    providers = MemoryProviders()
    ports = Ports(MemoryFiles(), MemoryPdf(), providers, MemoryPusher(), SITES)
    for _ in range(2):
        claimed, subject = claim("send")
        outcome = handle(parse_job(claimed.payload), ports)
        assert queue.finish("send", claimed.msg_id, subject, outcome) == "sent"
    request, notice = providers.mail.sent
    assert {mail.to.address for mail in (request, notice)} == {"olga@garage-noord.test"}
    assert {mail.sender.name for mail in (request, notice)} == {"Autexor"}
    assert request.mail.subject == "Autexor vraagt toegang tot Garage Noord"
    assert "https://app.test/support" in request.mail.text and support.REASON not in request.mail.text
    assert "https://app.test/breaches" in notice.mail.text and "laptop" not in notice.mail.text
    kept = (
        "select string_agg(body_text, '') as said from public.communications where membership_id is not null"
    )
    assert fetch(database, kept)["said"].count("Autexor") >= 4
