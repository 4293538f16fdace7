"""Step 5: what nobody else may do, each beside the same request by someone who may."""

import time
from collections.abc import Callable
from typing import Any, cast

import httpx
from postgrest import APIError
from storage3.exceptions import StorageApiError
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
INVOICE_KEYS = {"invoices": "id", "invoice_lines": "invoice_id"}
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
    _refuse_link_to_karel(karel, invoice, facts)
    _refuse_files(stack, rita, otto, carla, path, facts)
    _refuse_signing_in(stack, carla, facts)
    _refuse_portal_writes(stack, carla, facts)
    _refuse_changes(rita, invoice, facts)
    _refuse_expired_link(stack, path, facts)


def refusal(call: Callable[[], object]) -> str:
    """The stable code (SQLSTATE, Storage's status) a call was refused with; "allowed" if it was not."""
    try:
        call()
    except APIError as error:
        is_ours = (error.code or "").startswith("PT")
        return str(error.details if is_ours else error.code)
    except StorageApiError as error:
        return str(error.status)
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
    answers = {table: _rows_or_code(anon, table, key, invoice) for table, key in INVOICE_KEYS.items()}
    seen["anon"] = {table: rows for table, (rows, _) in answers.items()}
    codes = sorted({code for _, code in answers.values()})
    facts.deny("anybody reading it unsigned", control=control, expected=["42501"], actual=codes)


def _rows_of(member: Client, invoice: Record) -> dict[str, int]:
    queries = {
        table: member.table(table).select("id").eq(key, invoice["id"]) for table, key in INVOICE_KEYS.items()
    }
    return {table: len(query.execute().data) for table, query in queries.items()}


def _rows_or_code(client: Client, table: str, key: str, invoice: Record) -> tuple[int, str]:
    """How many rows came back, and with what code the request was refused (or "allowed")."""
    rows: list[Any] = []
    query = client.table(table).select("id").eq(key, invoice["id"])
    code = refusal(lambda: rows.extend(query.execute().data))
    return len(rows), code


def _refuse_link_to_karel(karel: PortalSession, invoice: Record, facts: Facts) -> None:
    link = karel.request_document(invoice["id"])
    facts.deny(
        "Karel asking for a link to her PDF",
        control="Carla got one",
        expected=(404, "document_not_found"),
        actual=(link.status_code, link.json().get("code")),
    )


def _refuse_files(
    stack: LocalStack, rita: Client, otto: Client, carla: PortalSession, path: str, facts: Facts
) -> None:
    def fetch(bearer: str) -> int:
        url = f"{stack.api_url}/storage/v1/object/authenticated/invoices/{path}"
        return httpx.get(url, headers=_headers(stack, bearer), timeout=10).status_code

    control = f"Rita's same request answered {_expect(facts, 'Rita fetches the file', fetch(_token(rita)))}"
    for name, bearer in (
        ("Otto fetching the file", _token(otto)),
        ("Carla fetching it without a link", carla.access_token),
        ("anybody fetching it unsigned", stack.anon_key),
    ):
        facts.deny(name, control=control, expected=400, actual=fetch(bearer))
    signed = httpx.post(
        f"{stack.api_url}/storage/v1/object/sign/invoices/{path}",
        headers=_headers(stack, _token(rita)),
        json={"expiresIn": 315_360_000},
        timeout=10,
    )
    facts.deny(
        "Rita having a link of ten years signed",
        control="she fetches the file as herself",
        expected=400,
        actual=signed.status_code,
    )


def _expect(facts: Facts, claim: str, status: int) -> int:
    """Check that a control is allowed: a denial beside a refused control would prove nothing."""
    facts.prove(claim, status == 200, status)
    return status


def _token(member: Client) -> str:
    session = member.auth.get_session()
    return session.access_token if session else ""


def _headers(stack: LocalStack, bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}", "apikey": stack.anon_key}


def _refuse_signing_in(stack: LocalStack, carla: PortalSession, facts: Facts) -> None:
    answer = login(stack, CARLA, pin="000000")
    actual = (answer.status_code, answer.json().get("code"))
    facts.deny(
        "a wrong PIN",
        control="the right one opened a session",
        expected=(401, "invalid_login"),
        actual=actual,
    )

    def read_profile(bearer: str) -> int:
        headers = {**_headers(stack, bearer), "Accept-Profile": "portal"}
        return httpx.get(f"{stack.api_url}/rest/v1/profile", headers=headers, timeout=10).status_code

    untouched = _expect(facts, "Carla's token reads her profile", read_profile(carla.access_token))
    tampered = with_claims(carla.access_token, sub=KARELS_ACCOUNT)
    facts.deny(
        "the same token changed to name Karel",
        control=f"untouched it answered {untouched}",
        expected=401,
        actual=read_profile(tampered),
    )


def _refuse_portal_writes(stack: LocalStack, carla: PortalSession, facts: Facts) -> None:
    answers: dict[str, int] = {}
    targets = [("portal", view) for view in PORTAL_VIEWS] + [("public", table) for table in PUBLIC_TABLES]
    with httpx.Client(base_url=f"{stack.api_url}/rest/v1/", timeout=10) as http:
        http.headers.update(_headers(stack, carla.access_token))
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
    # Carla's own link lives a minute: the operator's key makes one of three seconds to the same object.
    operator = anonymous(stack.api_url, stack.service_role_key)
    url = operator.storage.from_("invoices").create_signed_url(path, 3)["signedURL"] or ""
    fresh = _expect(
        facts, "a link of three seconds, signed by the operator", httpx.get(url, timeout=10).status_code
    )
    time.sleep(4.1)
    expired = httpx.get(url, timeout=10).status_code
    facts.values["signed_url"]["expired"] = expired
    facts.deny(
        "that link four seconds later",
        control=f"at once it answered {fresh}",
        expected=400,
        actual=expired,
    )
