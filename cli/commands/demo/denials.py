"""Step 5: what nobody else may do, each beside the same request by someone who may."""

import time
from collections.abc import Callable
from typing import Any, cast

import httpx
from postgrest import APIError
from supabase import Client

from cli.client import anonymous
from cli.commands.demo.cast import CARLA, KAREL, KARELS_ACCOUNT
from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack
from cli.commands.demo.portal import PortalSession, login, open_session
from cli.commands.demo.tokens import with_claims

Record = dict[str, Any]

PORTAL_VIEWS = (
    "profile",
    "garage",
    "vehicles",
    "odometer_readings",
    "invoices",
    "invoice_lines",
    "invoice_vat_totals",
    "conversations",
    "messages",
)
PUBLIC_TABLES = ("customers", "vehicles", "invoices", "invoice_lines", "messages", "memberships")
NOBODY = "00000000-0000-4000-8000-000000000000"


def refuse_everyone_else(
    stack: LocalStack,
    rita: Client,
    otto: Client,
    carla: PortalSession,
    invoice: Record,
    document: Record,
    facts: Facts,
) -> None:
    """Every denial of the story, told one by one."""
    facts.step("Nobody else gets in")
    karel = open_session(stack, KAREL)
    path = document["storage_path"]
    _refuse_reading(stack, rita, otto, karel, invoice, facts)
    _refuse_files(stack, otto, carla, karel, invoice, path, facts)
    _refuse_signing_in(stack, carla, facts)
    _refuse_portal_writes(stack, carla, facts)
    _refuse_changes(rita, invoice, facts)
    _refuse_expired_link(stack, path, facts)


def refusal(call: Callable[[], object]) -> str:
    """The stable code (or SQLSTATE) an API call was refused with; "allowed" if it was not."""
    try:
        call()
    except APIError as error:
        is_ours = (error.code or "").startswith("PT")
        return str(error.details if is_ours else error.code)
    return "allowed"


def _refuse_reading(
    stack: LocalStack, rita: Client, otto: Client, karel: PortalSession, invoice: Record, facts: Facts
) -> None:
    anon = anonymous(stack.api_url, stack.anon_key)
    seen = facts.values["rows_seen"]
    seen["rita"] = _rows_of(rita, invoice)
    seen["otto"] = _rows_of(otto, invoice)
    seen["karel"] = {
        "invoices": len(karel.rows("invoices", "id", invoice["id"])),
        "invoice_lines": len(karel.rows("invoice_lines", "invoice_id", invoice["id"])),
    }
    nothing = {"invoices": 0, "invoice_lines": 0}
    own = len(cast(list[Record], karel.client.table("profile").select("id").execute().data))
    facts.prove("Karel himself is signed in and reads his own profile", own == 1)
    control = f"Carla reads {seen['carla']['invoices']} invoice, {seen['carla']['invoice_lines']} lines"
    facts.deny("Karel reading Carla's invoice", control=control, expected=nothing, actual=seen["karel"])
    control = f"Rita reads {seen['rita']['invoices']} invoice, {seen['rita']['invoice_lines']} lines"
    facts.deny("Otto reading it from Garage Zuid", control=control, expected=nothing, actual=seen["otto"])
    actual = refusal(lambda: anon.table("invoices").select("id").eq("id", invoice["id"]).execute())
    seen["anon"] = nothing
    facts.deny("anybody reading it unsigned", control="Rita reads it", expected="42501", actual=actual)


def _rows_of(member: Client, invoice: Record) -> dict[str, int]:
    invoices = member.table("invoices").select("id").eq("id", invoice["id"]).execute().data
    lines = member.table("invoice_lines").select("id").eq("invoice_id", invoice["id"]).execute().data
    return {"invoices": len(invoices), "invoice_lines": len(lines)}


def _refuse_files(
    stack: LocalStack,
    otto: Client,
    carla: PortalSession,
    karel: PortalSession,
    invoice: Record,
    path: str,
    facts: Facts,
) -> None:
    link = karel.request_document(invoice["id"])
    actual = (link.status_code, link.json().get("code"))
    facts.deny(
        "Karel asking for a link to her PDF",
        control="Carla got one",
        expected=(404, "document_not_found"),
        actual=actual,
    )
    session = otto.auth.get_session()
    attempts = (
        ("Otto fetching the file", "Rita downloaded it", session.access_token if session else ""),
        ("Carla fetching it without a link", "with one she got it", carla.access_token),
        ("anybody fetching it unsigned", "Rita downloaded it", stack.anon_key),
    )
    for name, control, bearer in attempts:
        fetched = httpx.get(
            f"{stack.api_url}/storage/v1/object/authenticated/invoices/{path}",
            headers={"Authorization": f"Bearer {bearer}", "apikey": stack.anon_key},
            timeout=10,
        )
        facts.deny(name, control=control, expected=400, actual=fetched.status_code)


def _refuse_signing_in(stack: LocalStack, carla: PortalSession, facts: Facts) -> None:
    answer = login(stack, CARLA, pin="000000")
    actual = (answer.status_code, answer.json().get("code"))
    facts.deny(
        "a wrong PIN",
        control="the right one opened a session",
        expected=(401, "invalid_login"),
        actual=actual,
    )
    tampered = with_claims(carla.access_token, sub=KARELS_ACCOUNT)
    answer = httpx.get(
        f"{stack.api_url}/rest/v1/profile",
        headers={
            "Authorization": f"Bearer {tampered}",
            "apikey": stack.anon_key,
            "Accept-Profile": "portal",
        },
        timeout=10,
    )
    facts.deny(
        "a token changed to name Karel",
        control="the untouched one reads her profile",
        expected=401,
        actual=answer.status_code,
    )


def _refuse_portal_writes(stack: LocalStack, carla: PortalSession, facts: Facts) -> None:
    answers: dict[str, int] = {}
    targets = [("portal", view) for view in PORTAL_VIEWS] + [("public", table) for table in PUBLIC_TABLES]
    with httpx.Client(base_url=f"{stack.api_url}/rest/v1/", timeout=10) as http:
        http.headers.update({"Authorization": f"Bearer {carla.access_token}", "apikey": stack.anon_key})
        for schema, name in targets:
            for verb in ("POST", "PATCH", "DELETE"):
                key = "invoice_id" if name == "invoice_vat_totals" else "id"
                request = http.build_request(
                    verb,
                    name if verb == "POST" else f"{name}?{key}=eq.{NOBODY}",
                    json=None if verb == "DELETE" else {key: NOBODY},
                    headers={"Content-Profile": schema},
                )
                answers[f"{verb} {schema}.{name}"] = http.send(request).status_code
    facts.values["portal_writes"] = {"tried": len(answers), "allowed": sum(v < 400 for v in answers.values())}
    facts.deny(
        f"any of {len(answers)} writes by the portal to a table",
        control="she wrote her message through the RPC",
        expected=[403],
        actual=sorted(set(answers.values())),
    )


def _refuse_changes(rita: Client, invoice: Record, facts: Facts) -> None:
    change = rita.table("invoices").update({"note": "anders"}).eq("id", invoice["id"])
    facts.deny(
        "changing it after issue",
        control="Rita wrote the draft",
        expected="invoice_is_issued",
        actual=refusal(change.execute),
    )
    again = rita.rpc("issue_invoice", {"invoice_id": invoice["id"]})
    facts.deny(
        "issuing it twice",
        control="the first time gave it its number",
        expected="invoice_already_issued",
        actual=refusal(again.execute),
    )


def _refuse_expired_link(stack: LocalStack, path: str, facts: Facts) -> None:
    # Carla's own link lives a minute: the operator's key makes one of a second to the same object.
    operator = anonymous(stack.api_url, stack.service_role_key)
    url = operator.storage.from_("invoices").create_signed_url(path, 1)["signedURL"] or ""
    fresh = httpx.get(url, timeout=10).status_code
    time.sleep(2.1)
    expired = httpx.get(url, timeout=10).status_code
    facts.values["signed_url"]["expired"] = expired
    facts.deny(
        "a signed URL of one second, two seconds later",
        control=f"at once it answered {fresh}",
        expected=400,
        actual=expired,
    )
