"""The lists a garage works from: what is open and for how long, and what a day brought in."""

from decimal import Decimal

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, MARC, NOORD, OTTO, RITA
from sql_tests.steps import draft, issue, one

pytestmark = pytest.mark.req("D7")

OPEN = "select invoice_number, overdue_days, ageing, balance from public.open_invoices"


def due(database: Database, days_ago: int) -> str:
    """An issued invoice that fell due so many days ago where the garage is; its id."""
    with RITA.acting(database) as connection:
        invoice = issue(connection, draft(connection, CARLA))
        connection.commit()
    with database.connect() as connection:
        # Nobody may write an issued invoice: the clock is moved by moving its due date.
        connection.execute("alter table public.invoices disable trigger user")
        connection.execute(
            "update public.invoices set due_date = private.today_at(garage_id) - %s where id = %s",
            (days_ago, invoice["id"]),
        )
        connection.execute("alter table public.invoices enable trigger user")
    return str(invoice["id"])


def pay(connection: Connection, invoice_id: str, amount: object, method: str = "transfer") -> None:
    connection.execute(
        "insert into public.payments (garage_id, invoice_id, amount, paid_on, method)"
        " values (%s, %s, %s, private.today_at(%s), %s)",
        (NOORD, invoice_id, amount, NOORD, method),
    )


def test_open_invoices_age_by_the_day_they_fell_due(fresh_database: Database) -> None:
    invoices = {days: due(fresh_database, days) for days in (-1, 0, 1, 30, 31, 60, 61, 90, 91)}
    with RITA.acting(fresh_database) as connection:
        rows = connection.execute(f"{OPEN} order by overdue_days, invoice_number".encode()).fetchall()
        assert [(row["overdue_days"], row["ageing"]) for row in rows] == [
            (0, "not_due"), (0, "not_due"), (1, "1-30"), (30, "1-30"), (31, "31-60"), (60, "31-60"),
            (61, "61-90"), (90, "61-90"), (91, "90+"),
        ]  # fmt: skip
        gross = rows[0]["balance"]
        pay(connection, invoices[91], gross)
        pay(connection, invoices[90], gross - 1)
        note = one(connection, "select id from public.credit_invoice(%s, 'x')", invoices[61])
        issue(connection, str(note))
        left = connection.execute(f"{OPEN} where overdue_days > 60".encode()).fetchall()
    assert [(row["overdue_days"], row["balance"]) for row in left] == [(90, 1)]
    with OTTO.acting(fresh_database) as connection:
        assert connection.execute(OPEN.encode()).fetchall() == []
    with MARC.acting(fresh_database) as connection:
        assert connection.execute(OPEN.encode()).fetchall() == []


def test_a_day_adds_up_what_was_invoiced_credited_and_paid(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        first, second = (issue(connection, draft(connection, CARLA)) for _ in range(2))
        note = one(connection, "select id from public.credit_invoice(%s, 'x')", first["id"])
        issue(connection, str(note))
        pay(connection, second["id"], 100, "cash")
        pay(connection, second["id"], 20, "card")
        pay(connection, second["id"], "-5.50", "cash")
        (day,) = connection.execute("select * from public.day_totals").fetchall()
    assert (day["invoices"], day["credit_notes"]) == (2, 1)
    assert day["gross_total"] == second["gross_total"]
    assert day["net_total"] + day["vat_total"] == day["gross_total"]
    assert (day["paid_total"], day["paid_cash"], day["paid_card"]) == (
        Decimal("114.50"),
        Decimal("94.50"),
        20,
    )
    with OTTO.acting(fresh_database) as connection:
        assert connection.execute("select * from public.day_totals").fetchall() == []


def test_the_second_to_save_a_draft_is_told_that_it_changed(fresh_database: Database) -> None:
    save = "update public.invoices set note = %s, revision = %s where id = %s returning revision"
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.commit()
    with RITA.acting(fresh_database) as first:
        read = one(first, "select revision from public.invoices where id = %s", invoice_id)
        assert one(first, save, "Van Rita", read + 1, invoice_id) == read + 1
        first.commit()
    for stale in (read + 1, read, read + 3):
        with RITA.acting(fresh_database) as second, pytest.raises(Exception, match="at revision 2") as caught:
            second.execute(save, ("Van Olga", stale, invoice_id))
        assert caught.value.diag.message_detail == "changed_meanwhile"
    with RITA.acting(fresh_database) as second:
        assert one(second, save, "Van Olga", read + 2, invoice_id) == read + 2
