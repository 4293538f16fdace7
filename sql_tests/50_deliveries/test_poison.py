"""A message that nobody can handle is set aside with its reason, and holds up no other."""

from collections.abc import Callable

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, RITA
from sql_tests.steps import Row, change, claim, denied, finish, issued_invoice, look, one

TABLES = {"render": "invoice_documents", "send": "communications", "push": "push_notifications"}
queues = pytest.mark.parametrize("queue", TABLES)
BREAK = """
do $copy$ begin
    execute replace(pg_get_functiondef('private.job_of'::regproc), 'job_of', 'job_of_before');
end $copy$;
create or replace function private.job_of(queue text, subject_id uuid) returns jsonb
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from private.broken_rows b where b.id = subject_id) then
        perform 1 / (select b.divisor from private.broken_rows b where b.id = subject_id);
        raise exception using errcode = (select b.code from private.broken_rows b where b.id = subject_id);
    end if;
    return private.job_of_before(queue, subject_id);
end $$;
create table private.broken_rows (id uuid, divisor int, code text);
"""


@pytest.fixture
def database(fresh_database: Database) -> Database:
    change(fresh_database, BREAK)
    return fresh_database


@pytest.fixture
def waiting(database: Database) -> Callable[[str], str]:
    """Makes one job wait in a queue, those before it being done; the id of its row."""

    def make(queue: str) -> str:
        issued_invoice(database, RITA, CARLA)
        if queue != "render":
            (claimed,) = claim(database, "render")
            finish(database, "render", claimed)
        newest = f"select id from public.{TABLES[queue]} order by created_at desc limit 1"
        return str(look(database, newest))

    return make


def break_row(database: Database, row: str, divisor: int = 0, code: str = "P0001") -> None:
    change(database, "insert into private.broken_rows values (%s, %s, %s)", row, divisor, code)


def show_again(database: Database, queue: str) -> None:
    change(database, f"update pgmq.q_{queue} set vt = now() - interval '1 second'")


def poisoned(database: Database) -> list[Row]:
    with database.connect("worker") as connection:
        return connection.execute("select * from private.poisoned()").fetchall()


def row_of(database: Database, queue: str, row: str) -> tuple[str, str | None]:
    found = look(database, f"select array[status, last_error] from public.{TABLES[queue]} where id = %s", row)
    return found[0], found[1]


@queues
def test_what_breaks_holds_up_no_other_and_fails_after_five_times(
    database: Database, waiting: Callable[[str], str], queue: str
) -> None:
    broken = waiting(queue)
    break_row(database, broken)
    sound = waiting(queue)
    (claimed,) = claim(database, queue)
    assert claimed["job"]["subject_id"] == sound
    finish(database, queue, claimed)
    for _ in range(4):
        (trouble,) = poisoned(database)
        assert (trouble["reason"], trouble["set_aside_at"]) == ("broke 22012", None)
        assert claim(database, queue) == [], "it waits a while before it is shown again"
        show_again(database, queue)
        assert claim(database, queue) == []
    (trouble,) = poisoned(database)
    assert (str(trouble["subject_id"]), trouble["failures"]) == (broken, 5)
    assert trouble["set_aside_at"] is not None
    assert look(database, f"select count(*) from pgmq.q_{queue}") == 0
    assert row_of(database, queue, broken) == ("failed", "broke 22012")
    attempts = "select count(*) from public.delivery_attempts where outcome = 'give_up'"
    assert look(database, attempts) == 1


@queues
def test_a_person_can_retry_what_was_set_aside(
    database: Database, waiting: Callable[[str], str], queue: str
) -> None:
    row = waiting(queue)
    break_row(database, row)
    for _ in range(5):
        assert claim(database, queue) == []
        show_again(database, queue)
    change(database, "delete from private.broken_rows")
    with RITA.acting(database) as connection:
        connection.execute("select public.retry_delivery(%s)", (row,))
        connection.commit()
    (claimed,) = claim(database, queue)
    assert claimed["job"]["subject_id"] == row
    assert finish(database, queue, claimed) in ("sent", "stored")


@pytest.mark.req("D8", "D9")
@pytest.mark.parametrize("queue", ["send", "push"])
def test_what_breaks_while_under_way_ends_as_unknown(
    database: Database, waiting: Callable[[str], str], queue: str
) -> None:
    row = waiting(queue)
    assert len(claim(database, queue)) == 1
    break_row(database, row)
    for _ in range(5):
        show_again(database, queue)
        assert claim(database, queue) == []
    assert row_of(database, queue, row) == ("unknown", "broke 22012")
    assert look(database, "select outcome from public.delivery_attempts where outcome <> 'done'") == "unknown"


@pytest.mark.parametrize("code", ["40P01", "55P03", "53100"])
def test_a_trouble_of_the_database_is_not_the_messages_fault(
    database: Database, waiting: Callable[[str], str], code: str
) -> None:
    row = waiting("send")
    break_row(database, row, divisor=1, code=code)
    for _ in range(8):
        assert claim(database, "send") == []
        show_again(database, "send")
    assert poisoned(database) == []
    change(database, "delete from private.broken_rows")
    assert len(claim(database, "send")) == 1


@pytest.mark.parametrize("code", ["42883", "42501", "XX000"])
def test_a_mistake_of_ours_is_told_of_and_costs_no_message(
    database: Database, waiting: Callable[[str], str], code: str
) -> None:
    """A deployment without one of its functions must not fail all that waits."""
    row = waiting("send")
    break_row(database, row, divisor=1, code=code)
    for _ in range(8):
        assert claim(database, "send") == []
        show_again(database, "send")
    (trouble,) = poisoned(database)
    assert (trouble["failures"], trouble["reason"], trouble["set_aside_at"]) == (8, f"broke {code}", None)
    change(database, "delete from private.broken_rows")
    (claimed,) = claim(database, "send")
    assert finish(database, "send", claimed) == "sent"
    assert poisoned(database) == [], "mended, it is forgotten"


@pytest.mark.parametrize(
    "message", ["{}", "[]", '"x"', "null", '{"id": 5}', '{"id": "carla@example.test"}', '{"id": null}']
)
def test_what_cannot_be_read_is_set_aside_at_once_without_what_it_says(
    database: Database, waiting: Callable[[str], str], message: str
) -> None:
    change(database, "select pgmq.send('send', %s::jsonb)", message)
    waiting("send")
    assert len(claim(database, "send")) == 1
    (trouble,) = poisoned(database)
    assert (trouble["queue"], trouble["subject_id"], trouble["reason"]) == (
        "send",
        None,
        "unreadable_message",
    )
    assert trouble["set_aside_at"] is not None
    assert "carla" not in str(trouble)
    assert look(database, "select count(*) from pgmq.q_send") == 1


def test_a_row_that_cannot_even_fail_is_told_of_and_holds_up_nothing(
    database: Database, waiting: Callable[[str], str]
) -> None:
    row = waiting("send")
    break_row(database, row)
    change(
        database,
        "create function private.tg_stuck() returns trigger language plpgsql set search_path = pg_catalog"
        " as $$ begin raise 'stuck'; end $$;"
        " create trigger stuck before update on public.communications for each row"
        " execute function private.tg_stuck()",
    )
    for _ in range(5):
        assert claim(database, "send") == []
        show_again(database, "send")
    (trouble,) = poisoned(database)
    assert trouble["reason"] == "broke 22012 row_not_failed P0001"
    assert look(database, "select count(*) from pgmq.q_send") == 0


@queues
def test_a_worker_sets_aside_a_job_it_cannot_read_and_the_row_fails(
    database: Database, waiting: Callable[[str], str], queue: str
) -> None:
    row = waiting(queue)
    (claimed,) = claim(database, queue)
    with database.connect("worker", autocommit=True) as worker:
        ask = "select private.set_aside_message(%s, %s, 'unreadable_job')"
        assert one(worker, ask, queue, claimed["msg_id"]) is True
        assert one(worker, ask, queue, claimed["msg_id"]) is False, "it holds it no longer"
    assert row_of(database, queue, row) == ("failed", "unreadable_job")
    (trouble,) = poisoned(database)
    assert str(trouble["subject_id"]) == row


def test_a_reason_that_could_hold_content_is_not_kept(
    database: Database, waiting: Callable[[str], str]
) -> None:
    waiting("send")
    (claimed,) = claim(database, "send")
    with database.connect("worker", autocommit=True) as worker:
        one(worker, "select private.set_aside_message('send', %s, 'carla@example.test')", claimed["msg_id"])
    assert [trouble["reason"] for trouble in poisoned(database)] == ["unreadable_job"]


def test_a_template_whose_check_keeps_breaking_is_refused(database: Database) -> None:
    with database.connect() as connection:
        row = one(
            connection,
            "insert into public.message_templates"
            " (garage_id, kind, channel, locale, version, body_text, created_by)"
            " select garage_id, 'invoice_issued', 'sms', 'nl', 1, 'Dag', id from public.memberships limit 1"
            " returning id",
        )
    change(database, "delete from pgmq.q_check")
    change(database, "select private.enqueue('check', %s)", row)
    break_row(database, str(row))
    for _ in range(5):
        assert claim(database, "check") == []
        show_again(database, "check")
    found = look(database, "select array[status, problem] from public.message_templates where id = %s", row)
    assert found == ["refused", "broke 22012"]
    assert [trouble["queue"] for trouble in poisoned(database)] == ["check"]


def test_old_archives_go_and_younger_ones_stay(database: Database, waiting: Callable[[str], str]) -> None:
    waiting("send")
    for _ in range(2):
        change(database, "select pgmq.send('send', '{}')")
    claim(database, "send")
    change(database, "update pgmq.a_render set archived_at = now() - interval '31 days'")
    change(
        database,
        "update private.poisoned_messages set last_failed_at = now() - interval '91 days'"
        " where msg_id = (select min(msg_id) from private.poisoned_messages)",
    )
    with database.connect("worker") as worker:
        counts = one(worker, "select private.housekeep_queues()")
        worker.commit()
    assert counts == {"archived_messages": 1, "poisoned_messages": 1}
    assert look(database, "select count(*) from pgmq.a_send") == 2
    assert len(poisoned(database)) == 1


@pytest.mark.req("D1", "S2")
@pytest.mark.parametrize(
    "call",
    [
        "private.poisoned()",
        "private.queue_metrics()",
        "private.worker_status()",
        "private.set_aside_message('send', 1, 'x')",
        "private.housekeep_queues()",
    ],
)
def test_only_workers_look_at_the_queues_of_the_platform(database: Database, call: str) -> None:
    with database.connect("worker") as worker:
        worker.execute(f"select * from {call}".encode())
    with RITA.acting(database) as member, denied():
        member.execute(f"select * from {call}".encode())
    for login in ("authenticator", "edge"):
        with database.connect(login) as other, denied():
            other.execute(f"select * from {call}".encode())


@pytest.mark.req("D1", "S2")
def test_no_worker_reads_the_tables_themselves(database: Database) -> None:
    for table in ("private.poisoned_messages", "private.worker_heartbeats"):
        with database.connect("worker") as worker, denied():
            worker.execute(f"select * from {table}".encode())
