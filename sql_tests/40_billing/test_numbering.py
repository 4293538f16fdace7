"""Numbers without gaps and structured communications, whoever issues at the same time."""

import random
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import stdnum.be.ogm_vcs

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, OTTO, RITA
from sql_tests.steps import change, draft, issue, issued_invoice, look, one

pytestmark = pytest.mark.req("D7")


def issue_some(database: Database, seed: int) -> int:
    """Issue eight invoices, of which some are rolled back; how many stay."""
    chance = random.Random(seed)
    kept = 0
    for _ in range(8):
        with RITA.acting(database) as connection:
            issue(connection, draft(connection, chance.choice((CARLA, KAREL))))
            if chance.random() < 0.7:
                connection.commit()
                kept += 1
    return kept


def test_numbers_have_no_gap_and_no_double_under_sixteen_issuers_with_rollbacks(
    fresh_database: Database,
) -> None:
    with ThreadPoolExecutor(16) as pool:
        kept = sum(pool.map(lambda seed: issue_some(fresh_database, seed), range(16)))
    with fresh_database.connect() as connection:
        rows = connection.execute(
            "select number, invoice_number, year from public.invoices"
            " where issued_at is not null order by number"
        ).fetchall()
    assert 0 < kept < 128
    assert [row["number"] for row in rows] == list(range(1, kept + 1))
    assert [row["invoice_number"] for row in rows] == [f"{row['year']}-{row['number']:05d}" for row in rows]


def test_each_garage_counts_for_itself(fresh_database: Database) -> None:
    first, second = issued_invoice(fresh_database, RITA, CARLA), issued_invoice(fresh_database, RITA, KAREL)
    other = issued_invoice(fresh_database, OTTO, CARLA_AT_ZUID)
    assert (first["number"], second["number"], other["number"]) == (1, 2, 1)
    assert first["structured_communication"] != second["structured_communication"]


def test_an_invoice_issued_twice_at_the_same_time_gets_one_number(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.commit()

    def try_to_issue(_: int) -> str:
        with RITA.acting(fresh_database) as connection:
            try:
                issue(connection, invoice_id)
            except psycopg.Error as error:
                return str(error.diag.message_detail)
            connection.commit()
            return "issued"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(try_to_issue, range(4)))
    assert outcomes == [*["invoice_already_issued"] * 3, "issued"]
    assert (
        look(fresh_database, "select sum(last_number) from public.invoice_series where garage_id = %s", NOORD)
        == 1
    )


def test_a_structured_communication_is_valid_as_the_reference_library_says(busy_database: Database) -> None:
    chance = random.Random(2026)
    bases = [0, 1, 96, 97, 98, 9_999_999_999, *(97 * n for n in range(1, 50))]
    bases += [chance.randrange(10**10) for _ in range(500)]
    with busy_database.connect() as connection:
        for base in bases:
            text = one(connection, "select private.structured_communication(%s::bigint)", base)
            digits = text.strip("+").replace("/", "")
            assert digits == f"{base:010d}" + stdnum.be.ogm_vcs.calc_check_digits(f"{base:010d}")
            assert stdnum.be.ogm_vcs.is_valid(digits)
            assert text == f"+++{digits[:3]}/{digits[3:7]}/{digits[7:]}+++"


def test_an_issued_invoice_carries_its_own_valid_communication(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        rows = connection.execute(
            "select structured_communication, year, number from public.invoices where status = 'issued'"
        ).fetchall()
    assert len(rows) == 2
    for row in rows:
        digits = row["structured_communication"].strip("+").replace("/", "")
        assert stdnum.be.ogm_vcs.is_valid(digits)
        assert digits[:10] == f"{row['year'] % 100:02d}{row['number']:08d}"


def test_the_hundred_thousandth_number_is_as_long_as_it_must_be(fresh_database: Database) -> None:
    issued_invoice(fresh_database, RITA, CARLA)
    change(fresh_database, "update public.invoice_series set last_number = 99999")
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    assert invoice["invoice_number"] == f"{invoice['year']}-100000"
    assert stdnum.be.ogm_vcs.is_valid(invoice["structured_communication"])


def test_a_later_number_never_has_an_earlier_date(fresh_database: Database) -> None:
    first = issued_invoice(fresh_database, RITA, CARLA)
    change(fresh_database, "update public.invoice_series set last_issue_date = last_issue_date + 1")
    later = issued_invoice(fresh_database, RITA, CARLA)
    assert later["number"] == first["number"] + 1
    assert (later["issue_date"] - first["issue_date"]).days == 1
    assert later["snapshot"]["issue_date"] == later["issue_date"].isoformat()
