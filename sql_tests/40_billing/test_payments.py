"""Payments: whether an invoice is paid follows from them, for staff and for its customer."""

from datetime import timedelta
from decimal import Decimal

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import change, denied, draft, issued_invoice, look, one, refused, sign_in

PAY = (
    "insert into public.payments (garage_id, invoice_id, amount, paid_on, method)"
    " values (%s, %s, %s, private.today_at(%s) + %s, 'transfer')"
)
STATUS = "select payment_status from public.invoice_balances where invoice_id = %s"


def pay(
    connection: Connection, invoice_id: object, amount: object, days: int = 0, garage: str = NOORD
) -> None:
    connection.execute(PAY, (garage, invoice_id, amount, garage, timedelta(days=days).days))


@pytest.mark.req("D7", "P11")
def test_the_status_follows_from_what_was_paid(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    gross = Decimal(invoice["gross_total"])
    session, _ = sign_in(database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    steps = [
        (None, "unpaid"),
        (Decimal("1.00"), "partly_paid"),
        (gross - 1, "paid"),
        (Decimal("0.01"), "overpaid"),
        (Decimal("-0.01"), "paid"),
        (-gross, "unpaid"),
    ]
    for amount, status in steps:
        with RITA.acting(database) as connection:
            if amount is not None:
                pay(connection, invoice["id"], amount)
            assert one(connection, STATUS, invoice["id"]) == status
            connection.commit()
        with carla.acting(database) as connection:
            seen = one(connection, "select payment_status from portal.invoices where id = %s", invoice["id"])
        assert seen == status


@pytest.mark.req("D7")
def test_an_unpaid_invoice_is_overdue_the_day_after_it_was_due(fresh_database: Database) -> None:
    change(fresh_database, "update public.garages set payment_days = 0 where id = %s", NOORD)
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    overdue = "select is_overdue from public.invoice_balances where invoice_id = %s"
    with RITA.acting(fresh_database) as connection:
        assert one(connection, overdue, invoice["id"]) is False
    # A garage far enough to the east is always a day ahead of one to the west.
    change(fresh_database, "update public.garages set time_zone = 'Pacific/Kiritimati' where id = %s", NOORD)
    ahead = look(fresh_database, "select private.today_at(%s) > %s", NOORD, invoice["due_date"])
    with RITA.acting(fresh_database) as connection:
        assert one(connection, overdue, invoice["id"]) is ahead
        pay(connection, invoice["id"], invoice["gross_total"])
        assert one(connection, overdue, invoice["id"]) is False


@pytest.mark.req("D7")
@pytest.mark.parametrize(
    ("amount", "days", "code"),
    [
        (0, 0, "payment_amount_invalid"),
        ("0.001", 0, "payment_amount_invalid"),
        ("NaN", 0, "payment_amount_invalid"),
        (10_000_000, 0, "payment_amount_invalid"),
        (1, 1, "payment_date_invalid"),
    ],
)
def test_a_wrong_payment_is_refused(database: Database, amount: object, days: int, code: str) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    with RITA.acting(database) as connection:
        with refused(code), connection.transaction():
            pay(connection, invoice["id"], amount, days)
        pay(connection, invoice["id"], 1)


@pytest.mark.req("D1", "D7")
def test_only_an_issued_invoice_of_the_own_garage_is_paid(database: Database) -> None:
    foreign = issued_invoice(database, OTTO, CARLA_AT_ZUID)
    own = issued_invoice(database, RITA, KAREL)
    with RITA.acting(database) as connection:
        drafted = draft(connection, CARLA)
        for invoice_id in (foreign["id"], drafted):
            with refused("invoice_not_found", 404), connection.transaction():
                pay(connection, invoice_id, 1)
        pay(connection, own["id"], 1)
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        pay(connection, own["id"], 1)


@pytest.mark.req("D7", "D11")
def test_a_payment_is_never_changed(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    with RITA.acting(database) as connection:
        pay(connection, invoice["id"], 1)
        connection.commit()
        with denied():
            connection.execute("update public.payments set amount = 2")
    with database.connect() as owner, refused("history_is_append_only", 409):
        owner.execute("delete from public.payments")
    assert look(database, "select sum(amount) from public.payments where invoice_id = %s", invoice["id"]) == 1


@pytest.mark.req("P11")
def test_a_customer_sees_what_was_paid_of_their_own_and_nothing_more(busy_database: Database) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        assert one(connection, "select sum(paid_total) from portal.invoices") == 1
        columns = "select string_agg(key, ' ') from portal.invoices i, jsonb_object_keys(to_jsonb(i)) key"
        assert "recorded_by" not in one(connection, columns)
    assert look(busy_database, "select count(*) from public.payments") > 1
