"""The text of a payment QR code (EPC069-12) of an invoice: what is left to pay, read back by a scanner."""

import io
from collections.abc import Iterator
from decimal import Decimal

import pytest
import segno
import zxingcpp
from PIL import Image

from devstack.testing import Connection, Database
from sql_tests import probes, steps
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, RITA, Customer
from sql_tests.steps import one
from workers.core.jobs import Snapshot
from workers.core.payment import epc_payload

pytestmark = pytest.mark.req("P11", "D7")

PAY = """
insert into public.payments (garage_id, invoice_id, amount, paid_on, method)
values (%s, %s, %s, current_date - 1, 'transfer')
"""


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def invoice_of(connection: Connection, customer: Customer) -> steps.Row:
    query = (
        "select * from public.invoices where customer_id = %s and kind = 'invoice' and issued_at is not null"
    )
    row = connection.execute(query, (customer.customer_id,)).fetchone()
    assert row is not None
    return row


def offered(connection: Connection, invoice_id: object, column: str = "payment_qr") -> object:
    with probes.acting(connection, CARLA.actor):
        return one(connection, f"select {column} from portal.invoices where id = %s", invoice_id)


def scanned(text: str) -> str:
    picture = io.BytesIO()
    segno.make_qr(text, error="m", boost_error=False, encoding="utf-8").save(picture, kind="png", scale=4)
    (code,) = zxingcpp.read_barcodes(Image.open(picture))
    return str(code.text)


def test_a_scanned_code_pays_what_is_left_of_the_invoice(connection: Connection) -> None:
    invoice = invoice_of(connection, CARLA)
    left = invoice["gross_total"] - 1  # the busy database paid 1 euro
    lines = scanned(str(offered(connection, invoice["id"]))).split("\n")
    garage = invoice["snapshot"]["garage"]
    assert lines == [
        *("BCD", "002", "1", "SCT", garage["bic"], garage["legal_name"], garage["iban"]),
        *(f"EUR{left}", "", invoice["structured_communication"]),
    ]
    assert offered(connection, invoice["id"], "balance") == left
    connection.execute(PAY, (NOORD, invoice["id"], Decimal("10.50")))
    assert f"\nEUR{left - Decimal('10.50')}\n" in str(offered(connection, invoice["id"]))


def test_an_unpaid_invoice_shows_the_very_text_of_its_document(connection: Connection) -> None:
    with probes.acting(connection, OLGA):
        invoice = steps.issue(connection, steps.draft(connection, CARLA))
        connection.execute("reset role")
        assert offered(connection, invoice["id"]) == epc_payload(Snapshot.model_validate(invoice["snapshot"]))


def test_nothing_to_pay_offers_no_code(connection: Connection) -> None:
    invoice = invoice_of(connection, CARLA)
    assert offered(connection, invoice["id"])
    connection.execute(PAY, (NOORD, invoice["id"], invoice["gross_total"] - 1))
    assert offered(connection, invoice["id"], "payment_status") == "paid"
    assert offered(connection, invoice["id"]) is None
    with probes.acting(connection, RITA):
        drafted = connection.execute(
            "select * from public.credit_invoice(%s, 'Verkeerd')", (invoice["id"],)
        ).fetchone()
        assert drafted is not None
        note = steps.issue(connection, drafted["id"])
        connection.execute("reset role")
        assert (offered(connection, note["id"]), offered(connection, note["id"], "balance")) == (None, None)


def test_a_code_names_the_account_of_the_document_whatever_the_garage_writes_later(
    connection: Connection,
) -> None:
    invoice = invoice_of(connection, CARLA)
    before = offered(connection, invoice["id"])
    connection.execute("update public.garages set iban = 'BE71096123456769' where id = %s", (NOORD,))
    assert offered(connection, invoice["id"]) == before


@pytest.mark.req("D1")
def test_nobody_elses_invoice_gives_a_code(connection: Connection) -> None:
    call = "select private.payment_qr(%s, %s, 10)"
    own, karels = (invoice_of(connection, who)["id"] for who in (CARLA, KAREL))
    connection.execute("grant usage on schema private to portal")
    with probes.acting(connection, CARLA.actor):
        assert one(connection, call, NOORD, own)
        assert one(connection, call, NOORD, karels) is None
