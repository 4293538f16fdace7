"""Credit notes: whole or partial, with a series of their own, and never more than was invoiced."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import (
    Row,
    claim,
    denied,
    draft,
    finish,
    issue,
    issued_invoice,
    look,
    one,
    refused,
    sign_in,
    work,
)

pytestmark = pytest.mark.req("D7")

CENTS = (("Moer", 1, "0.07", 21), ("Bout", 1, "0.07", 21), ("Ring", 1, "0.07", 21))
BALANCE = "select balance from public.invoice_balances where invoice_id = %s"
STATUS = "select payment_status from public.invoice_balances where invoice_id = %s"


def credit(connection: Connection, invoice_id: object, reason: str | None = "Verkeerd onderdeel") -> str:
    """Draft a credit note of a whole invoice; its id."""
    query = "select id::text from public.credit_invoice(%s, %s)"
    row = connection.execute(query.encode(), (invoice_id, reason)).fetchone()
    assert row is not None
    return str(row["id"])


def keep_line(connection: Connection, note_id: str, position: int) -> None:
    """Take all lines but one out of a draft."""
    connection.execute(
        "delete from public.invoice_lines where invoice_id = %s and position <> %s", (note_id, position)
    )


def pay(connection: Connection, invoice_id: object, amount: object) -> None:
    connection.execute(
        "insert into public.payments (garage_id, invoice_id, amount, paid_on, method)"
        " values (%s, %s, %s, private.today_at(%s), 'transfer')",
        (NOORD, invoice_id, amount, NOORD),
    )


def test_a_whole_credit_note_gives_back_everything_and_has_its_own_series(fresh_database: Database) -> None:
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    with RITA.acting(fresh_database) as connection:
        note = issue(connection, credit(connection, invoice["id"]))
        assert one(connection, STATUS, invoice["id"]) == "credited"
        assert one(connection, BALANCE, invoice["id"]) == 0
        later = issue(connection, draft(connection, KAREL))
    year = invoice["year"]
    assert (invoice["invoice_number"], note["invoice_number"]) == (f"{year}-00001", f"CN{year}-00001")
    assert later["invoice_number"] == f"{year}-00002"
    for total in ("net_total", "vat_total", "gross_total"):
        assert note[total] == invoice[total]
    assert note["structured_communication"] is None
    assert note["snapshot"]["kind"] == "credit_note"
    assert note["snapshot"]["credits"]["number"] == invoice["invoice_number"]
    assert note["note"] == "Verkeerd onderdeel"


def test_parts_add_up_to_the_whole_to_the_cent(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, draft(connection, CARLA, CENTS))
        parts = []
        for position in (1, 2, 3):
            note_id = credit(connection, invoice["id"])
            keep_line(connection, note_id, position)
            parts.append(issue(connection, note_id))
        # 21 % of 0.21 is 0.04; three times 21 % of 0.07 would be 0.03.
        assert invoice["vat_total"] == Decimal("0.04")
        assert sum(part["vat_total"] for part in parts) == invoice["vat_total"]
        assert sum(part["gross_total"] for part in parts) == invoice["gross_total"]
        assert one(connection, BALANCE, invoice["id"]) == 0


def test_no_more_is_given_back_than_is_left_at_a_rate(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, draft(connection, CARLA))
        first, second = credit(connection, invoice["id"]), credit(connection, invoice["id"])
        for raised in ("quantity = 1.001", "unit_price = 95.135"):
            with refused("credit_exceeds_invoice", 409), connection.transaction():
                connection.execute(
                    f"update public.invoice_lines set revision = revision + 1, {raised}"
                    " where invoice_id = %s and position = 1".encode(),
                    (second,),
                )
                issue(connection, second)
        with refused("credit_exceeds_invoice", 409), connection.transaction():
            connection.execute(
                "update public.invoice_lines set revision = revision + 1, vat_rate = 12"
                " where invoice_id = %s and position = 1",
                (second,),
            )
            issue(connection, second)
        issue(connection, first)
        with refused("credit_exceeds_invoice", 409), connection.transaction():
            issue(connection, second)


def test_of_two_issued_at_once_only_one_gives_the_money_back(fresh_database: Database) -> None:
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    with RITA.acting(fresh_database) as connection:
        notes = [credit(connection, invoice["id"]) for _ in range(4)]
        connection.commit()

    def attempt(note_id: str) -> bool:
        try:
            with RITA.acting(fresh_database) as connection:
                issue(connection, note_id)
                connection.commit()
        except psycopg.Error as error:
            assert "gives back more" in str(error), error
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, notes)) == [False, False, False, True]
    assert look(fresh_database, "select count(*) from public.invoices where series = 'CN'") == 1
    assert look(fresh_database, "select last_number from public.invoice_series where series = 'CN'") == 1


@pytest.mark.req("D1")
def test_only_an_issued_invoice_of_the_own_garage_is_credited(database: Database) -> None:
    foreign = issued_invoice(database, OTTO, CARLA_AT_ZUID)["id"]
    own = issued_invoice(database, RITA, CARLA)["id"]
    with RITA.acting(database) as connection:
        drafted = draft(connection, CARLA)
        for invoice_id in (foreign, drafted):
            with refused("invoice_not_found", 404), connection.transaction():
                credit(connection, invoice_id)
        for nothing in ("", "  ", None):
            with refused("credit_reason_missing"), connection.transaction():
                credit(connection, own, nothing)
        note = issue(connection, credit(connection, own))
        with refused("credit_note_not_creditable", 409), connection.transaction():
            credit(connection, note["id"])
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        credit(connection, own)


def test_a_credit_note_stays_with_the_customer_and_the_vehicle_of_its_invoice(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    with RITA.acting(database) as connection:
        note_id = credit(connection, invoice["id"])
        move = "update public.invoices set revision = revision + 1, customer_id = %s where id = %s"
        with refused("credit_note_keeps_parties", 409), connection.transaction():
            connection.execute(move, (KAREL.customer_id, note_id))
        connection.execute(move, (CARLA.customer_id, note_id))
        connection.execute(move, (KAREL.customer_id, draft(connection, CARLA, odometer_km=90000)))
        with denied(), connection.transaction():
            connection.execute("update public.invoices set kind = 'invoice' where id = %s", (note_id,))


def test_money_given_back_after_payment_is_owed_until_it_is_refunded(database: Database) -> None:
    with RITA.acting(database) as connection:
        invoice = issue(connection, draft(connection, CARLA))
        pay(connection, invoice["id"], invoice["gross_total"])
        assert one(connection, STATUS, invoice["id"]) == "paid"
        issue(connection, credit(connection, invoice["id"]))
        assert one(connection, STATUS, invoice["id"]) == "overpaid"
        assert one(connection, BALANCE, invoice["id"]) == -invoice["gross_total"]
        pay(connection, invoice["id"], -invoice["gross_total"])
        assert one(connection, STATUS, invoice["id"]) == "credited"


def render(database: Database, invoice: Row) -> None:
    for claimed in claim(database, "render"):
        assert claimed["job"]["snapshot"]["kind"] in ("invoice", "credit_note")
        finish(database, "render", claimed)


@pytest.mark.req("D8", "P11")
def test_the_customer_is_told_and_sees_which_invoice_it_corrects(fresh_database: Database) -> None:
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    work(fresh_database)
    with RITA.acting(fresh_database) as connection:
        drafted = credit(connection, invoice["id"])
        connection.commit()
    session, _ = sign_in(fresh_database, CARLA)
    carla = CARLA.with_session(session["session_id"])
    seen = (
        "select i.kind, i.payment_status, o.invoice_number as credits from portal.invoices i"
        " left join lateral portal.credited_invoice(i) o on true order by i.kind"
    )
    with carla.acting(fresh_database) as connection:
        assert [row["kind"] for row in connection.execute(seen.encode())] == ["invoice"]
    with RITA.acting(fresh_database) as connection:
        issue(connection, drafted)
        connection.commit()
    with carla.acting(fresh_database) as connection:
        note, original = connection.execute(seen.encode()).fetchall()
    assert note == {"kind": "credit_note", "payment_status": None, "credits": invoice["invoice_number"]}
    assert (original["kind"], original["payment_status"]) == ("invoice", "credited")
    render(fresh_database, invoice)
    (mail,) = claim(fresh_database, "send")
    assert mail["job"]["template"] == "credit_note_issued"
    assert mail["job"]["context"]["credits_number"] == invoice["invoice_number"]


def test_a_discarded_credit_note_leaves_no_gap(fresh_database: Database) -> None:
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    with RITA.acting(fresh_database) as connection:
        discarded = credit(connection, invoice["id"])
        connection.execute("delete from public.invoices where id = %s", (discarded,))
        assert issue(connection, credit(connection, invoice["id"]))["number"] == 1
