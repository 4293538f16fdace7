"""Customers: what staff may write down, and what is refused with a code and a hint."""

import pytest
import stdnum.be.vat
import stdnum.iban

from devstack.testing import Connection, Database
from sql_tests.cast import MARC, NOORD, RITA
from sql_tests.steps import one, refused

pytestmark = pytest.mark.req("D4")


def add(connection: Connection, **values: object) -> dict[str, object]:
    columns = {"garage_id": NOORD, "full_name": "Sofie Maes", **values}
    names = ", ".join(columns)
    places = ", ".join(["%s"] * len(columns))
    row = connection.execute(
        f"insert into public.customers ({names}) values ({places}) returning *".encode(),
        list(columns.values()),
    ).fetchone()
    assert row is not None
    return row


def test_numbers_and_addresses_are_kept_in_one_form(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        row = add(connection, email=" Sofie@Example.BE ", phone="+32470123456", vat_number="be 0403.170.701")
    assert (row["email"], row["vat_number"]) == ("sofie@example.be", "BE0403170701")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"email": "sofie"}, "email_invalid"),
        ({"email": "sofie@example"}, "email_invalid"),
        ({"email": "a@b.be, c@d.be"}, "email_invalid"),
        ({"email": "a@b.be\nBcc: c@d.be"}, "email_invalid"),
        ({"email": ""}, "email_invalid"),
        ({"phone": "04701234"}, "phone_invalid"),
        ({"phone": "+32 470"}, "phone_invalid"),
        ({"vat_number": "BE0403170700"}, "vat_number_invalid"),
        ({"vat_number": "BE403170701"}, "vat_number_invalid"),
        ({"vat_number": "0403170701"}, "vat_number_invalid"),
    ],
)
def test_a_wrong_value_is_refused_on_insert_and_update(
    busy_database: Database, values: dict[str, object], code: str
) -> None:
    with RITA.acting(busy_database) as connection, refused(code):
        add(connection, **values)
    (column, value), *_ = values.items()
    with RITA.acting(busy_database) as connection:
        assert one(connection, "select count(*) from public.customers where full_name = 'Sofie Maes'") == 0
        with refused(code):
            connection.execute(f"update public.customers set {column} = %s".encode(), (value,))


def test_a_mechanic_adds_no_customer_and_a_receptionist_does(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection, refused("permission_missing", 403):
        add(connection)
    with RITA.acting(busy_database) as connection:
        assert add(connection)["full_name"] == "Sofie Maes"


def test_belgian_vat_numbers_are_valid_as_the_reference_library_says(busy_database: Database) -> None:
    candidates = [
        f"{base:08d}{check:02d}" for base in range(403_1700, 403_1720) for check in range(0, 100, 7)
    ]
    candidates += [f"{base:08d}{97 - base % 97:02d}" for base in range(4_031_701, 20_000_000, 123_457)]
    with busy_database.connect() as connection:
        for number in candidates:
            # The library works modulo 97 and so takes 00 and 98 for 97 and 01, which are never given out.
            expected = stdnum.be.vat.is_valid(number) and 1 <= int(number[-2:]) <= 97
            assert one(connection, "select private.is_vat_number(%s)", f"BE{number}") == expected, number


def test_ibans_are_valid_as_the_reference_library_says(busy_database: Database) -> None:
    good = ["BE68539007547034", "BE71096123456769", "NL91ABNA0417164300", "FR1420041010050500013M02606"]
    mangled = [
        iban[:at] + ("1" if iban[at] != "1" else "2") + iban[at + 1 :] for iban in good for at in range(2, 16)
    ]
    with busy_database.connect() as connection:
        for iban in [*good, *mangled, "BE6853900754703", "be68539007547034", "", "BE68 5390 0754 7034"]:
            expected = stdnum.iban.is_valid(iban, check_country=False) and iban.isalnum() and iban.isupper()
            assert one(connection, "select private.is_iban(%s)", iban) == expected, iban
