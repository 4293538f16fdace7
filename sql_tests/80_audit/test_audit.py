"""Who changed what: one entry per changed row, by the right actor, without personal values, for ever."""

import json

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import (
    LINES,
    Row,
    change,
    denied,
    draft,
    issue,
    issued_invoice,
    look,
    one,
    refused,
    sign_in,
    work,
)

pytestmark = pytest.mark.req("D11")

STAFF = f"staff:{RITA.claims['sub']}"
ENTRIES = (
    "select op, table_name, row_id, actor, changed, changes, garage_id::text from audit.entries where id > %s"
)


def mark(connection: Connection) -> int:
    return int(one(connection, "select coalesce(max(id), 0) from audit.entries"))


@pytest.fixture
def since(database: Database) -> int:
    with database.connect() as connection:
        return mark(connection)


def written(database: Database, since: int, table: str) -> list[Row]:
    """The entries about a table since a moment."""
    with database.connect() as connection:
        return connection.execute(
            (ENTRIES + " and table_name = %s order by id").encode(), (since, table)
        ).fetchall()


def test_drafting_and_issuing_leave_one_entry_per_row_by_the_one_who_did_it(
    database: Database, since: int
) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    found = written(database, since, "public.invoices")
    assert [(row["op"], row["actor"], row["row_id"]) for row in found] == [
        ("I", STAFF, str(invoice["id"])),
        ("U", STAFF, str(invoice["id"])),
    ]
    issuing = found[1]
    assert {"number", "invoice_number", "snapshot", "issued_by", "gross_total"} <= set(issuing["changed"])
    changes = issuing["changes"]
    assert changes["number"] == [None, invoice["number"]]
    assert not {"snapshot", "issued_by", "note"} & set(changes)
    assert len(written(database, since, "public.invoice_lines")) == 2
    assert len(written(database, since, "public.invoice_vat_totals")) == 2
    assert len(written(database, since, "public.invoice_documents")) == 1
    assert len(written(database, since, "public.odometer_readings")) == 1
    assert {row["garage_id"] for row in found} == {NOORD}


def test_what_is_rolled_back_or_changes_nothing_leaves_no_entry(database: Database, since: int) -> None:
    with RITA.acting(database) as connection:
        issue(connection, draft(connection, CARLA))
    change(database, "update public.vehicles set make = make, updated_at = updated_at where false")
    assert written(database, since, "public.invoices") == written(database, since, "public.vehicles") == []


def test_workers_edge_customers_and_operators_are_named_as_what_they_are(
    database: Database, since: int
) -> None:
    issued_invoice(database, RITA, CARLA)
    work(database)
    session, _ = sign_in(database, CARLA)
    with CARLA.with_session(session["session_id"]).acting(database) as connection:
        connection.execute("select portal.send_message('Dag')")
        connection.commit()
    change(database, "update public.garages set payment_days = 14 where id = %s", NOORD)
    actors = {
        "public.invoice_documents": {STAFF, "worker"},
        "public.communications": {"worker"},
        "public.delivery_attempts": {"worker"},
        "public.portal_sessions": {"edge"},
        "public.messages": {f"customer:{CARLA.account_id}"},
        "public.garages": {"postgres"},
    }
    for table, expected in actors.items():
        assert {row["actor"] for row in written(database, since, table)} == expected, table


def test_a_database_login_cannot_pose_as_a_member(database: Database, since: int) -> None:
    claims = json.dumps({"role": "authenticated", "sub": OLGA.claims["sub"]})
    with database.connect() as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        connection.execute("update public.garages set payment_days = 21 where id = %s", (NOORD,))
        connection.commit()
    assert {row["actor"] for row in written(database, since, "public.garages")} == {"postgres"}


def test_no_personal_or_secret_value_is_ever_written(busy_database: Database) -> None:
    """Every text in a personal or secret column, looked for in all the entries there are."""
    columns = (
        "select format('%I.%I', c.relnamespace::regnamespace, c.relname) as name, a.attname::text as column"
        "  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
        " where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'entries'"
        "   and col_description(c.oid, a.attnum) ~ '^(personal|secret)'"
    )
    with busy_database.connect() as connection:
        closed = connection.execute(columns.encode()).fetchall()
        assert len(closed) > 40
        for row in closed:
            leak = (
                f"select count(*) from audit.entries e, {row['name']} t"
                f" where e.table_name = '{row['name']}' and e.changes ? '{row['column']}'"
            )
            assert one(connection, leak) == 0, row
        assert one(connection, "select count(*) from audit.entries where changes::text ~ 'argon2id'") == 0
        assert one(connection, "select count(*) from audit.entries where changes::text ~* 'carla'") == 0
        assert one(connection, "select count(*) from audit.entries where changes ? 'invoice_number'") > 0


@pytest.mark.parametrize("table", ["audit.entries", "audit.access_entries"])
@pytest.mark.parametrize("verb", ["update {} set garage_id = garage_id", "delete from {}", "truncate {}"])
def test_history_is_append_only_for_the_owner_too(busy_database: Database, table: str, verb: str) -> None:
    for setup in ("select", "set local session_replication_role = replica"):
        with busy_database.connect() as connection, refused("history_is_append_only", 409):
            connection.execute(setup.encode())
            connection.execute(verb.format(table).encode())
    with busy_database.as_user(role="service_role") as connection, denied():
        connection.execute(verb.format(table).encode())
    with busy_database.connect() as connection:
        before = one(connection, f"select count(*) from {table}")
        connection.execute(
            f"insert into {table} ({FIELDS[table]}) select {FIELDS[table]} from {table} limit 1".encode()
        )
        assert one(connection, f"select count(*) from {table}") == before + 1
        connection.rollback()


FIELDS = {
    "audit.entries": "garage_id, table_name, row_id, op, actor, changed, changes",
    "audit.access_entries": "garage_id, event, actor",
}


@pytest.mark.parametrize("actor", [RITA, OLGA, CARLA.actor], ids=lambda actor: actor.name)
def test_nobody_writes_history_by_hand(busy_database: Database, actor: Actor) -> None:
    for table, fields in FIELDS.items():
        with actor.acting(busy_database) as connection, denied():
            connection.execute(f"insert into {table} ({fields}) select {fields} from {table}".encode())


def test_an_owner_reads_the_garages_history_and_a_receptionist_does_not(busy_database: Database) -> None:
    for view in ("audit_entries", "access_entries"):
        counts = {}
        for actor in (OLGA, OTTO, RITA):
            with actor.acting(busy_database) as connection:
                query = f"select array_agg(garage_id::text) as garages from public.{view}"
                counts[actor.name] = set(one(connection, query) or [])
        assert counts == {"Olga": {NOORD}, "Otto": {ZUID}, "Rita": set()}


def test_a_thousand_rows_in_one_statement_are_a_thousand_entries(busy_database: Database) -> None:
    insert = (
        "insert into public.customers (garage_id, full_name)"
        " select %s, 'Klant ' || n from generate_series(1, 1000) n"
    )
    with busy_database.connect() as connection:
        since = mark(connection)
        connection.execute(insert.encode(), (NOORD,))
        connection.execute(
            "update public.customers set full_name = upper(full_name) where full_name like 'Klant %'"
        )
        connection.execute("delete from public.customers where full_name like 'KLANT %'")
        rows = connection.execute(
            (ENTRIES + " and table_name = 'public.customers'").encode(), (since,)
        ).fetchall()
        connection.rollback()
    assert {op: sum(row["op"] == op for row in rows) for op in "IUD"} == {"I": 1000, "U": 1000, "D": 1000}
    assert len({row["row_id"] for row in rows}) == 1000
    changed = [set(row["changed"]) - {"updated_at"} for row in rows if row["op"] == "U"]
    assert changed == [{"full_name"}] * 1000


@pytest.mark.parametrize(
    ("statement", "table", "count"),
    [
        ("update public.garage_modules set is_enabled = not is_enabled", "public.garage_modules", 18),
        (
            "update public.garage_modules set is_enabled = false where module = 'push'",
            "public.garage_modules",
            2,
        ),
        ("update public.invoice_series set last_number = last_number + 1", "public.invoice_series", 2),
        ("update public.membership_permissions set is_granted = false", "public.membership_permissions", 2),
        ("update public.garages set payment_days = 7", "public.garages", 2),
        ("delete from public.garage_modules where module = 'push'", "public.garage_modules", 2),
    ],
)
def test_a_statement_over_both_garages_leaves_one_entry_per_row_in_its_own_garage(
    busy_database: Database, statement: str, table: str, count: int
) -> None:
    with busy_database.connect() as connection:
        since = mark(connection)
        connection.execute(statement.encode())
        rows = connection.execute((ENTRIES + " and table_name = %s").encode(), (since, table)).fetchall()
        connection.rollback()
    assert len(rows) == count
    assert {garage: sum(row["garage_id"] == garage for row in rows) for garage in (NOORD, ZUID)} == {
        NOORD: count // 2,
        ZUID: count // 2,
    }


@pytest.mark.parametrize("table", ["public.vehicle_plates", "public.invoice_series"])
def test_a_truncate_leaves_an_entry(busy_database: Database, table: str) -> None:
    with busy_database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        since = mark(connection)
        connection.execute(f"truncate {table} cascade".encode())
        rows = connection.execute((ENTRIES + " and op = 'T'").encode(), (since,)).fetchall()
        connection.rollback()
    assert table in {row["table_name"] for row in rows}


def test_the_trace_tells_the_whole_story_in_order_to_those_who_may(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    work(database)
    trace = "select source, actor, event, at from public.trace_invoice(%s)"
    with OLGA.acting(database) as connection:
        story = connection.execute(trace, (invoice["invoice_number"],)).fetchall()
    events = [f"{row['source']}: {row['event']}" for row in story]
    assert [row["at"] for row in story] == sorted(row["at"] for row in story)
    for event in (
        "audit: invoices created",
        "audit: invoices changed",
        "delivery: render done",
        "delivery: email done",
    ):
        assert event in events
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(trace, (invoice["invoice_number"],))
    with OTTO.acting(database) as connection, refused("invoice_not_found", 404):
        connection.execute(trace, (invoice["invoice_number"],))
    assert look(database, "select count(*) from public.invoices where id = %s", invoice["id"]) == 1


@pytest.mark.req("D11")
def test_the_trace_tells_of_a_line_that_was_taken_out_before_issue(database: Database) -> None:
    with RITA.acting(database) as connection:
        invoice_id = draft(connection, CARLA)
        take_out = "delete from public.invoice_lines where invoice_id = %s and position = 1"
        connection.execute(take_out, (invoice_id,))
        invoice = issue(connection, invoice_id)
        connection.commit()
    with OLGA.acting(database) as connection:
        query = "select event from public.trace_invoice(%s) where event like 'invoice_lines%%'"
        events = [row["event"] for row in connection.execute(query, (invoice["invoice_number"],))]
    assert events.count("invoice_lines deleted") == 1
    assert events.count("invoice_lines created") == len(LINES)
