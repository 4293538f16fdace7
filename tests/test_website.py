"""The website's calls where browsers reach them: the stack's gateway, PostgREST, and the official client."""

import gc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from postgrest import APIError, CountMethod
from supabase import Client

from cli.client import anonymous, sign_in
from devstack.stack import Stack

REQUEST = {"kind": "demo", "full_name": "Vera", "message": "Graag een demo", "locale": "nl"}
CARLA = {
    "garage_id": "11111111-0000-4000-8000-000000000001",
    "email": "carla@example.test",
    "password": "Carla-wacht-2026!",
    "pin": "481516",
    "device_id": "carla-phone-noord",
    "fingerprint": "fp-carla",
}
TABLES = ("requests", "request_notes", "mails", "consents", "page_views", "policy_versions", "settings")


@dataclass
class Site:
    """The public address of a stack, and its keys."""

    settings: dict[str, str]

    def post(self, function: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Call a function of the website as a browser does that is not signed in."""
        sent = {"apikey": self.settings["ANON_KEY"], "content-profile": "website"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.settings['API_URL']}/rest/v1/rpc/{function}"
        return httpx.post(url, json=body, headers=sent, timeout=30, trust_env=False)

    def submit(self, email: str | None = None, **headers: str) -> httpx.Response:
        """Hand in a request from some address."""
        body = {**REQUEST, "email": email or f"{uuid4().hex}@example.test"}
        return self.post("submit_request", body, **headers)

    def sql(self, statement: str, *values: object) -> list[Any]:
        """What the owner of the database sees or does."""
        with psycopg.connect(self.settings["DB_URL"]) as connection:
            cursor = connection.execute(statement.encode(), values)
            return list(cursor.fetchall()) if cursor.description else []

    def staff(self, email: str) -> Client:
        """The official client, signed in."""
        return sign_in(self.settings["API_URL"], self.settings["ANON_KEY"], email, "autexor-demo")


@pytest.fixture(scope="module")
def site(stack: Stack) -> Site:
    return Site(stack.environment())


@pytest.fixture(autouse=True)
def no_counters(site: Site) -> Iterator[None]:
    site.sql("delete from private.rate_limits")
    # The official client warns of its own ways and leaves its sockets to the end of the process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


@pytest.mark.req("W1", "W2")
def test_a_visitor_asks_with_the_official_client_and_reads_nothing(site: Site) -> None:
    visitor = anonymous(site.settings["API_URL"], site.settings["ANON_KEY"], schema="website")
    email = f"{uuid4().hex}@example.test"
    answer = visitor.rpc("submit_request", {**REQUEST, "email": email}).execute().data
    assert answer == {"is_received": True}
    refused: list[Any] = [visitor.table(table).select("*") for table in TABLES]
    refused += [visitor.table(table).insert({}) for table in TABLES]
    refused += [visitor.table("requests").delete().eq("status", "new")]
    refused += [visitor.table("requests").update({"status": "closed"}).eq("status", "new")]
    for verb in refused:
        with pytest.raises(APIError) as caught:
            verb.execute()
        assert caught.value.code == "42501"
    ada = site.staff("ada@autexor.test").schema("website")
    (row,) = ada.table("requests").select("*, mails(kind)").eq("email", email).execute().data
    assert (row["legal_basis"], row["status"]) == ("precontractual_steps", "new")  # type: ignore[call-overload, index]


@pytest.mark.req("W1", "D1")
def test_an_owner_of_a_garage_sees_nothing_of_the_website(site: Site) -> None:
    email = f"{uuid4().hex}@example.test"
    assert site.submit(email).status_code == 200
    version = site.post("privacy_policy", {}).json()[0]["version"]
    consent = {"visitor_id": str(uuid4()), "purpose": "statistics", "policy_version": version}
    assert site.post("give_consent", consent).status_code == 200
    assert site.post("record_page_view", {"path": "/"}).status_code == 204
    olga, ada = (site.staff(who).schema("website") for who in ("olga@garage-noord.test", "ada@autexor.test"))
    ((request,),) = site.sql("select id from website.requests where email = %s", email)
    ada.rpc("follow_up", {"request_id": str(request), "note": "Gebeld"}).execute()
    for table in TABLES:
        assert olga.table(table).select("*").execute().data == []
        assert ada.table(table).select("*", count=CountMethod.exact).execute().count, table


@pytest.mark.req("W4", "S4")
def test_a_forged_address_gives_no_fresh_budget(site: Site) -> None:
    def forged(number: int) -> httpx.Response:
        address = f"203.0.113.{number}"
        return site.submit(
            cf_connecting_ip=address, x_forwarded_for=f"{address}, {address}", x_real_ip=address
        )

    codes = [forged(number).status_code for number in range(12)]
    assert codes == [200] * 10 + [429] * 2
    refused = forged(13).json()
    assert (refused["code"], refused["details"]) == ("PT429", "too_many_requests")
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.77"), trust_env=False) as other:
        sent = {"apikey": site.settings["ANON_KEY"], "content-profile": "website"}
        body = {**REQUEST, "email": "other@example.test"}
        url = f"{site.settings['API_URL']}/rest/v1/rpc/submit_request"
        assert other.post(url, json=body, headers=sent).status_code == 200


@pytest.mark.req("W3", "W5", "W8")
def test_a_browser_consents_is_counted_and_withdraws(site: Site) -> None:
    version = site.post("privacy_policy", {"locale": "nl"}).json()[0]["version"]
    visitor = {"visitor_id": str(uuid4()), "purpose": "statistics"}
    seen = {"path": f"/{uuid4()}", "visitor_id": visitor["visitor_id"]}
    counted = "select count(visitor_id) from website.page_views where path like %s"
    assert site.post("record_page_view", seen).status_code == 204
    assert site.post("give_consent", {**visitor, "policy_version": version}).status_code == 200
    assert site.post("has_consent", visitor).json() is True
    assert site.post("record_page_view", seen).status_code == 204
    path = site.sql("select private.page_path(%s)", seen["path"])[0][0]
    assert site.sql(counted, path) == [(1,)]
    assert site.post("withdraw_consent", visitor).status_code == 200
    assert site.post("has_consent", visitor).json() is False
    assert site.sql(counted, path) == [(0,)]


@pytest.mark.req("W1", "W4", "P9")
def test_a_customers_token_opens_the_policy_and_nothing_else_of_the_website(site: Site) -> None:
    login = f"{site.settings['API_URL']}/functions/v1/portal/login"
    signed_in = httpx.post(login, json=CARLA, headers={"apikey": site.settings["ANON_KEY"]}, trust_env=False)
    bearer = f"Bearer {signed_in.json()['access_token']}"
    for function, body in (
        ("submit_request", {**REQUEST, "email": "carla@example.test"}),
        ("record_page_view", {"path": "/"}),
        ("give_consent", {"visitor_id": str(uuid4()), "purpose": "statistics", "policy_version": "x"}),
    ):
        answer = site.post(function, body, authorization=bearer)
        assert (answer.status_code, answer.json()["details"]) == (403, "visitors_only"), function
    assert site.post("privacy_policy", {}, authorization=bearer).status_code == 200
    for function, body in (("export_visitor", {"email": "x"}), ("all_client_errors", {})):
        assert site.post(function, body, authorization=bearer).status_code == 403
    read = httpx.get(
        f"{site.settings['API_URL']}/rest/v1/requests",
        headers={"apikey": site.settings["ANON_KEY"], "authorization": bearer, "accept-profile": "website"},
        trust_env=False,
    )
    assert read.status_code == 403
    assert site.submit().status_code == 200


@pytest.mark.req("D13")
def test_each_app_reports_its_errors_and_a_burst_is_refused(site: Site) -> None:
    report = {"message": f"TypeError {uuid4().hex[:6]}", "url": "https://autexor.be/x?token=abc#t"}
    codes = {site.post("report_error", report, user_agent="Firefox/140").status_code for _ in range(30)}
    assert codes == {204}
    assert site.post("report_error", report).status_code == 429
    (row,) = site.sql(
        "select occurrences, url, user_agent, app from website.client_errors"
        " order by last_seen_at desc limit 1"
    )
    assert row == (30, "https://autexor.be/x", "Firefox/140", "website")
    olga = site.staff("olga@garage-noord.test")
    olga.rpc("report_error", {"message": "at the garage", "stack": "Bearer abcdefghijkl"}).execute()
    (kept,) = olga.table("client_errors").select("*").eq("message", "at the garage").execute().data
    assert (kept["app"], kept["stack"]) == ("dms", "Bearer [token]")  # type: ignore[call-overload, index]
    assert site.staff("otto@garage-zuid.test").table("client_errors").select("*").execute().data == []
