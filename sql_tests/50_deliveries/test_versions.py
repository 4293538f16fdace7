"""Versions of a document: a new one beside the old, each with the template it was made with."""

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, MARC, NOORD, OTTO, RITA
from sql_tests.steps import change, claim, draft, finish, issued_invoice, one, refused, work

pytestmark = pytest.mark.req("D14")

AGAIN = "select version from public.render_again(%s)"


def test_a_document_made_again_is_a_new_version_and_the_customer_is_not_told_twice(
    fresh_database: Database,
) -> None:
    invoice = issued_invoice(fresh_database, RITA, CARLA)
    (first,) = claim(fresh_database, "render")
    with RITA.acting(fresh_database) as connection, refused("document_in_progress", 409):
        one(connection, AGAIN, invoice["id"])
    finish(fresh_database, "render", first)
    work(fresh_database)
    with RITA.acting(fresh_database) as connection:
        assert one(connection, AGAIN, invoice["id"]) == 2
        connection.commit()
    (second,) = claim(fresh_database, "render")
    assert second["job"]["snapshot"] == first["job"]["snapshot"]
    assert second["job"]["storage_path"] != first["job"]["storage_path"]
    finish(fresh_database, "render", second)
    assert claim(fresh_database, "send") == []
    with RITA.acting(fresh_database) as connection:
        kept = connection.execute(
            "select version, status from public.invoice_documents where invoice_id = %s order by version",
            (invoice["id"],),
        ).fetchall()
    assert [tuple(row.values()) for row in kept] == [(1, "stored"), (2, "stored")]


@pytest.mark.req("D1", "D2")
def test_only_an_issued_invoice_of_the_own_garage_is_rendered_again_and_only_where_documents_are_kept(
    fresh_database: Database,
) -> None:
    own = issued_invoice(fresh_database, RITA, CARLA)["id"]
    foreign = issued_invoice(fresh_database, OTTO, CARLA_AT_ZUID)["id"]
    work(fresh_database)
    with RITA.acting(fresh_database) as connection:
        for invoice_id in (foreign, draft(connection, CARLA)):
            for query in (AGAIN, "select public.render_source(%s)"):
                with refused("invoice_not_found", 404), connection.transaction():
                    one(connection, query, invoice_id)
        assert one(connection, AGAIN, own) == 2
    with MARC.acting(fresh_database) as connection, refused("permission_missing", 403):
        one(connection, AGAIN, own)
    change(
        fresh_database,
        "update public.garage_modules set is_enabled = false where garage_id = %s and module = 'pdf_storage'",
        NOORD,
    )
    with RITA.acting(fresh_database) as connection, refused("module_closed", 403):
        one(connection, AGAIN, own)
    with RITA.acting(fresh_database) as connection:
        source = one(connection, "select public.render_source(%s)", own)
        assert source["snapshot"]["number"] == source["invoice_number"]
