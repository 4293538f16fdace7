"""Searching: any part of a name, plate, number or reference, within one's own garage and permissions."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import draft, issue, one, refused

pytestmark = pytest.mark.req("D4", "D5", "D7")


def found(connection: Connection, query: str, limit: int = 20) -> list[tuple[str, str]]:
    rows = connection.execute("select kind, title from public.search(%s, %s)", (query, limit))
    return [(row["kind"], row["title"]) for row in rows]


@pytest.mark.parametrize("query", ["1-ABC-234", "1abc234", "1 abc", "abc2", "wvwzzzcdz", " MW123456 "])
def test_a_vehicle_is_found_by_part_of_its_plate_or_vin(busy_database: Database, query: str) -> None:
    with MARC.acting(busy_database) as connection:
        assert ("vehicle", "1-ABC-234") in found(connection, query)


@pytest.mark.parametrize("query", ["Amelie", "LEFÈV", "lefev", "noel@example", "0470 12 99", "be0403.170"])
def test_a_customer_is_found_with_and_without_accents(busy_database: Database, query: str) -> None:
    with RITA.acting(busy_database) as connection:
        connection.execute(
            "insert into public.customers (garage_id, kind, full_name, email, phone, vat_number)"
            " values (%s, 'person', 'Amélie Lefèvre-Noël', 'noel@example.be', '+32470129900',"
            " 'BE0403170701')",
            (NOORD,),
        )
        assert found(connection, query) == [("customer", "Amélie Lefèvre-Noël")]


def test_an_invoice_is_found_by_number_and_by_reference_and_the_exact_one_comes_first(
    busy_database: Database,
) -> None:
    with RITA.acting(busy_database) as connection:
        invoice = issue(connection, draft(connection, KAREL))
        number, reference = invoice["invoice_number"], invoice["structured_communication"]
        for query in (number, reference, reference.strip("+"), number.replace("-", "")):
            assert found(connection, query)[0] == ("invoice", number), query
        assert len(found(connection, str(invoice["year"]))) > 1
        assert len(found(connection, str(invoice["year"]), 1)) == 1
        drafted = draft(connection, KAREL)
        ids = connection.execute("select id::text from public.search(%s, 100)", (number[:4],))
        assert drafted not in {row["id"] for row in ids}


@pytest.mark.parametrize("query", ["%%%", "___", "\\\\\\", "a%b", "'; --"])
def test_wildcards_and_quotes_are_letters(busy_database: Database, query: str) -> None:
    with RITA.acting(busy_database) as connection:
        assert found(connection, query) == []
        connection.execute(
            "insert into public.customers (garage_id, kind, full_name) values (%s, 'person', %s)",
            (NOORD, f"x{query}x"),
        )
        assert found(connection, query) == [("customer", f"x{query}x")]


@pytest.mark.req("D1", "D3")
def test_each_sees_of_their_own_garage_what_they_may_read(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        name = one(connection, "select full_name from public.customers where id = %s", CARLA.customer_id)
        assert ("customer", name) in found(connection, name)
        assert ("vehicle", "1-ABC-234") in found(connection, "1-ABC-234")
    with MARC.acting(busy_database) as connection:
        assert found(connection, name) == []
        assert ("vehicle", "1-ABC-234") in found(connection, "1-ABC-234")
    with OTTO.acting(busy_database) as connection:
        assert found(connection, "1-ABC-234") == []
    spoof = OTTO.but("Otto naming Noord", garage_id=NOORD)
    with spoof.acting(busy_database) as connection, refused("membership_not_live", 403):
        found(connection, "1-ABC-234")


@pytest.mark.parametrize(
    ("query", "limit", "code"),
    [
        ("ab", 20, "search_too_short"),
        ("", 20, "search_too_short"),
        (None, 20, "search_too_short"),
        ("x" * 101, 20, "search_too_short"),
        ("abc", 0, "limit_invalid"),
        ("abc", 101, "limit_invalid"),
    ],
)
def test_a_search_that_would_answer_with_everything_is_refused(
    busy_database: Database, query: str, limit: int, code: str
) -> None:
    with RITA.acting(busy_database) as connection, refused(code):
        found(connection, query, limit)
