"""Step 4: Carla signs in on the portal, reads what is hers, opens the PDF and writes to the garage."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import jwt
from supabase import Client

from cli.client import anonymous
from cli.commands.demo.cast import CARLA, NOORD, PortalCustomer
from cli.commands.demo.facts import Facts
from cli.commands.demo.listening import listen_while
from cli.commands.demo.local_stack import LocalStack

Record = dict[str, Any]


@dataclass(frozen=True)
class PortalSession:
    """A signed-in customer: the official client in the schema `portal`, and the tokens behind it."""

    client: Client
    access_token: str
    stack: LocalStack

    def request_document(self, invoice_id: str) -> httpx.Response:
        """Ask the edge for a link to an invoice's PDF."""
        return httpx.post(
            f"{self.stack.api_url}/functions/v1/portal/documents",
            json={"invoice_id": invoice_id},
            headers={"Authorization": f"Bearer {self.access_token}"},
            timeout=30,
        )

    def rows(self, view: str, column: str, value: str) -> list[Record]:
        """The rows this customer sees of a portal view where a column has this value."""
        return cast(list[Record], self.client.table(view).select("*").eq(column, value).execute().data)


def login(stack: LocalStack, customer: PortalCustomer, pin: str | None = None) -> httpx.Response:
    """Sign in at the edge from the customer's own device, with another PIN if given."""
    body = {
        "garage_id": NOORD,
        "email": customer.email,
        "password": customer.password,
        "pin": pin or customer.pin,
        "device_id": customer.device_id,
        "fingerprint": customer.fingerprint,
    }
    return httpx.post(f"{stack.api_url}/functions/v1/portal/login", json=body, timeout=30)


def page_url(stack: LocalStack, customer: PortalCustomer) -> str:
    """The reference portal, playing the installation that the seeds bound to this customer."""
    played = {"garage": NOORD, "device_id": customer.device_id, "fingerprint": customer.fingerprint}
    return f"{stack.api_url}/portal/#{urlencode(played)}"


def open_session(stack: LocalStack, customer: PortalCustomer) -> PortalSession:
    """Sign a customer in. Raises httpx.HTTPStatusError when the edge refuses."""
    answer = login(stack, customer).raise_for_status().json()
    client = anonymous(stack.api_url, stack.anon_key, token=answer["access_token"], schema="portal")
    return PortalSession(client, answer["access_token"], stack)


def visit(stack: LocalStack, rita: Client, otto: Client, invoice: Record, facts: Facts) -> PortalSession:
    """Carla's whole visit; returns her session for the denials that follow."""
    facts.step("Carla signs in on the portal, reads her invoice, opens the PDF and writes to the garage")
    carla = open_session(stack, CARLA)
    _check_token(stack, carla, facts)
    _check_reading(carla, invoice, facts)
    _check_document(carla, invoice, facts)
    _check_message(rita, otto, carla, facts)
    return carla


def _check_token(stack: LocalStack, carla: PortalSession, facts: Facts) -> None:
    keys = jwt.PyJWKSet.from_dict(
        httpx.get(f"{stack.api_url}/functions/v1/portal/.well-known/jwks.json", timeout=10).json()
    )
    key = keys[jwt.get_unverified_header(carla.access_token)["kid"]]
    claims = jwt.decode(carla.access_token, key, algorithms=["ES256"], audience="authenticated")
    facts.prove(
        "password, PIN and device gave a short ES256 token of the role portal, signed by a published key",
        claims["role"] == "portal" and claims["exp"] - claims["iat"] == 600,
        f"{claims['exp'] - claims['iat']} seconds",
    )


def _check_reading(carla: PortalSession, invoice: Record, facts: Facts) -> None:
    profile = cast(list[Record], carla.client.table("profile").select("full_name,email").execute().data)
    vehicles = cast(list[Record], carla.client.table("vehicles").select("plate").execute().data)
    invoices = carla.rows("invoices", "id", invoice["id"])
    lines = carla.rows("invoice_lines", "invoice_id", invoice["id"])
    facts.prove("she sees her own profile alone", len(profile) == 1, profile[0]["full_name"])
    facts.prove("her car", len(vehicles) == 1, vehicles[0]["plate"])
    facts.prove(
        "her invoice with its lines",
        len(invoices) == 1 and len(lines) == len(invoice["snapshot"]["lines"]),
        f"{invoices[0]['invoice_number']}, {len(lines)} lines",
    )
    facts.prove(
        "with the text of a QR code that pays what is left of it",
        f"\nEUR{invoices[0]['balance']:.2f}\n" in invoices[0]["payment_qr"],
        f"EUR {invoices[0]['balance']:.2f}",
    )
    facts.prove("and no snapshot or internal note", not {"snapshot", "internal_note"} & set(invoices[0]))
    facts.values["rows_seen"] = {"carla": {"invoices": len(invoices), "invoice_lines": len(lines)}}


def _check_document(carla: PortalSession, invoice: Record, facts: Facts) -> None:
    answer = carla.request_document(invoice["id"]).raise_for_status().json()
    fetched = httpx.get(answer["signed_url"], timeout=30)
    facts.values["signed_url"] = {"fresh": fetched.status_code, "expires_in": answer["expires_in"]}
    facts.prove(
        "her signed URL, good for a minute, gives the very PDF that was filed",
        fetched.status_code == 200
        and hashlib.sha256(fetched.content).hexdigest() == facts.values["pdf"]["sha256"],
        answer["filename"],
    )


def _check_message(rita: Client, otto: Client, carla: PortalSession, facts: Facts) -> None:
    body = f"Dank u! Een vraag over factuur {facts.values['invoice_number']}: wanneer is de volgende beurt?"

    def send() -> Record:
        answer = carla.client.rpc("send_message", {"body": body}).execute().data
        return cast(Record, answer[0] if isinstance(answer, list) else answer)

    heard = listen_while(carla.stack, f"garage:{NOORD}:conversations", {"rita": rita, "otto": otto}, send)
    facts.values["message"] = {"id": heard.sent["id"], "milliseconds": heard.milliseconds}
    facts.values["messages_heard"] = {name: len(heard.notices[name] or []) for name in ("rita", "otto")}
    told = [notice["message_id"] for notice in heard.notices["rita"] or []]
    read = rita.table("messages").select("id, body").in_("id", told).execute().data
    facts.prove(
        "her message reaches Rita over Realtime, who reads it",
        read == [{"id": heard.sent["id"], "body": body}],
        f"{heard.milliseconds} ms",
    )
    facts.prove("and Otto is not let into that channel", heard.notices["otto"] is None)
