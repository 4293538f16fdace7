"""A link is for one document, one session and one minute: the cases beside the ordinary ones."""

from dataclasses import dataclass

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, OLGA, OTTO, Actor, Customer
from sql_tests.steps import (
    Row,
    change,
    digest,
    draft,
    grant_document,
    issued_invoice,
    look,
    sign_in,
    work,
)

STORE = """
insert into storage.objects (bucket_id, name)
select 'invoices', storage_path from public.invoice_documents where status = 'stored'
on conflict do nothing
"""
MISSING = "88888888-0000-4000-8000-000000000001"
NOT_FOUND = {"error": "document_not_found"}


@dataclass(frozen=True)
class Desk:
    """Carla, signed in, with invoices of hers and of others that are rendered and stored."""

    database: Database
    session: Row
    token: str
    own: str
    others: dict[str, str]

    @property
    def carla(self) -> Actor:
        return CARLA.with_session(self.session["session_id"])

    def grant(self, invoice_id: object, nonce: str, customer: Customer = CARLA) -> Row:
        return grant_document(self.database, customer, self.session["session_id"], invoice_id, nonce)

    def opens(self, nonce: str | None, actor: Actor | None = None) -> list[str]:
        """The names of the files somebody sees with this nonce in the header."""
        headers = {} if nonce is None else {"x-document-grant": nonce}
        with (actor or self.carla).acting(self.database, headers) as connection:
            return [row["name"] for row in connection.execute("select name from storage.objects")]

    def links(self) -> list[Row]:
        query = "select coalesce(jsonb_agg(e order by id), '[]') from audit.access_entries e"
        query += " where event = 'document_link_issued' and session_id = %s"
        found: list[Row] = look(self.database, query, self.session["session_id"])
        return found


@pytest.fixture(scope="module")
def invoices(database: Database) -> dict[str, str]:
    own = issued_invoice(database, OLGA, CARLA)["id"]
    second = issued_invoice(database, OLGA, CARLA)["id"]
    karels = issued_invoice(database, OLGA, KAREL)["id"]
    at_zuid = issued_invoice(database, OTTO, CARLA_AT_ZUID)["id"]
    work(database)
    change(database, STORE)
    unrendered = issued_invoice(database, OLGA, CARLA)["id"]
    with OLGA.acting(database) as connection:
        drafted = draft(connection, CARLA)
        connection.commit()
    return {
        "own": own,
        "second": second,
        "Karel's": karels,
        "at the other garage": at_zuid,
        "draft": drafted,
        "not yet rendered": unrendered,
        "missing": MISSING,
    }


@pytest.fixture
def desk(calm: Database, invoices: dict[str, str]) -> Desk:
    session, token = sign_in(calm, CARLA)
    return Desk(calm, session, token, invoices["own"], invoices)


@pytest.mark.req("P13", "S3")
def test_a_document_opens_with_the_nonce_alone_and_no_other_does(desk: Desk) -> None:
    granted = desk.grant(desk.own, "nonce a")
    assert set(granted) == {"bucket", "path", "filename"}
    number = look(desk.database, "select invoice_number from public.invoices where id = %s", desk.own)
    assert (granted["bucket"], granted["filename"]) == ("invoices", f"{number}.pdf")
    assert granted["path"].startswith(f"{NOORD}/{desk.own}/")
    assert desk.opens("nonce a") == [granted["path"]]
    assert look(desk.database, "select count(*) from storage.objects") >= 4
    for nonce in (None, "", "nonce b", digest("nonce a"), "NONCE A", "x" * 10_000, "\x00"):
        assert desk.opens(nonce) == []


@pytest.mark.req("P13", "S3")
def test_two_nonces_open_their_own_document_each(desk: Desk) -> None:
    first = desk.grant(desk.own, "nonce of the first")
    second = desk.grant(desk.others["second"], "nonce of the second")
    assert desk.opens("nonce of the first") == [first["path"]]
    assert desk.opens("nonce of the second") == [second["path"]]


@pytest.mark.req("P13", "S3")
@pytest.mark.parametrize("which", ["Karel's", "at the other garage", "draft", "not yet rendered", "missing"])
def test_only_an_own_stored_document_is_granted_and_all_others_are_answered_alike(
    desk: Desk, which: str
) -> None:
    assert desk.grant(desk.others[which], f"nonce {which}") == NOT_FOUND
    assert desk.opens(f"nonce {which}") == []
    assert desk.links() == []
    assert desk.grant(desk.own, f"nonce beside {which}") != NOT_FOUND


@pytest.mark.req("P13")
def test_a_grant_holds_for_a_minute(desk: Desk) -> None:
    desk.grant(desk.own, "nonce of a minute")
    older = (
        "update private.document_grants set expires_at = expires_at - %s::interval where nonce_sha256 = %s"
    )
    change(desk.database, older, "55 seconds", digest("nonce of a minute"))
    assert len(desk.opens("nonce of a minute")) == 1
    change(desk.database, older, "6 seconds", digest("nonce of a minute"))
    assert desk.opens("nonce of a minute") == []


@pytest.mark.req("P13")
@pytest.mark.parametrize("customer", [KAREL, CARLA_AT_ZUID], ids=["another account", "another garage"])
def test_a_session_of_somebody_else_is_refused(desk: Desk, customer: Customer) -> None:
    for which in desk.others.values():
        assert desk.grant(which, "nonce", customer) == {"error": "session_ended"}
    assert desk.grant(desk.own, f"nonce beside {customer.number}")["bucket"] == "invoices"


@pytest.mark.req("P13", "D12")
def test_every_link_is_logged(desk: Desk) -> None:
    desk.grant(desk.own, "nonce one")
    desk.grant(desk.own, "nonce two")
    desk.grant(desk.others["Karel's"], "nonce three")
    told = ("actor", "subject_id", "client_ip", "user_agent", "garage_id")
    expected = (f"customer:{CARLA.account_id}", str(desk.own), "192.0.2.1", "tests", NOORD)
    assert [tuple(link[key] for key in told) for link in desk.links()] == [expected] * 2


@pytest.mark.req("P13")
def test_of_several_versions_the_newest_stored_one_is_granted(desk: Desk) -> None:
    first = desk.grant(desk.own, "nonce of version 1")["path"]
    newer = "insert into public.invoice_documents (garage_id, invoice_id, version) values (%s, %s, 2)"
    change(desk.database, newer, NOORD, desk.own)
    assert desk.grant(desk.own, "nonce while 2 is pending")["path"] == first
    work(desk.database)
    assert desk.grant(desk.own, "nonce of version 2")["path"] != first


@pytest.mark.req("D2", "P13")
def test_switching_pdf_storage_off_ends_live_grants_and_on_again_restores_them(desk: Desk) -> None:
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'pdf_storage'"
    )
    assert desk.grant(desk.others["second"], "nonce of the switch")["path"]
    assert len(desk.opens("nonce of the switch")) == 1
    change(desk.database, switch, False, NOORD)
    assert desk.opens("nonce of the switch") == []
    change(desk.database, switch, True, NOORD)
    assert len(desk.opens("nonce of the switch")) == 1
