"""Amounts, quantities, dates and account numbers as people in Belgium read them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

from workers.core.payload import Locale

# English readers get British conventions: CLDR's en_BE writes "1.234,50", which they misread.
CLDR: dict[Locale, str] = {"nl": "nl_BE", "fr": "fr_BE", "en": "en_GB"}
_PATTERNS: dict[Locale, str] = {
    "nl": "¤\xa0#,##0.{0};-¤\xa0#,##0.{0}",
    "fr": "#,##0.{0}\xa0¤",
    "en": "¤#,##0.{0}",
}


def amount(value: Decimal, locale: Locale) -> str:
    """An amount of euros with two decimals: `€ 1.234,50`, `1 234,50 €`, `€1,234.50`."""
    return _euros(value, locale, decimals=2)


def unit_price(value: Decimal, locale: Locale) -> str:
    """A price per unit: two decimals, up to four when it has them."""
    needed = -int(value.normalize().as_tuple().exponent)
    return _euros(value, locale, decimals=max(2, min(4, needed)))


def _euros(value: Decimal, locale: Locale, decimals: int) -> str:
    pattern = _PATTERNS[locale].format("0" * decimals)
    return format_currency(value, "EUR", pattern, locale=CLDR[locale], currency_digits=False)


def quantity(value: Decimal, locale: Locale) -> str:
    """A quantity without needless zeros: `1`, `1,25`."""
    return format_decimal(value.normalize(), locale=CLDR[locale], decimal_quantization=False)


def kilometres(value: int, locale: Locale) -> str:
    """An odometer reading: `84.512 km`."""
    return f"{format_decimal(value, locale=CLDR[locale])}\xa0km"


def percentage(rate: Decimal, locale: Locale) -> str:
    """A VAT rate given in percent: `21%`, `21 %`."""
    return format_percent(rate / 100, locale=CLDR[locale], decimal_quantization=False)


def short_date(day: date) -> str:
    """`22/11/2026`, which all three languages read alike in Belgium."""
    return day.strftime("%d/%m/%Y")


def long_date(day: date, locale: Locale) -> str:
    """`22 november 2026`."""
    return format_date(day, "long", locale=CLDR[locale])


def long_moment(moment: datetime, locale: Locale) -> str:
    """`22 november 2026 om 14:30`."""
    at = {"nl": "om", "fr": "à", "en": "at"}[locale]
    return f"{long_date(moment.date(), locale)} {at} {moment:%H:%M}"


def iban_groups(iban: str) -> str:
    """An IBAN in groups of four, held together by no-break spaces."""
    compact = "".join(iban.split()).upper()
    return "\xa0".join(compact[start : start + 4] for start in range(0, len(compact), 4))


def vat_groups(number: str) -> str:
    """A Belgian VAT number as `BE 0123.456.749`; any other is left as it is."""
    compact = number.replace(".", "").replace(" ", "").upper()
    if len(compact) != 12 or not compact.startswith("BE") or not compact[2:].isdigit():
        return number
    return f"BE\xa0{compact[2:6]}.{compact[6:9]}.{compact[9:]}"
