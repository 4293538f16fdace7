"""The portal's tokens where they are worth something: at the edge, PostgREST and Storage of a stack."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from devstack.stack import Stack

NOORD = "11111111-0000-4000-8000-000000000001"
CARLA = {
    "garage_id": NOORD,
    "email": "carla@example.test",
    "password": "Carla-wacht-2026!",
    "pin": "481516",
    "device_id": "carla-phone-noord",
    "fingerprint": "fp-carla",
}
KAREL = {
    "garage_id": NOORD,
    "email": "karel@example.test",
    "password": "Karel-wacht-2026!",
    "pin": "234299",
    "device_id": "karel-phone-noord",
    "fingerprint": "fp-karel",
}
CARLAS_CUSTOMER = "33333333-0000-4000-8000-000000000001"
PDF = b"%PDF-1.7\n% stands for the worker's document\n%%EOF\n"


@dataclass
class Api:
    """The stack's public address, as one app calls it."""

    http: httpx.Client
    settings: dict[str, str]

    def portal(self, path: str, body: dict[str, Any], token: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self.http.post(f"/functions/v1/portal/{path}", json=body, headers=headers)

    def sign_in(self, who: dict[str, str]) -> dict[str, Any]:
        answer = self.portal("login", who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def read(self, view: str, token: str, profile: str = "portal") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "accept-profile": profile}
        return self.http.get(f"/rest/v1/{view}", headers=headers)

    def sql(self, statement: str, *values: object) -> list[Any]:
        with psycopg.connect(self.settings["DB_URL"]) as connection:
            cursor = connection.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Api]:
    settings = stack.environment()
    headers = {"apikey": settings["ANON_KEY"]}
    with httpx.Client(base_url=settings["API_URL"], headers=headers, timeout=30, trust_env=False) as http:
        yield Api(http, settings)


@pytest.fixture(autouse=True)
def no_counters(api: Api) -> None:
    api.sql("delete from private.rate_limits")


@pytest.fixture(scope="module")
def carlas_invoice(api: Api) -> str:
    """An invoice that Rita issued to Carla, its document stored as a worker would."""
    rita = {"email": "rita@garage-noord.test", "password": "autexor-demo"}
    signed_in = api.http.post("/auth/v1/token?grant_type=password", json=rita).json()
    headers = {"authorization": f"Bearer {signed_in['access_token']}", "prefer": "return=representation"}

    def insert(table: str, **row: object) -> dict[str, Any]:
        answer = api.http.post(f"/rest/v1/{table}", json=row, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        rows = answer.json()
        return dict(rows[0] if isinstance(rows, list) else rows)

    invoice = insert("invoices", garage_id=NOORD, customer_id=CARLAS_CUSTOMER)
    line = {"position": 1, "description": "Onderhoud", "quantity": 1, "unit_price": 100, "vat_rate": 21}
    insert("invoice_lines", garage_id=NOORD, invoice_id=invoice["id"], **line)
    insert("rpc/issue_invoice", invoice_id=invoice["id"])
    ((path,),) = api.sql(
        "update public.invoice_documents set status = 'stored', byte_size = %s, sha256 = repeat('0', 64),"
        " page_count = 1, template_version = 'test', stored_at = now() where invoice_id = %s"
        " returning storage_path",
        len(PDF),
        invoice["id"],
    )
    service = {
        "authorization": f"Bearer {api.settings['SERVICE_ROLE_KEY']}",
        "content-type": "application/pdf",
    }
    uploaded = api.http.post(f"/storage/v1/object/invoices/{path}", content=PDF, headers=service)
    assert uploaded.status_code == 200, uploaded.text
    return str(invoice["id"])


@pytest.mark.req("P1", "P5")
def test_a_login_gives_a_token_that_the_published_keys_verify(api: Api) -> None:
    token = api.sign_in(CARLA)["access_token"]
    published = api.http.get("/functions/v1/portal/.well-known/jwks.json").json()
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    issuer = "https://portal.autexor.be"
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="authenticated", issuer=issuer)
    assert (claims["role"], claims["garage_id"], claims["amr"]) == ("portal", NOORD, ["pwd", "pin"])
    assert claims["exp"] - claims["iat"] == 600


@pytest.mark.req("P1", "P3", "P4", "P6")
def test_refused_logins_are_one_answer_through_the_gateway_too(api: Api) -> None:
    refused = [
        api.portal("login", CARLA | {"pin": "481517"}),
        api.portal("login", CARLA | {"email": "nobody@example.test"}),
        api.portal("login", CARLA | {"device_id": "another-phone"}),
        *[api.portal("login", KAREL | {"pin": "000000"}) for _ in range(6)],
    ]
    assert {(answer.status_code, answer.text) for answer in refused} == {(401, refused[0].text)}
    assert api.portal("login", KAREL).status_code == 401
    assert api.portal("login", CARLA).status_code == 200


@pytest.mark.req("P5", "P9")
def test_the_token_reads_the_customers_own_profile_and_nothing_of_the_garage(api: Api) -> None:
    token = api.sign_in(CARLA)["access_token"]
    own = api.read("profile?select=id", token)
    assert (own.status_code, own.json()) == (200, [{"id": CARLAS_CUSTOMER}])
    assert api.read("customers?select=id", token, profile="public").status_code == 403


@pytest.mark.req("P5")
def test_logout_ends_the_token_at_the_next_request(api: Api) -> None:
    phone, web = api.sign_in(CARLA), api.sign_in(CARLA)
    assert api.read("profile", phone["access_token"]).status_code == 200
    assert api.portal("logout", {"refresh_token": phone["refresh_token"]}).status_code == 204
    ended = api.read("profile", phone["access_token"])
    assert (ended.status_code, ended.json()["details"]) == (401, "session_ended")
    assert api.read("profile", web["access_token"]).status_code == 200


@pytest.mark.req("P5", "P6")
def test_a_stolen_refresh_token_ends_the_access_token_as_well(api: Api) -> None:
    tokens = api.sign_in(CARLA)
    thief = {"device_id": "thiefs-phone", "fingerprint": "fp-thief"}
    assert api.read("profile", tokens["access_token"]).status_code == 200
    assert api.portal("refresh", {"refresh_token": tokens["refresh_token"], **thief}).status_code == 401
    assert api.read("profile", tokens["access_token"]).status_code == 401


@pytest.mark.req("P13")
def test_a_customer_opens_the_document_and_that_is_logged(api: Api, carlas_invoice: str) -> None:
    carla = api.sign_in(CARLA)
    answer = api.portal("documents", {"invoice_id": carlas_invoice}, carla["access_token"])
    assert answer.status_code == 200, answer.text
    link = answer.json()
    assert link["expires_in"] == 60
    assert link["filename"].endswith(".pdf")
    signed = httpx.URL(link["signed_url"])
    claims = jwt.decode(signed.params["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
    opened = httpx.get(signed, trust_env=False)
    assert (opened.status_code, opened.content) == (200, PDF)
    assert opened.headers["content-type"] == "application/pdf"
    logged = api.sql(
        "select event, subject_id::text from audit.access_entries where session_id = %s order by id",
        carla["session"]["id"],
    )
    assert logged == [("login", None), ("document_link_issued", carlas_invoice)]


@pytest.mark.req("P13")
def test_nobody_else_gets_the_document(api: Api, carlas_invoice: str) -> None:
    body = {"invoice_id": carlas_invoice}
    carla, karel = api.sign_in(CARLA), api.sign_in(KAREL)
    for_karel = api.portal("documents", body, karel["access_token"])
    invented = api.portal("documents", {"invoice_id": NOORD}, carla["access_token"])
    assert (for_karel.status_code, for_karel.json()["code"]) == (404, "document_not_found")
    assert for_karel.text == invented.text
    assert api.portal("documents", body).status_code == 401
    assert api.portal("documents", body, api.settings["SERVICE_ROLE_KEY"]).status_code == 401
    assert api.portal("documents", body, carla["access_token"]).status_code == 200
    api.portal("logout", {"refresh_token": carla["refresh_token"]})
    ended = api.portal("documents", body, carla["access_token"])
    assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")


@pytest.mark.req("P13")
def test_storage_signs_for_a_customer_only_what_the_edge_granted(api: Api, carlas_invoice: str) -> None:
    token = api.sign_in(CARLA)["access_token"]
    ((path,),) = api.sql(
        "select storage_path from public.invoice_documents where invoice_id = %s", carlas_invoice
    )
    year = {"expiresIn": 31536000}
    headers = {"authorization": f"Bearer {token}"}
    for grant in ({}, {"x-document-grant": "invented"}):
        asked = api.http.post(f"/storage/v1/object/sign/invoices/{path}", json=year, headers=headers | grant)
        assert (asked.status_code, asked.json()["statusCode"]) == (400, "404")
    direct = api.http.get(f"/storage/v1/object/authenticated/invoices/{path}", headers=headers)
    assert direct.status_code == 400
    service = {"authorization": f"Bearer {api.settings['SERVICE_ROLE_KEY']}"}
    allowed = api.http.post(f"/storage/v1/object/sign/invoices/{path}", json=year, headers=service)
    assert allowed.status_code == 200


@pytest.mark.req("P5")
def test_a_tampered_token_is_refused_everywhere(api: Api, carlas_invoice: str) -> None:
    token = api.sign_in(CARLA)["access_token"]
    header, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    forged = urlsafe_b64encode(json.dumps(claims | {"role": "service_role"}).encode()).rstrip(b"=").decode()
    body = {"invoice_id": carlas_invoice}
    for tampered in (f"{header}.{forged}.{signature}", f"{header}.{payload}.{signature[:-8]}AAAAAAAA"):
        refused = api.portal("documents", body, tampered)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
        assert api.read("profile", tampered).status_code == 401
    assert api.portal("documents", body, token).status_code == 200
    assert api.read("profile", token).status_code == 200


@pytest.fixture(scope="module")
def staff(api: Api) -> dict[str, str]:
    """Access tokens of members: Rita of Noord, Marc the mechanic, Otto of Zuid."""
    emails = {
        "rita": "rita@garage-noord.test",
        "marc": "marc@garage-noord.test",
        "otto": "otto@garage-zuid.test",
    }

    def token(email: str) -> str:
        body = {"email": email, "password": "autexor-demo"}
        answer = api.http.post("/auth/v1/token?grant_type=password", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    return {name: token(email) for name, email in emails.items()}


def rendered(api: Api, token: str, invoice_id: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return api.http.post("/functions/v1/invoices/pdf", json={"invoice_id": invoice_id}, headers=headers)


@pytest.mark.req("D14", "D12")
def test_staff_have_a_document_rendered_that_nobody_keeps(
    api: Api, staff: dict[str, str], carlas_invoice: str
) -> None:
    kept = "select count(*) from storage.objects"
    before = api.sql(kept)
    first, second = (rendered(api, staff["rita"], carlas_invoice) for _ in range(2))
    assert first.status_code == 200, first.text
    assert (first.headers["content-type"], first.headers["cache-control"]) == ("application/pdf", "no-store")
    ((number,),) = api.sql("select invoice_number from public.invoices where id = %s", carlas_invoice)
    assert first.headers["content-disposition"] == f'attachment; filename="{number}.pdf"'
    assert first.content.startswith(b"%PDF-") and first.content == second.content
    assert api.sql(kept) == before
    logged = api.sql(
        "select actor from audit.access_entries where event = 'document_rendered' and subject_id = %s",
        carlas_invoice,
    )
    assert logged == [("staff:22222222-0000-4000-8000-000000000002",)] * 2


@pytest.mark.req("D14", "D1")
def test_a_garage_that_keeps_no_documents_still_renders_its_own_and_offers_its_customer_none(
    api: Api, staff: dict[str, str], carlas_invoice: str
) -> None:
    token = api.sign_in(CARLA)["access_token"]
    body = {"invoice_id": carlas_invoice}
    assert api.portal("documents", body, token).status_code == 200
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'pdf_storage'"
    )
    api.sql(switch, False, NOORD)
    try:
        assert rendered(api, staff["rita"], carlas_invoice).status_code == 200
        refused = api.portal("documents", body, token)
        assert (refused.status_code, refused.json()["code"]) == (404, "document_not_found")
    finally:
        api.sql(switch, True, NOORD)
    assert api.portal("documents", body, token).status_code == 200


@pytest.mark.req("D14", "D1", "S2")
def test_nobody_else_has_a_document_rendered(api: Api, staff: dict[str, str], carlas_invoice: str) -> None:
    carla = api.sign_in(CARLA)["access_token"]
    answers = {
        name: (answer.status_code, answer.json()["code"])
        for name, answer in {
            "another garage": rendered(api, staff["otto"], carlas_invoice),
            "a mechanic": rendered(api, staff["marc"], carlas_invoice),
            "its customer": rendered(api, carla, carlas_invoice),
            "anon": rendered(api, api.settings["ANON_KEY"], carlas_invoice),
            "a forged token": rendered(api, staff["rita"][:-4] + "AAAA", carlas_invoice),
            "an unknown invoice": rendered(api, staff["rita"], "88888888-0000-4000-8000-000000000099"),
        }.items()
    }
    assert rendered(api, staff["rita"], carlas_invoice).status_code == 200
    assert answers == {
        "another garage": (404, "document_not_found"),
        "a mechanic": (403, "not_allowed"),
        "its customer": (403, "not_allowed"),
        "anon": (401, "invalid_token"),
        "a forged token": (401, "invalid_token"),
        "an unknown invoice": (404, "document_not_found"),
    }
