"""What an invoice may not be: each refused with its code and a hint, and nothing half-written."""

from collections.abc import Sequence

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, OTTO, RITA
from sql_tests.steps import LINES, add_line, denied, draft, issue, one, refused

pytestmark = pytest.mark.req("D7")

NOWHERE = "99999999-0000-4000-8000-000000000009"


def counts(connection: Connection) -> object:
    """What an issue writes: series, totals, documents, readings, wake-ups."""
    return connection.execute(
        "select (select sum(last_number) from public.invoice_series) as numbers,"
        " (select count(*) from public.invoice_vat_totals) as totals,"
        " (select count(*) from public.invoice_documents) as documents,"
        " (select count(*) from public.odometer_readings) as readings,"
        " (select count(*) from private.wakeups) as wakeups,"
        " (select count(*) from public.invoices where issued_at is not null) as issued"
    ).fetchone()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("Werk", 0, 10, 21), "quantity_invalid"),
        (("Werk", -1, 10, 21), "quantity_invalid"),
        (("Werk", 100_001, 10, 21), "quantity_invalid"),
        (("Werk", "NaN", 10, 21), "quantity_invalid"),
        (("Werk", "0.0001", 10, 21), "quantity_invalid"),
        (("Werk", 1, -1, 21), "unit_price_invalid"),
        (("Werk", 1, 1_000_001, 21), "unit_price_invalid"),
        (("Werk", 1, "NaN", 21), "unit_price_invalid"),
        (("Werk", 1, 10, 20), "vat_rate_unknown"),
        (("Werk", 1, 10, -6), "vat_rate_unknown"),
        (("Werk", 1, 10, "NaN"), "vat_rate_unknown"),
        (("  ", 1, 10, 21), "description_invalid"),
        (("x" * 501, 1, 10, 21), "description_invalid"),
    ],
)
def test_a_wrong_line_is_refused(
    busy_database: Database, line: tuple[str, object, object, object], code: str
) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.execute("savepoint before")
        with refused(code):
            add_line(connection, NOORD, invoice_id, 3, *line)
        connection.execute("rollback to savepoint before")
        add_line(connection, NOORD, invoice_id, 3)
        assert (
            one(connection, "select count(*) from public.invoice_lines where invoice_id = %s", invoice_id)
            == 3
        )


@pytest.mark.parametrize(
    "line",
    [
        ("Werk", 100_000, 1_000_000, 21),
        ("Werk", 10**10, 10, 21),
        ("Werk", 1, 10**9, 21),
        ("Werk", 1, 10, 100),
    ],
    ids=["product", "quantity", "price", "rate"],
)
def test_an_amount_past_what_a_column_holds_is_refused_with_a_code_of_ours(
    busy_database: Database, line: tuple[str, object, object, object]
) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        with pytest.raises(psycopg.Error) as caught:
            add_line(connection, NOORD, invoice_id, 3, *line)
    assert (caught.value.sqlstate, bool(caught.value.diag.message_hint)) == ("PT422", True)


def refused_issue(
    database: Database,
    code: str,
    lines: Sequence[tuple[str, object, object, object]] = LINES,
    values: str = "note = null",
) -> None:
    with RITA.acting(database) as connection:
        invoice_id = draft(connection, CARLA, lines)
        connection.execute(
            f"update public.invoices set revision = revision + 1, {values} where id = %s".encode(),
            (invoice_id,),
        )
        connection.execute("savepoint before")
        with refused(code):
            issue(connection, invoice_id)
        connection.execute("rollback to savepoint before")
        draft_now = connection.execute(
            "select * from public.invoices where id = %s", (invoice_id,)
        ).fetchone()
    assert draft_now is not None and draft_now["status"] == "draft" and draft_now["number"] is None


def test_an_invoice_without_lines_is_refused(busy_database: Database) -> None:
    refused_issue(busy_database, "invoice_without_lines", lines=[])


def test_an_invoice_of_nothing_is_refused(busy_database: Database) -> None:
    refused_issue(busy_database, "invoice_total_not_positive", lines=[("Gratis nazicht", 1, 0, 21)])


def test_an_invoice_for_a_vehicle_needs_the_odometer(busy_database: Database) -> None:
    refused_issue(busy_database, "vin_and_odometer_required", values="odometer_km = null")


def test_an_invoice_for_a_vehicle_needs_its_vin_and_one_over_the_counter_does_not(
    fresh_database: Database,
) -> None:
    with fresh_database.connect() as connection:
        connection.execute("update public.vehicles set vin = null")
    refused_issue(fresh_database, "vin_and_odometer_required")
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.execute(
            "update public.invoices set revision = 2, vehicle_id = null where id = %s", (invoice_id,)
        )
        assert issue(connection, invoice_id)["snapshot"]["vehicle"] is None


def test_an_invoice_issued_twice_is_refused_the_second_time(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        issue(connection, invoice_id)
        with refused("invoice_already_issued", 409):
            issue(connection, invoice_id)


@pytest.mark.req("D1")
def test_foreign_and_missing_parents_are_refused_alike(busy_database: Database) -> None:
    insert = "insert into public.invoices (garage_id, customer_id, vehicle_id) values (%s, %s, %s)"
    for customer_id in (CARLA_AT_ZUID.customer_id, NOWHERE):
        with RITA.acting(busy_database) as connection, refused("customer_not_found", 404):
            connection.execute(insert, (NOORD, customer_id, None))
    for vehicle_id in (CARLA_AT_ZUID.vehicle_id, NOWHERE):
        with RITA.acting(busy_database) as connection, refused("vehicle_not_found", 404):
            connection.execute(insert, (NOORD, CARLA.customer_id, vehicle_id))
    with RITA.acting(busy_database) as connection:
        assert connection.execute(insert, (NOORD, CARLA.customer_id, KAREL.vehicle_id)).rowcount == 1


@pytest.mark.req("D1")
def test_issuing_a_foreign_and_a_missing_invoice_is_refused_alike(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        query = "select id::text from public.invoices where garage_id = %s and status = 'draft' limit 1"
        foreign = one(connection, query, NOORD)
    answers = []
    for invoice_id in (foreign, NOWHERE):
        with OTTO.acting(busy_database) as connection, pytest.raises(psycopg.Error) as caught:
            issue(connection, invoice_id)
        answers.append(
            (caught.value.sqlstate, str(caught.value.diag.message_primary), caught.value.diag.message_detail)
        )
    assert answers[0] == answers[1] == ("PT404", "This invoice does not exist", "invoice_not_found")
    with RITA.acting(busy_database) as connection:
        assert issue(connection, foreign)["status"] == "issued"


def test_a_refused_issue_leaves_no_number_no_total_and_no_work(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA, lines=[])
        connection.commit()
    with fresh_database.connect() as connection:
        before = counts(connection)
    with RITA.acting(fresh_database) as connection:
        with refused("invoice_without_lines"):
            issue(connection, invoice_id)
        connection.commit()
    with fresh_database.connect() as connection:
        assert counts(connection) == before
    with RITA.acting(fresh_database) as connection:
        add_line(connection, NOORD, invoice_id, 1)
        issue(connection, invoice_id)
        connection.commit()
    with fresh_database.connect() as connection:
        assert counts(connection) != before


@pytest.mark.req("D1")
@pytest.mark.parametrize("status", ["draft", "issued"])
def test_a_line_on_a_foreign_invoice_is_denied_whatever_its_status(
    busy_database: Database, status: str
) -> None:
    with busy_database.connect() as connection:
        query = "select id::text from public.invoices where garage_id = %s and status = %s limit 1"
        foreign = one(connection, query, NOORD, status)
    with OTTO.acting(busy_database) as connection, refused("invoice_not_found", 404):
        add_line(connection, CARLA_AT_ZUID.garage_id, foreign, 9)
    if status == "draft":
        with OTTO.acting(busy_database) as connection, denied():
            add_line(connection, NOORD, foreign, 9)
        with RITA.acting(busy_database) as connection:
            add_line(connection, NOORD, foreign, 9)
    else:
        with RITA.acting(busy_database) as connection, refused("invoice_is_issued", 409):
            add_line(connection, NOORD, foreign, 9)


@pytest.mark.parametrize("date", ["infinity", "-infinity", "10000-01-01", "1999-12-31"])
def test_a_date_no_document_could_print_is_refused(busy_database: Database, date: str) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        change = "update public.invoices set revision = revision + 1, supply_date = %s where id = %s"
        connection.execute(change, ("2026-01-31", invoice_id))
        with refused("date_invalid"):
            connection.execute(change, (date, invoice_id))


def test_nothing_is_invoiced_before_it_is_supplied(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        change = (
            "update public.invoices set revision = revision + 1,"
            " supply_date = private.today_at(garage_id) + %s where id = %s"
        )
        connection.execute(change, (1, invoice_id))
        with refused("supply_date_in_future"), connection.transaction():
            issue(connection, invoice_id)
        connection.execute(change, (0, invoice_id))
        issue(connection, invoice_id)


MANY = (
    "insert into public.invoice_lines (garage_id, invoice_id, position, description, unit_price)"
    " select %s, %s, n, 'Bout ' || n, 0.01 from generate_series(1, %s) n"
)


def test_an_invoice_has_a_thousand_lines_and_not_ten_thousand(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA, lines=[])
        for count in (10_000, 1001):
            with refused("position_invalid"), connection.transaction():
                connection.execute(MANY, (NOORD, invoice_id, count))
        connection.execute(MANY, (NOORD, invoice_id, 1000))
        invoice = issue(connection, invoice_id)
    assert len(invoice["snapshot"]["lines"]) == 1000
    assert str(invoice["gross_total"]) == "12.10"


@pytest.mark.parametrize(
    "text",
    [
        "Remblokken \u202eneppa\u202c",
        "שמן מנוע וסינון",
        "تغيير الزيت",
        "车 保养 🚗👩🏽‍🔧",
        'd\'été l’huile "5W-30" & <b>',
        "regel één\n\tregel twee",
        "'; drop table invoices; --",
        "x" * 500,
    ],
)
def test_any_text_people_write_is_printed_as_they_wrote_it(busy_database: Database, text: str) -> None:
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, draft(connection, CARLA, [(text, 1, 10, 21)]))
    assert invoice["snapshot"]["lines"][0]["description"] == text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e20", "0.00001", "-0.01"])
@pytest.mark.parametrize(
    ("column", "code"),
    [("quantity", "quantity_invalid"), ("unit_price", "unit_price_invalid"),
     ("discount_percent", "discount_invalid")],
)  # fmt: skip
def test_a_number_that_is_no_amount_is_refused_when_it_is_changed(
    busy_database: Database, column: str, code: str, value: str
) -> None:
    change = f"update public.invoice_lines set revision = 2, {column} = %s where invoice_id = %s"
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA, [("Werk", 1, 10, 21)])
        with refused(code), connection.transaction():
            connection.execute(change.encode(), (value, invoice_id))
        assert connection.execute(change.encode(), ("3.25", invoice_id)).rowcount == 1


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-28T22:30Z", "2026-03-28"),  # 23:30, winter time
        ("2026-03-28T23:30Z", "2026-03-29"),  # 00:30, an hour and a half before the clocks go forward
        ("2026-03-29T21:30Z", "2026-03-29"),  # 23:30, summer time
        ("2026-03-29T22:30Z", "2026-03-30"),  # 00:30
        ("2026-10-24T21:30Z", "2026-10-24"),  # 23:30, summer time
        ("2026-10-24T22:30Z", "2026-10-25"),  # 00:30, before the clocks go back
        ("2026-10-25T00:30Z", "2026-10-25"),  # 02:30, for the first time
        ("2026-10-25T01:30Z", "2026-10-25"),  # 02:30, again
        ("2026-10-25T22:30Z", "2026-10-25"),  # 23:30, winter time
        ("2026-10-25T23:30Z", "2026-10-26"),  # 00:30
        ("2026-12-31T23:30Z", "2027-01-01"),
    ],
)
def test_the_date_of_an_issue_is_the_one_on_the_garages_wall_when_the_clocks_change(
    busy_database: Database, moment: str, day: str
) -> None:
    with busy_database.connect() as connection:
        assert str(one(connection, "select private.date_at(%s, %s)", NOORD, moment)) == day
        same = "select private.today_at(%s) = private.date_at(%s, now())"
        assert one(connection, same, NOORD, NOORD) is True
