from decimal import Decimal

import pytest

from workers.core import money
from workers.core.jobs import Locale


@pytest.mark.parametrize(
    ("locale", "text"), [("nl", "€\xa01.234,50"), ("fr", "1\u202f234,50\xa0€"), ("en", "€1,234.50")]
)
def test_amounts_are_written_as_readers_of_the_language_expect(locale: Locale, text: str) -> None:
    assert money.amount(Decimal("1234.5"), locale) == text
    assert money.amount(Decimal("-1234.5"), locale) == "-" + text


def test_a_unit_price_shows_its_fractions_of_a_cent_and_no_more() -> None:
    prices = ["95.1250", "100.0000", "0.0015", "12.1000"]
    assert [money.unit_price(Decimal(price), "en") for price in prices] == [
        "€95.125",
        "€100.00",
        "€0.0015",
        "€12.10",
    ]


def test_quantities_have_no_needless_zeros() -> None:
    assert [money.quantity(Decimal(n), "nl") for n in ("1.000", "1.250", "100.000")] == ["1", "1,25", "100"]


def test_rates_are_percentages() -> None:
    assert money.percentage(Decimal("21.00"), "fr") == "21\xa0%"
    assert money.percentage(Decimal("5.50"), "nl") == "5,5%"


def test_numbers_of_accounts_and_companies_are_grouped() -> None:
    assert money.iban_groups("be68539007547034") == "BE68\xa05390\xa00754\xa07034"
    assert money.vat_groups("BE0123456749") == "BE\xa00123.456.749"
    assert money.vat_groups("FR40303265045") == "FR40303265045"
