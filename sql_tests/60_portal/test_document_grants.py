"""Opening a PDF: the edge asks for one object, for one minute, and it is in the access log."""

import pytest

from devstack.testing import Database
from sql_tests.cast import ANON, CARLA, KAREL, NOORD, OLGA, RITA, Customer
from sql_tests.steps import Row, change, grant_document, issued_invoice, look, one, sign_in, work

pytestmark = pytest.mark.req("P13", "S3")

NOWHERE = "99999999-0000-4000-8000-000000000009"


@pytest.fixture
def invoice(database: Database) -> Row:
    """An invoice of Carla's with its PDF."""
    change(database, "delete from private.rate_limits; update public.garage_modules set is_enabled = true")
    invoice = issued_invoice(database, RITA, CARLA)
    work(database)
    change(
        database,
        "insert into storage.objects (bucket_id, name) select 'invoices', storage_path"
        " from public.invoice_documents where invoice_id = %s",
        invoice["id"],
    )
    return invoice


def files(database: Database, customer: Customer, session_id: object, nonce: str | None = None) -> list[str]:
    """The files that the customer's token shows, with a nonce in the headers or without."""
    headers = {} if nonce is None else {"x-document-grant": nonce}
    with customer.with_session(session_id).acting(database, headers) as connection:
        found = connection.execute("select name from storage.objects order by 1").fetchall()
    return [row["name"] for row in found]


@pytest.mark.req("D12")
def test_a_grant_shows_one_file_with_its_nonce_and_is_logged(database: Database, invoice: Row) -> None:
    session, _ = sign_in(database, CARLA)
    nonce = f"nonce of {invoice['id']}"
    answer = grant_document(database, CARLA, session["session_id"], invoice["id"], nonce)
    assert (answer["bucket"], answer["filename"]) == ("invoices", f"{invoice['invoice_number']}.pdf")
    assert files(database, CARLA, session["session_id"]) == []
    assert files(database, CARLA, session["session_id"], "guessed") == []
    assert files(database, CARLA, session["session_id"], nonce) == [answer["path"]]
    with OLGA.acting(database) as connection:
        logged = (
            "select actor from public.access_entries where event = 'document_link_issued' and subject_id = %s"
        )
        assert one(connection, logged, invoice["id"]) == f"customer:{CARLA.account_id}"


def test_a_nonce_works_in_no_other_session_and_not_after_its_minute(database: Database, invoice: Row) -> None:
    session, _ = sign_in(database, CARLA)
    second, _ = sign_in(database, CARLA)
    karels, _ = sign_in(database, KAREL)
    nonce = f"nonce of {invoice['id']}"
    grant_document(database, CARLA, session["session_id"], invoice["id"], nonce)
    assert files(database, CARLA, second["session_id"], nonce) == []
    assert files(database, KAREL, karels["session_id"], nonce) == []
    assert len(files(database, CARLA, session["session_id"], nonce)) == 1
    change(database, "update private.document_grants set expires_at = now() - interval '1 second'")
    assert files(database, CARLA, session["session_id"], nonce) == []


def test_a_revoked_session_opens_no_file_and_gets_no_grant(database: Database, invoice: Row) -> None:
    session, _ = sign_in(database, CARLA)
    nonce = f"nonce of {invoice['id']}"
    grant_document(database, CARLA, session["session_id"], invoice["id"], nonce)
    change(
        database, "update public.portal_sessions set revoked_at = now() where id = %s", session["session_id"]
    )
    assert files(database, CARLA, session["session_id"], nonce) == []
    again = grant_document(database, CARLA, session["session_id"], invoice["id"], "another nonce")
    assert again == {"error": "session_ended"}


@pytest.mark.req("D2")
@pytest.mark.parametrize("module", ["pdf_storage", "invoicing"])
def test_no_link_is_given_while_the_module_is_closed(database: Database, invoice: Row, module: str) -> None:
    session, _ = sign_in(database, CARLA)
    change(
        database,
        "update public.garage_modules set is_enabled = false where garage_id = %s and module = %s",
        NOORD,
        module,
    )
    answer = grant_document(database, CARLA, session["session_id"], invoice["id"], "no")
    assert answer == {"error": "document_not_found"}


def test_nobody_without_a_token_sees_a_file(database: Database, invoice: Row) -> None:
    with ANON.acting(database, {"x-document-grant": "guessed"}) as connection:
        assert connection.execute("select name from storage.objects").fetchall() == []
    assert look(database, "select count(*) from storage.objects") > 0
