"""Work of a module that is switched off waits, is lost by nobody, and is taken up when it is on again."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, NOORD, OLGA, OTTO, RITA, ZUID
from sql_tests.steps import Row, change, claim, finish, issued_invoice, look, one

pytestmark = pytest.mark.req("D2")

SWITCH = "update public.garage_modules set is_enabled = %s where garage_id = %s and module = %s"
MESSAGE = """
with talk as (
    insert into public.conversations (garage_id, customer_id) values (%s, %s) returning garage_id, id)
insert into public.messages (garage_id, conversation_id, body) select garage_id, id, 'Klaar' from talk
"""
# What each module keeps from leaving.
KEPT = {
    "invoicing": {"render", "mail", "push about an invoice"},
    "pdf_storage": {"render"},
    "email": {"mail"},
    "push": {"push about an invoice", "push about a message"},
    "portal": {"push about an invoice", "push about a message"},
    "conversations": {"push about a message"},
}
ALL = {"render", "mail", "push about an invoice", "push about a message"}
TABLES = ("invoice_documents", "communications", "push_notifications")
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
def database(fresh_database: Database) -> Database:
    """A database in which one job of every kind waits at Noord."""
    with OLGA.acting(fresh_database) as connection:
        connection.execute(MESSAGE.encode(), (NOORD, CARLA.customer_id))
        connection.commit()
    change(
        fresh_database, "select pgmq.set_vt('push', msg_id, 0) from pgmq.q_push"
    )  # its 20 seconds are over
    issued_invoice(fresh_database, RITA, CARLA)
    (document,) = claim(fresh_database, "render")
    finish(fresh_database, "render", document)
    issued_invoice(fresh_database, RITA, CARLA)
    return fresh_database


def kind(job: Row) -> str:
    """What a job is."""
    about = {"invoice_issued": "about an invoice", "message_received": "about a message"}
    names = {"render_invoice": "render", "send_message": "mail"}
    return names.get(job["kind"]) or f"push {about[job['template']]}"


def work_off(database: Database) -> list[str]:
    """Do what there is to be done, and what follows from it; the kinds of work done."""
    done: list[str] = []
    for queue in ("render", "send", "push"):
        for claimed in claim(database, queue):
            finish(database, queue, claimed)
            done.append(kind(claimed["job"]))
    return done


def statuses(database: Database) -> set[str]:
    """How all deliveries stand."""
    query = "select array_agg(status) from public.{}"
    return {status for table in TABLES for status in look(database, query.format(table)) or ()}


def test_every_module_is_tried(database: Database) -> None:
    """A module of another subject either keeps no work, or stands here."""
    named = look(database, "select array_agg(module) from private.modules")
    assert set(KEPT) <= set(named)
    assert set(work_off(database)) == ALL


@pytest.mark.parametrize("module", KEPT)
def test_what_waits_for_a_module_is_done_once_it_is_on_again(database: Database, module: str) -> None:
    change(database, SWITCH, False, NOORD, module)
    assert set(work_off(database)) == ALL - KEPT[module]
    assert work_off(database) == []
    assert statuses(database) <= {"pending", "queued", "stored", "sent"}
    change(database, SWITCH, True, NOORD, module)
    assert set(work_off(database)) == KEPT[module]
    assert work_off(database) == []
    assert statuses(database) == {"stored", "sent"}
    mails = "select array_agg(n) from (select count(*) as n from public.communications group by invoice_id) m"
    assert set(look(database, mails)) == {1}


def test_a_module_of_two_that_are_off_does_not_let_it_go(database: Database) -> None:
    for module in ("email", "invoicing"):
        change(database, SWITCH, False, NOORD, module)
    assert claim(database, "send") == []
    change(database, SWITCH, True, NOORD, "invoicing")
    assert claim(database, "send") == []
    change(database, SWITCH, True, NOORD, "email")
    assert len(claim(database, "send")) == 1


@pytest.mark.parametrize("was_looked_at", [True, False])
def test_a_module_switched_on_twice_does_nothing_twice(database: Database, was_looked_at: bool) -> None:
    for module in KEPT:
        change(database, SWITCH, False, NOORD, module)
    if was_looked_at:
        assert work_off(database) == []
    for module in (*KEPT, *KEPT):
        change(database, SWITCH, True, NOORD, module)
    assert sorted(work_off(database)) == sorted([*ALL, "mail", "push about an invoice"])
    assert statuses(database) == {"stored", "sent"}


def test_a_module_off_at_one_garage_keeps_no_work_of_another(database: Database) -> None:
    for module in KEPT:
        change(database, SWITCH, False, ZUID, module)
    assert set(work_off(database)) == ALL


def test_who_switches_on_while_a_worker_puts_work_to_wait_does_not_miss_it(database: Database) -> None:
    change(database, SWITCH, False, NOORD, "email")

    def switch_on() -> None:
        with OLGA.acting(database) as connection:
            connection.execute(SWITCH.encode(), (True, NOORD, "email"))
            connection.commit()

    with ThreadPoolExecutor(1) as pool, database.connect("worker") as worker:
        assert worker.execute("select * from private.claim_jobs('send', 5, 60)").fetchall() == []
        owner = pool.submit(switch_on)
        wait_for_lock(database)
        worker.commit()
        owner.result(timeout=30)
    assert len(claim(database, "send")) == 1


def test_a_worker_that_comes_while_it_is_switched_on_waits_and_does_the_work(database: Database) -> None:
    change(database, SWITCH, False, NOORD, "email")
    with ThreadPoolExecutor(1) as pool, OLGA.acting(database) as connection:
        connection.execute(SWITCH.encode(), (True, NOORD, "email"))
        worker = pool.submit(claim, database, "send")
        wait_for_lock(database)
        connection.commit()
        assert len(worker.result(timeout=30)) == 1


def wait_for_lock(database: Database) -> None:
    """Until somebody waits for somebody."""
    for _ in range(500):
        if look(database, WAITING):
            return
        time.sleep(0.02)
    raise AssertionError("nobody waited")


def test_files_are_closed_with_the_module_their_module_is_part_of(database: Database) -> None:
    file = "insert into storage.objects (bucket_id, name) values ('invoices', %s)"
    for garage_id in (NOORD, ZUID):
        change(database, file, f"{garage_id}/a.pdf")

    def files(connection: Connection) -> int:
        return int(one(connection, "select count(*) from storage.objects"))

    with OLGA.acting(database) as connection:
        assert files(connection) == 1
        change(database, SWITCH, False, NOORD, "invoicing")
        assert files(connection) == 0
        change(database, SWITCH, True, NOORD, "invoicing")
        assert files(connection) == 1
    with OTTO.acting(database) as connection:
        assert files(connection) == 1
