"""VAT: which lines may go without it or at 6 %, what the document then says, and discounts."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, RITA
from sql_tests.steps import add_line, draft, issue, one, refused

pytestmark = pytest.mark.req("D7")

FRENCH, BELGIAN = "FR40303265045", "BE0403170701"


def categorised(
    connection: Connection, category: str, rate: object = 0, vat_number: str | None = None
) -> str:
    """A draft of one line in a VAT category, for a customer with that VAT number."""
    connection.execute(
        "update public.customers set vat_number = %s where id = %s", (vat_number, CARLA.customer_id)
    )
    invoice_id = draft(connection, CARLA, ())
    add_line(connection, CARLA.garage_id, invoice_id, 1, vat_rate=0)
    connection.execute(
        "update public.invoice_lines set revision = revision + 1, vat_category = %s, vat_rate = %s"
        " where invoice_id = %s",
        (category, rate, invoice_id),
    )
    return invoice_id


@pytest.mark.parametrize(
    ("category", "vat_number", "mentions"),
    [
        ("standard", None, []),
        ("reverse_charge", BELGIAN, ["reverse_charge"]),
        ("reverse_charge", FRENCH, ["reverse_charge"]),
        ("intra_community", FRENCH, ["intra_community"]),
        ("margin", None, ["margin"]),
        ("exempt", None, ["exempt"]),
    ],
)
def test_a_line_without_vat_says_why(
    busy_database: Database, category: str, vat_number: str | None, mentions: list[str]
) -> None:
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, categorised(connection, category, 0, vat_number))
    assert invoice["vat_total"] == 0
    assert invoice["snapshot"]["mentions"] == mentions
    assert invoice["snapshot"]["vat"][0]["category"] == category


@pytest.mark.parametrize(
    ("category", "vat_number", "code"),
    [
        ("reverse_charge", None, "vat_number_required"),
        ("intra_community", None, "foreign_vat_number_required"),
        ("intra_community", BELGIAN, "foreign_vat_number_required"),
    ],
)
def test_vat_is_not_left_out_for_a_customer_who_owes_it(
    busy_database: Database, category: str, vat_number: str | None, code: str
) -> None:
    with RITA.acting(busy_database) as connection, refused(code):
        issue(connection, categorised(connection, category, 0, vat_number))


@pytest.mark.parametrize("category", ["reverse_charge", "intra_community", "margin", "exempt"])
def test_only_ordinary_lines_carry_vat(busy_database: Database, category: str) -> None:
    with RITA.acting(busy_database) as connection, refused("vat_rate_not_zero"):
        categorised(connection, category, 21, FRENCH)


def test_six_per_cent_on_a_car_needs_an_attest_of_the_day(busy_database: Database) -> None:
    record = "update public.vehicles set attest_717_reference = %s, attest_717_valid_from = %s where id = %s"
    with RITA.acting(busy_database) as connection:
        for reference, valid_from in ((None, None), ("717/1", "2100-01-01")):
            connection.execute(record, (reference, valid_from, CARLA.vehicle_id))
            with refused("attest_717_required"), connection.transaction():
                issue(connection, draft(connection, CARLA))
        connection.execute(record, ("717/1", "2020-01-01", CARLA.vehicle_id))
        snapshot = issue(connection, draft(connection, CARLA))["snapshot"]
        assert snapshot["mentions"] == ["attest_717"]
        assert snapshot["vehicle"]["attest_717_reference"] == "717/1"
        with refused("attest_717_incomplete"), connection.transaction():
            connection.execute(record, ("717/1", None, CARLA.vehicle_id))
        connection.execute(record, (None, None, CARLA.vehicle_id))
        books = draft(connection, CARLA, [("Boek", 1, 10, 6)], odometer_km=None)
        connection.execute(
            "update public.invoices set revision = revision + 1, vehicle_id = null where id = %s", (books,)
        )
        assert issue(connection, books)["snapshot"]["mentions"] == []


CENT = Decimal("0.01")
PERCENT = st.decimals("0", "100", places=2)
LINE = st.tuples(
    st.decimals("0.001", "50", places=3),
    st.decimals("0", "900", places=4),
    PERCENT,
    st.sampled_from((21, 12)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, min_size=1, max_size=4), discount=PERCENT)
def test_discounts_are_what_decimal_arithmetic_says(
    busy_database: Database, lines: list[tuple[Decimal, Decimal, Decimal, int]], discount: Decimal
) -> None:
    totals: dict[int, Decimal] = {}
    for quantity, price, percent, rate in lines:
        net = (quantity * price * (100 - percent) / 100).quantize(CENT, ROUND_HALF_UP)
        totals[rate] = totals.get(rate, Decimal(0)) + net
    bases = {
        rate: (total * (100 - discount) / 100).quantize(CENT, ROUND_HALF_UP) for rate, total in totals.items()
    }
    if (sum(totals.values()) * (100 - discount) / 100).quantize(CENT, ROUND_HALF_UP) <= 0:
        return
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA, ())
        connection.execute(
            "update public.invoices set revision = revision + 1, discount_percent = %s where id = %s",
            (discount, invoice_id),
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity,"
                " unit_price, discount_percent, vat_rate) values (%s, %s, %s, 'Werk', %s, %s, %s, %s)",
                [(CARLA.garage_id, invoice_id, n, *line) for n, line in enumerate(lines, start=1)],
            )
        invoice = issue(connection, invoice_id)
        groups = connection.execute(
            "select vat_rate, base, vat, discount from public.invoice_vat_totals where invoice_id = %s",
            (invoice_id,),
        ).fetchall()
    assert {int(g["vat_rate"]): (g["base"], g["discount"]) for g in groups} == {
        rate: (base, totals[rate] - base) for rate, base in bases.items()
    }
    vat = sum((base * rate / 100).quantize(CENT, ROUND_HALF_UP) for rate, base in bases.items())
    assert (invoice["vat_total"], invoice["gross_total"]) == (vat, sum(bases.values()) + vat)


@pytest.mark.parametrize("percent", ["-1", "100.01", "1.005", "NaN"])
def test_a_discount_that_is_none_is_refused(busy_database: Database, percent: str) -> None:
    with RITA.acting(busy_database) as connection:
        invoice_id = draft(connection, CARLA)
        for table, key in (("invoices", "id"), ("invoice_lines", "invoice_id")):
            change = (
                f"update public.{table} set revision = revision + 1, discount_percent = %s where {key} = %s"
            )
            with refused("discount_invalid"), connection.transaction():
                connection.execute(change.encode(), (percent, invoice_id))
            connection.execute(change.encode(), ("7.50", invoice_id))


def test_the_vat_return_shows_what_was_issued_and_what_was_credited(fresh_database: Database) -> None:
    query = "select * from public.vat_totals(private.today_at(%s) + %s, private.today_at(%s) + %s)"
    with RITA.acting(fresh_database) as connection:
        invoice = issue(connection, draft(connection, CARLA))
        note_id = one(connection, "select id from public.credit_invoice(%s, 'Retour')", invoice["id"])
        connection.execute(
            "delete from public.invoice_lines where invoice_id = %s and position = 1", (note_id,)
        )
        issue(connection, str(note_id))
        draft(connection, CARLA)
        rows = connection.execute(query, (CARLA.garage_id, 0, CARLA.garage_id, 0)).fetchall()
        assert connection.execute(query, (CARLA.garage_id, 1, CARLA.garage_id, 9)).fetchall() == []
    assert [tuple(map(str, row.values())) for row in rows] == [
        ("standard", "21.00", "95.13", "19.98", "0", "0"),
        ("standard", "6.00", "20.01", "1.20", "20.01", "1.20"),
    ]
