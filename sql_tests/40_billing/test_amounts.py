"""Amounts against decimal arithmetic: a line is rounded once, VAT is computed on the total of its rate."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devstack.testing import Database
from sql_tests.cast import CARLA, RITA
from sql_tests.steps import draft, issue

CENT = Decimal("0.01")
RATES = (21, 12, 6, 0)
LINE = st.tuples(
    st.just("Werk"),
    st.decimals("0.001", "100", places=3),
    st.decimals("0", "2000", places=4)
    | st.integers(1, 20000).map(lambda n: Decimal(n) / 1000 + Decimal("0.0050")),
    st.sampled_from(RATES),
)


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@pytest.mark.req("D7")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, min_size=1, max_size=6))
@example(
    lines=[("Half cent up", Decimal(1), Decimal("95.1250"), 21), ("again", Decimal(1), Decimal("0.005"), 6)]
)
@example(
    lines=[
        ("VAT on half a cent", Decimal(1), Decimal("0.50"), 21),
        ("of two lines", Decimal(1), Decimal("0.50"), 21),
    ]
)
@example(lines=[("Per rate, not per line", Decimal(1), Decimal("0.07"), 21)] * 3)
def test_totals_are_what_decimal_arithmetic_says(
    busy_database: Database, lines: list[tuple[str, Decimal, Decimal, int]]
) -> None:
    nets = [(rate, rounded(quantity * price)) for _, quantity, price, rate in lines]
    if not sum(net for _, net in nets):
        return
    bases = {rate: sum((n for r, n in nets if r == rate), Decimal(0)) for rate in {rate for rate, _ in nets}}
    expected = {rate: (base, rounded(base * rate / 100)) for rate, base in bases.items()}
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, draft(connection, CARLA, lines))
        rows = connection.execute(
            "select vat_rate, base, vat from public.invoice_vat_totals where invoice_id = %s",
            (invoice["id"],),
        ).fetchall()
    assert {int(row["vat_rate"]): (row["base"], row["vat"]) for row in rows} == expected
    net = sum(base for base, _ in expected.values())
    vat = sum(vat for _, vat in expected.values())
    assert (invoice["net_total"], invoice["vat_total"], invoice["gross_total"]) == (net, vat, net + vat)
    said = invoice["snapshot"]["totals"]
    assert said == {"net": f"{net:.2f}", "vat": f"{vat:.2f}", "gross": f"{net + vat:.2f}"}


@pytest.mark.req("D7")
def test_the_snapshot_says_everything_the_document_needs(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        snapshot = issue(connection, draft(connection, CARLA))["snapshot"]
    assert snapshot["vehicle"] == {
        "plate": "1-ABC-234",
        "make": "Volkswagen",
        "model": "Golf VIII 1.5 TSI",
        "vin": "WVWZZZCDZMW123456",
        "odometer_km": 84512,
        "attest_717_reference": "717/2021/0001",
    }
    assert snapshot["lines"] == [
        {"position": 1, "description": "Onderhoud", "quantity": "1.000", "unit_price": "95.1250",
         "discount_percent": "0.00", "vat_category": "standard", "vat_rate": "21.00", "net_amount": "95.13"},
        {"position": 2, "description": "Waterpomp", "quantity": "2.000", "unit_price": "10.0050",
         "discount_percent": "0.00", "vat_category": "standard", "vat_rate": "6.00", "net_amount": "20.01"},
    ]  # fmt: skip
    assert snapshot["vat"] == [
        {"category": "standard", "rate": "21.00", "discount": "0.00", "base": "95.13", "vat": "19.98"},
        {"category": "standard", "rate": "6.00", "discount": "0.00", "base": "20.01", "vat": "1.20"},
    ]
    assert snapshot["garage"]["vat_number"] == "BE0403170701"
    assert snapshot["garage"]["logo_sha256"]
    assert (snapshot["customer"]["name"], snapshot["locale"]) == ("Carla Verstraete", "nl")
    assert set(snapshot) == {
        "schema", "kind", "number", "issue_date", "supply_date", "due_date", "locale", "currency", "garage",
        "customer", "vehicle", "lines", "vat", "totals", "structured_communication", "note", "credits",
        "discount_percent", "mentions",
    }  # fmt: skip
