"""A new customer: Olga invites Nele by mail, who chooses password and PIN on her phone and is in."""

import re
from typing import Any, cast
from uuid import uuid4

import httpx
from supabase import Client

from cli.client import anonymous
from cli.commands.demo.cast import NOORD, PortalCustomer
from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack
from cli.commands.demo.portal import login
from cli.commands.demo.waiting import mails_to, wait_for

Record = dict[str, Any]
LINK = re.compile(r"/activate#garage=([0-9a-f-]{36})&token=([0-9a-f]{64})")


def invite_a_newcomer(stack: LocalStack, olga: Client, facts: Facts) -> None:
    """The invitation, its mail, the activation, and that the link works once."""
    facts.step("Olga invites a new customer, who activates her access by the mail and signs in")
    number = uuid4().hex[:8]
    nele = PortalCustomer(
        "Nele", f"nele-{number}@example.test", "vier-paarden-in-mei", "270951", f"nele-{number}", "fp-nele"
    )
    facts.prove("before that she does not get in", login(stack, nele).status_code == 401)
    garage_id, token = _invite(stack, olga, nele)
    facts.prove("a worker mails her a link of her own", garage_id == NOORD, nele.email)
    weak = _activate(stack, nele, token, pin="123456")
    facts.deny(
        "the PIN 123456",
        control="another one is taken",
        expected="pin_too_weak",
        actual=weak.json().get("code"),
    )
    activated = _activate(stack, nele, token).raise_for_status().json()
    portal = anonymous(stack.api_url, stack.anon_key, token=activated["access_token"], schema="portal")
    profile = cast(list[Record], portal.table("profile").select("full_name, email").execute().data)
    facts.prove(
        "with a password and a PIN of her choice she reads her own profile",
        [row["email"] for row in profile] == [nele.email],
        profile[0]["full_name"] if profile else "nothing",
    )
    facts.prove("and signs in again on that phone", login(stack, nele).status_code == 200)
    facts.deny(
        "the same link a second time",
        control="it worked once",
        expected=(404, "link_invalid"),
        actual=_refusal(_activate(stack, nele, token)),
    )


def _invite(stack: LocalStack, olga: Client, nele: PortalCustomer) -> tuple[str, str]:
    """Garage and token of the link in her mail, once it is in the sandbox's inbox."""
    row = {"garage_id": NOORD, "full_name": "Nele Nieuw", "email": nele.email}
    customer = cast(list[Record], olga.table("customers").insert(row).execute().data)[0]
    olga.rpc("invite_customer", {"customer_id": customer["id"]}).execute()

    def find() -> tuple[str, str] | None:
        links = (LINK.search(mail["text"]) for mail in mails_to(stack, nele.email))
        return next(((link[1], link[2]) for link in links if link), None)

    return wait_for("The invitation", find)


def _activate(stack: LocalStack, nele: PortalCustomer, token: str, pin: str = "") -> httpx.Response:
    body = {
        "token": token,
        "password": nele.password,
        "pin": pin or nele.pin,
        "device_id": nele.device_id,
        "fingerprint": nele.fingerprint,
        "label": "Nele's phone",
    }
    return httpx.post(f"{stack.api_url}/functions/v1/portal/activate", json=body, timeout=30)


def _refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code"))
