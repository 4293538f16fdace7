"""The garage, the customer and the vehicle as they stand on a document, fitted into their room."""

from __future__ import annotations

import phonenumbers

from workers.core.jobs import Snapshot, SnapshotGarage, SnapshotVehicle
from workers.core.layout import A4
from workers.core.money import iban_groups, vat_groups
from workers.core.text import Typeface, clip, wrap
from workers.core.wording import WORDS

_HOME_COUNTRY = "BE"


def garage_rows(snapshot: Snapshot, typeface: Typeface) -> tuple[str, ...]:
    """The issuer's legal name, address, VAT number and how to reach it (RD no 1, art. 5)."""
    garage, words = snapshot.garage, WORDS[snapshot.locale]
    rows = [
        garage.legal_name,
        _address(garage),
        f"{words.vat} {vat_groups(garage.vat_number)}",
        " · ".join(filter(None, [_phone(garage.phone), garage.email])),
    ]
    return _fitted(rows, A4.garage_width, A4.garage_points, 2, typeface)


def recipient_rows(snapshot: Snapshot, typeface: Typeface) -> tuple[str, ...]:
    """The customer's address block, as an envelope window shows it: two lines per item if all of it fits."""
    customer, words = snapshot.customer, WORDS[snapshot.locale]
    items = [
        *dict.fromkeys([customer.company_name, customer.name]),
        customer.street,
        " ".join(filter(None, [customer.postal_code, customer.city])),
        customer.country_code if customer.country_code != _HOME_COUNTRY else None,
        f"{words.vat} {vat_groups(customer.vat_number)}" if customer.vat_number else None,
    ]
    rows = [item for item in items if item]
    roomy = _fitted(rows, A4.recipient_width, A4.recipient_points, 2, typeface)
    if len(roomy) <= A4.recipient_rows:
        return roomy
    return _fitted(rows, A4.recipient_width, A4.recipient_points, 1, typeface)


def vehicle_name(vehicle: SnapshotVehicle, typeface: Typeface) -> str:
    """Make and model in one line."""
    name = f"{vehicle.make} {vehicle.model}"
    return _fitted([name], A4.vehicle_width, A4.fact_points, 1, typeface)[0]


def imprint(snapshot: Snapshot, typeface: Typeface) -> tuple[str, ...]:
    """The two small lines at the foot of each page: who issued this, and where its money goes."""
    garage, words = snapshot.garage, WORDS[snapshot.locale]
    bank = [f"IBAN {iban_groups(garage.iban)}", f"BIC {garage.bic}" if garage.bic else None]
    rows = [
        f"{garage.legal_name} · {_address(garage)}",
        " · ".join(filter(None, [f"{words.vat} {vat_groups(garage.vat_number)}", *bank])),
    ]
    return _fitted(rows, A4.imprint_width, A4.imprint_points, 1, typeface)


def _address(garage: SnapshotGarage) -> str:
    return f"{garage.street}, {garage.postal_code} {garage.city}"


def _phone(number: str | None) -> str | None:
    if number is None:
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _fitted(rows: list[str], width: float, points: float, most: int, typeface: Typeface) -> tuple[str, ...]:
    wrapped = [clip(wrap(row, width, points, typeface, bold=True), most) for row in rows]
    return tuple(line for lines in wrapped for line in lines)
