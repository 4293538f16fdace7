"""What an entry says: names of all changed columns, values of the open ones, and who really did it."""

import json
from collections.abc import Iterator

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, KAREL, MARC, NOORD, OLGA, RITA, Actor
from sql_tests.steps import Row, claim, denied, draft, issued_invoice, one, refused, reserve

pytestmark = pytest.mark.req("D11")

ENTRIES = "select op, row_id, actor, changed, changes, xid::text, garage_id::text from audit.entries"
POSING = json.dumps({"role": "authenticated", "sub": OLGA.claims["sub"], "garage_id": NOORD})
MODULE = "insert into public.garage_modules (garage_id, module, is_enabled) values (%s, %s, %s)"


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def mark(connection: Connection) -> int:
    return int(one(connection, "select coalesce(max(id), 0) from audit.entries"))


def after(connection: Connection, since: int, table: str) -> list[Row]:
    query = f"{ENTRIES} where id > %s and table_name = %s order by id"
    return connection.execute(query.encode(), (since, table)).fetchall()


def done(
    connection: Connection, statement: str, table: str, actor: Actor | None = None, *values: object
) -> list[Row]:
    """The entries about a table that a statement leaves."""
    since = mark(connection)
    if actor is None:
        connection.execute(statement.encode(), values)
        return after(connection, since, table)
    with probes.acting(connection, actor):
        connection.execute(statement.encode(), values)
        connection.execute("reset role")
        return after(connection, since, table)


@pytest.mark.parametrize(
    ("table", "assignments", "open_changes"),
    [
        (
            "public.customers",
            "full_name = 'X', phone = '+32470999999', kind = 'company', company_name = 'X BV'",
            {"kind": ["person", "company"]},
        ),
        (
            "public.vehicles",
            "vin = 'YS3FB49S531000001', make = 'Saab' where make = 'Volkswagen'",
            {"make": ["Volkswagen", "Saab"]},
        ),
        ("public.odometer_readings", "reading_km = reading_km + 1", {}),
        ("public.messages", "body = 'X', read_at = now()", {}),
        (
            "public.memberships",
            "full_name = 'X', email = 'x@y.test', role = 'manager' where role = 'owner'",
            {"role": ["owner", "manager"]},
        ),
        ("public.portal_accounts", "login = id::text", {}),
        ("public.portal_devices", "install_sha256 = 'x', fingerprint_sha256 = 'x', label = 'x'", {}),
        ("public.portal_sessions", "client_ip = '192.0.2.99', user_agent = 'X'", {}),
        ("public.push_devices", "expo_token = 'ExponentPushToken[xxxxxxxxxxxxxxxx]'", {}),
        ("private.portal_credentials", "password_hash = '$argon2id$x'", {}),
        ("private.portal_pins", "pin_hash = '$argon2id$x'", {}),
    ],
)
@pytest.mark.req("P3")
def test_closed_columns_are_named_and_only_open_ones_have_values(
    connection: Connection, table: str, assignments: str, open_changes: dict[str, list[str]]
) -> None:
    rows = done(connection, f"update {table} set {assignments}", table)
    assert rows and {row["op"] for row in rows} == {"U"}
    names = {part.split("=")[0].strip() for part in assignments.split(", ")}
    assert set(rows[0]["changed"]) - {"updated_at"} == names
    changes = {name: values for name, values in rows[0]["changes"].items() if name != "updated_at"}
    assert changes == open_changes


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("public.conversations", "closed_at"),
        ("public.messages", "body"),
        ("public.invoice_series", "last_number"),
        ("public.customers", "full_name"),
        ("public.vehicles", "make"),
        ("public.garages", "payment_days"),
        ("public.garage_modules", "is_enabled"),
    ],
)
def test_an_update_that_changes_nothing_leaves_nothing(
    connection: Connection, table: str, column: str
) -> None:
    key = "id" if table == "public.garages" else "garage_id"
    update = f"update {table} set {column} = {column} where {key} = '{NOORD}'"
    assert done(connection, update, table) == []
    assert connection.execute(update.encode()).rowcount > 0


def test_on_conflict_leaves_an_entry_of_what_it_did(connection: Connection) -> None:
    connection.execute("delete from public.garage_modules where module = 'push' and garage_id = %s", (NOORD,))
    table, update = (
        "public.garage_modules",
        " on conflict (garage_id, module) do update set is_enabled = excluded.is_enabled",
    )
    inserted = done(connection, MODULE + update, table, OLGA, NOORD, "push", False)
    updated = done(connection, MODULE + update, table, OLGA, NOORD, "email", False)
    ignored = done(connection, MODULE + " on conflict do nothing", table, OLGA, NOORD, "email", False)
    assert [(row["op"], row["row_id"]) for row in inserted] == [("I", "push")]
    assert [(row["op"], row["row_id"], row["changes"]["is_enabled"]) for row in updated] == [
        ("U", "email", [True, False])
    ]
    assert ignored == []


def test_a_delete_keeps_the_old_open_values_of_the_row_and_of_what_goes_with_it(
    connection: Connection,
) -> None:
    with probes.acting(connection, RITA):
        invoice_id = draft(connection, CARLA)
        since = mark_of_owner(connection)
        connection.execute("delete from public.invoices where id = %s", (invoice_id,))
        connection.execute("reset role")
        (invoice,) = after(connection, since, "public.invoices")
        lines = after(connection, since, "public.invoice_lines")
    assert (invoice["op"], invoice["row_id"], invoice["actor"]) == ("D", invoice_id, "postgres")
    assert invoice["changes"]["customer_id"] == CARLA.customer_id
    assert not {"odometer_km", "note", "internal_note"} & set(invoice["changes"])
    assert [row["op"] for row in lines] == ["D", "D"]
    assert sorted(float(row["changes"]["unit_price"]) for row in lines) == [10.005, 95.125]
    assert not any("description" in row["changes"] for row in lines)


def mark_of_owner(connection: Connection) -> int:
    """`mark` in the middle of acting as somebody."""
    role = one(connection, "select current_user::text")
    connection.execute("reset role")
    found = mark(connection)
    connection.execute("select set_config('role', %s, true)", (role,))
    return found


def test_what_one_transaction_did_shares_its_number(database: Database) -> None:
    with database.connect() as connection:
        since = mark(connection)
    issued_invoice(database, RITA, CARLA)
    issued_invoice(database, RITA, KAREL)
    with database.connect() as connection:
        query = "select count(distinct xid) from audit.entries where id > %s"
        assert one(connection, query, since) == 2
        per_table = "select count(distinct table_name) from audit.entries where id > %s"
        assert one(connection, per_table, since) >= 5


@pytest.mark.parametrize("login", ["worker", "edge", "postgres"])
def test_a_login_that_sets_claims_is_named_as_the_login_it_is(database: Database, login: str) -> None:
    issued_invoice(database, RITA, CARLA)
    with database.connect() as connection:
        since = mark(connection)
    attempt = reserve(database, CARLA)
    calls = {
        "worker": "select private.claim_jobs('render', 50, 60)",
        "edge": f"select private.portal_login_finish('{attempt['attempt_id']}', true, 'token of {login}')",
        "postgres": "update public.garages set payment_days = payment_days + 1",
    }
    with database.connect(login) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", (POSING,))
        connection.execute(calls[login].encode())
        connection.commit()
    with database.connect() as connection:
        rows = connection.execute("select actor from audit.entries where id > %s", (since,)).fetchall()
    assert {row["actor"] for row in rows} == {login}


def test_staff_are_named_by_their_verified_token_and_may_not_write_claims_elsewhere(
    database: Database,
) -> None:
    with database.connect() as connection:
        since = mark(connection)
    with RITA.acting(database) as connection:
        connection.execute("update public.vehicles set make = make || '!'")
        connection.commit()
    with database.connect() as connection:
        rows = after(connection, since, "public.vehicles")
    assert {row["actor"] for row in rows} == {f"staff:{RITA.claims['sub']}"}
    assert {row["garage_id"] for row in rows} == {NOORD} and len(rows) == 2


@pytest.mark.parametrize("login", ["worker", "edge"])
def test_services_name_no_history(database: Database, login: str) -> None:
    for statement in (
        "select 1 from audit.entries",
        "delete from audit.entries",
        "truncate audit.access_entries",
    ):
        with database.connect(login) as connection, denied():
            connection.execute(statement.encode())


@pytest.mark.parametrize("view", ["audit_entries", "access_entries"])
def test_history_is_read_with_the_permission_alone(busy_database: Database, view: str) -> None:
    count = f"select count(*) from public.{view}".encode()
    truth = (
        f"select count(*) from audit.{'entries' if view == 'audit_entries' else view} where garage_id = %s"
    )
    with busy_database.connect() as connection:
        expected = one(connection, truth, NOORD)
    with OLGA.acting(busy_database) as connection:
        assert one(connection, count.decode()) == expected > 0
    with MARC.acting(busy_database) as connection:
        assert one(connection, count.decode()) == 0
    for actor in (ANON, CARLA.actor):
        with actor.acting(busy_database) as connection, denied():
            connection.execute(count)


def test_a_personal_grant_of_the_permission_opens_history(connection: Connection) -> None:
    count = "select count(*) from public.audit_entries"
    with probes.acting(connection, RITA):
        assert one(connection, count) == 0
    connection.execute(
        "insert into public.membership_permissions (garage_id, membership_id, permission, is_granted)"
        " select garage_id, id, 'audit.read', true from public.memberships where user_id = %s",
        (RITA.claims["sub"],),
    )
    with probes.acting(connection, RITA):
        assert one(connection, count) > 0


def test_an_entry_can_be_neither_corrected_nor_hidden_by_those_who_read_it(busy_database: Database) -> None:
    for statement in (
        "update public.audit_entries set actor = 'nobody'",
        "delete from public.audit_entries",
        "delete from public.access_entries",
    ):
        with OLGA.acting(busy_database) as connection, denied():
            connection.execute(statement.encode())
    with busy_database.connect() as connection, refused("history_is_append_only", 409):
        connection.execute("update public.audit_entries set actor = 'nobody'")


def test_work_that_is_claimed_leaves_the_workers_name_beside_the_issuers(database: Database) -> None:
    with database.connect() as connection:
        since = mark(connection)
    invoice = issued_invoice(database, RITA, CARLA)
    claim(database, "render")
    with database.connect() as connection:
        query = "select id::text from public.invoice_documents where invoice_id = %s"
        document = one(connection, query, invoice["id"])
        rows = [
            row for row in after(connection, since, "public.invoice_documents") if row["row_id"] == document
        ]
    assert [(row["op"], row["actor"]) for row in rows] == [
        ("I", f"staff:{RITA.claims['sub']}"),
        ("U", "worker"),
    ]
    assert rows[-1]["changes"]["status"] == ["pending", "rendering"]
