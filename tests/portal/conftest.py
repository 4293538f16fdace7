"""A stack in which Carla has an invoice whose document is stored, for her app and a real browser."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from devstack.stack import Stack

NOORD = "11111111-0000-4000-8000-000000000001"
CARLA = "33333333-0000-4000-8000-000000000001"
CARLAS_CAR = "44444444-0000-4000-8000-000000000001"
PDF = b"%PDF-1.7\n% stands for the worker's document\n%%EOF\n"
NELE = ("Nele Nieuw", "nele@example.test")
NOOR = ("Noor Nieuw", "noor@example.test")
MAILED = """
select m.token from private.portal_mails m
  join public.communications c on c.garage_id = m.garage_id and c.id = m.communication_id
 where c.recipient = %s
"""
STORED = """
update public.invoice_documents
   set status = 'stored', byte_size = %s, sha256 = repeat('0', 64), page_count = 1, template_version = 'test',
       stored_at = now() where invoice_id = %s returning storage_path
"""


@pytest.fixture(scope="package")
def portal(stack: Stack) -> Iterator[dict[str, str]]:
    """What an app is told: API_URL, ANON_KEY, Carla's INVOICE_ID and the invitations of two new customers.

    DB_URL is for the test itself.
    """
    settings = stack.environment()
    invited = {"INVITED_EMAIL": NELE[1], "INVITATION_TOKEN": _invitation(settings, *NELE)}
    invited |= {"INVITED_EMAIL_2": NOOR[1], "INVITATION_TOKEN_2": _invitation(settings, *NOOR)}
    yield {**settings, "INVOICE_ID": _invoice_with_document(settings), **invited}


@pytest.fixture(autouse=True)
def no_counters(portal: dict[str, str]) -> None:
    """Nobody is locked out by the test before."""
    with psycopg.connect(portal["DB_URL"]) as connection:
        connection.execute("delete from private.rate_limits")


def _invitation(settings: dict[str, str], name: str, email: str) -> str:
    """Olga invites somebody; the token in the mail that no worker has sent yet."""
    with httpx.Client(base_url=settings["API_URL"], timeout=30, trust_env=False) as http:
        olga = {"email": "olga@garage-noord.test", "password": "autexor-demo"}
        key = {"apikey": settings["ANON_KEY"]}
        signed_in = http.post("/auth/v1/token?grant_type=password", json=olga, headers=key).json()
        token = {"authorization": f"Bearer {signed_in['access_token']}", "prefer": "return=representation"}
        customer = {"garage_id": NOORD, "full_name": name, "email": email}
        made = http.post("/rest/v1/customers", json=customer, headers=token).raise_for_status().json()
        asked = {"customer_id": made[0]["id"]}
        http.post("/rest/v1/rpc/invite_customer", json=asked, headers=token).raise_for_status()
    with psycopg.connect(settings["DB_URL"]) as connection:
        row = connection.execute(MAILED, (email,)).fetchone()
    assert row is not None
    return str(row[0])


def _invoice_with_document(settings: dict[str, str]) -> str:
    with httpx.Client(base_url=settings["API_URL"], timeout=30, trust_env=False) as http:
        rita = {"email": "rita@garage-noord.test", "password": "autexor-demo"}
        key = {"apikey": settings["ANON_KEY"]}
        signed_in = http.post("/auth/v1/token?grant_type=password", json=rita, headers=key).json()
        token = {"authorization": f"Bearer {signed_in['access_token']}", "prefer": "return=representation"}

        def post(path: str, **row: object) -> Any:
            return http.post(f"/rest/v1/{path}", json=row, headers=token).raise_for_status().json()

        owner = {"garage_id": NOORD, "customer_id": CARLA, "vehicle_id": CARLAS_CAR, "odometer_km": 84512}
        invoice_id = str(post("invoices", **owner)[0]["id"])
        line = {"position": 1, "description": "Onderhoud", "quantity": 1, "unit_price": 100, "vat_rate": 21}
        post("invoice_lines", garage_id=NOORD, invoice_id=invoice_id, **line)
        post("rpc/issue_invoice", invoice_id=invoice_id)
        with psycopg.connect(settings["DB_URL"]) as connection:
            row = connection.execute(STORED, (len(PDF), invoice_id)).fetchone()
        assert row is not None
        service = {
            "authorization": f"Bearer {settings['SERVICE_ROLE_KEY']}",
            "content-type": "application/pdf",
        }
        http.post(f"/storage/v1/object/invoices/{row[0]}", content=PDF, headers=service).raise_for_status()
    return invoice_id
