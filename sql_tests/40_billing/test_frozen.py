"""An issued invoice never changes: not by staff, not by the owner of the tables, not in a race."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, KAREL, NOORD, RITA
from sql_tests.steps import add_line, denied, draft, issue, issued_invoice, one, refused

pytestmark = pytest.mark.req("D7")

CHANGES = (
    "update public.invoices set revision = revision + 1, note = 'x' where id = %s",
    "update public.invoices set issued_at = null where id = %s",
    "update public.invoices set gross_total = 0 where id = %s",
    "update public.invoices set snapshot = '{}' where id = %s",
    "update public.invoices set revision = revision + 1,"
    " customer_id = '33333333-0000-4000-8000-000000000002' where id = %s",
    "delete from public.invoices where id = %s",
    "update public.invoice_lines set revision = revision + 1, unit_price = 0 where invoice_id = %s",
    "update public.invoice_lines set revision = revision + 1, description = 'x' where invoice_id = %s",
    "delete from public.invoice_lines where invoice_id = %s",
    "update public.invoice_vat_totals set vat = 0 where invoice_id = %s",
    "delete from public.invoice_vat_totals where invoice_id = %s",
    "insert into public.invoice_vat_totals select garage_id, id, 12, 1, 1 from public.invoices where id = %s",
    "insert into public.invoice_lines (garage_id, invoice_id, position, description, unit_price)"
    " select garage_id, id, 99, 'x', 1 from public.invoices where id = %s",
)


def invoice_of(connection: Connection, status: str) -> object:
    query = "select id from public.invoices where garage_id = %s and status = %s and customer_id = %s"
    return one(connection, query, NOORD, status, CARLA.customer_id)


@pytest.mark.parametrize("replication", [False, True], ids=["as usual", "as a replica"])
@pytest.mark.parametrize("statement", CHANGES)
def test_the_owner_of_the_tables_cannot_change_an_issued_invoice(
    busy_database: Database, statement: str, replication: bool
) -> None:
    with busy_database.connect() as connection:
        if replication:
            connection.execute("set local session_replication_role = replica")
        with refused("invoice_is_issued", 409):
            connection.execute(statement.encode(), (invoice_of(connection, "issued"),))


def test_a_draft_can_be_changed_and_deleted(busy_database: Database) -> None:
    for statement in CHANGES[:1] + CHANGES[4:5] + CHANGES[6:9] + CHANGES[-1:] + CHANGES[5:6]:
        with RITA.acting(busy_database) as connection:
            assert connection.execute(statement.encode(), (invoice_of(connection, "draft"),)).rowcount > 0


@pytest.mark.parametrize(
    "statement", [CHANGES[0], CHANGES[4], CHANGES[5], CHANGES[6], CHANGES[8], CHANGES[12]]
)
def test_staff_are_told_why_an_issued_invoice_stays(busy_database: Database, statement: str) -> None:
    with RITA.acting(busy_database) as connection, refused("invoice_is_issued", 409):
        connection.execute(statement.encode(), (invoice_of(connection, "issued"),))


@pytest.mark.parametrize("table", ["invoices cascade", "invoice_lines", "invoice_vat_totals"])
def test_truncate_is_refused_to_the_owner(busy_database: Database, table: str) -> None:
    with busy_database.connect() as connection, refused("invoice_is_issued", 409):
        connection.execute(f"truncate public.{table}".encode())


def test_a_line_cannot_be_moved_from_a_draft_to_an_issued_invoice(busy_database: Database) -> None:
    with busy_database.connect() as connection, refused("invoice_is_issued", 409):
        connection.execute(
            "update public.invoice_lines set invoice_id = %s, position = 50"
            " where invoice_id = %s and position = 1",
            (invoice_of(connection, "issued"), invoice_of(connection, "draft")),
        )


@pytest.mark.parametrize(
    "column",
    [
        "number",
        "invoice_number",
        "issued_at",
        "snapshot",
        "gross_total",
        "structured_communication",
        "series",
    ],
)
def test_nobody_writes_a_number_a_total_or_a_snapshot_by_hand(busy_database: Database, column: str) -> None:
    with RITA.acting(busy_database) as connection, denied():
        connection.execute(f"update public.invoices set {column} = null where status = 'draft'".encode())


def test_a_line_added_while_the_invoice_is_being_issued_waits_and_is_refused(
    fresh_database: Database,
) -> None:
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.commit()

    def add() -> None:
        with RITA.acting(fresh_database) as other, refused("invoice_is_issued", 409):
            add_line(other, NOORD, invoice_id, 9)

    with ThreadPoolExecutor(1) as pool, RITA.acting(fresh_database) as connection:
        issue(connection, invoice_id)
        racing = pool.submit(add)
        wait_until_blocked(fresh_database)
        assert not racing.done()
        connection.commit()
        racing.result(timeout=10)


def test_an_issue_waits_for_a_line_being_added_and_counts_it(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA, [("Werk", 1, 100, 21)])
        connection.commit()

    def issue_it() -> object:
        with RITA.acting(fresh_database) as other:
            return issue(other, invoice_id)["net_total"]

    with ThreadPoolExecutor(1) as pool, RITA.acting(fresh_database) as connection:
        add_line(connection, NOORD, invoice_id, 2, unit_price=50)
        racing = pool.submit(issue_it)
        wait_until_blocked(fresh_database)
        assert not racing.done()
        connection.commit()
        assert racing.result(timeout=10) == 150


def wait_until_blocked(database: Database) -> None:
    """Until a session of this database waits for another's lock."""
    waiting = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    with database.connect(autocommit=True) as connection:
        for _ in range(500):
            if one(connection, waiting):
                return
            connection.execute("select pg_sleep(0.01)")
    raise AssertionError("nobody waited")


def test_a_later_change_of_customer_or_garage_leaves_the_snapshot_as_issued(fresh_database: Database) -> None:
    invoice = issued_invoice(fresh_database, RITA, KAREL)
    with fresh_database.connect() as connection:
        connection.execute("update public.customers set full_name = 'Iemand anders'")
        connection.execute("update public.garages set iban = 'BE71096123456769'")
        again = one(connection, "select snapshot from public.invoices where id = %s", invoice["id"])
    assert again == invoice["snapshot"]


BROKEN = "select table_name || ' ' || trigger_name || ' ' || problem as guard from private.broken_guards()"


def broken(connection: Connection) -> list[str]:
    return [row["guard"] for row in connection.execute(BROKEN.encode())]


@pytest.mark.req("D11")
@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        ("alter table public.invoices disable trigger _900_freeze", "public.invoices _900_freeze disabled"),
        (
            "alter table public.invoice_lines enable replica trigger _900_freeze",
            "public.invoice_lines _900_freeze disabled",
        ),
        ("drop trigger _900_freeze on public.invoices", "public.invoices _900_freeze missing"),
        ("drop trigger _900_append_only on public.payments", "public.payments _900_append_only missing"),
        ("drop trigger _900_append_only on audit.entries", "audit.entries _900_append_only missing"),
        (
            "drop trigger _800_audit_update on public.customers",
            "public.customers _800_audit_update missing",
        ),
    ],
)
def test_a_guard_that_is_dropped_or_asleep_is_noticed(
    busy_database: Database, statement: str, guard: str
) -> None:
    with busy_database.connect() as connection:
        assert broken(connection) == []
        connection.execute(statement.encode())
        assert broken(connection) == [guard]
        connection.rollback()


@pytest.mark.req("D11")
def test_a_change_past_a_dropped_guard_is_in_the_history(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        invoice_id = invoice_of(connection, "issued")
        connection.execute("drop trigger _900_freeze on public.invoices")
        connection.execute("update public.invoices set due_date = due_date + 1 where id = %s", (invoice_id,))
        entry = connection.execute(
            "select actor, changed from audit.entries where table_name = 'public.invoices'"
            " and row_id = %s and op = 'U' and xid = pg_current_xact_id()",
            (str(invoice_id),),
        ).fetchone()
        connection.rollback()
    assert entry is not None and "due_date" in entry["changed"] and entry["actor"] == "postgres"
