"""The sandboxed providers, driven by the libraries that drive the real ones."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from exponent_server_sdk import DeviceNotRegisteredError, PushClient, PushMessage, PushServerError
from python_http_client.exceptions import BadRequestsError, HTTPError, UnauthorizedError
from sendgrid import SendGridAPIClient

from devstack import sandbox
from devstack.config import GatewayConfig
from devstack.sandbox.store import Store

KEY = "SG.devstack.devstack"
TOKEN = "ExponentPushToken[CarlaNoordPhone0000001]"


@pytest.fixture(scope="module")
def url(serve: Any) -> str:
    return str(serve(sandbox.create_app))


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def push(url: str) -> Iterator[PushClient]:
    with requests.Session() as session:
        session.headers["content-type"] = "application/json"
        yield PushClient(host=url, api_url="/sandbox/expo/--/api/v2", session=session)


def mail(to: str = "carla@example.test", **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "personalizations": [{"to": [{"email": to, "name": "Carla"}]}],
        "from": {"email": "invoices@autexor.test", "name": "Garage Noord"},
        "subject": "Factuur 2026-00001",
        "content": [
            {"type": "text/plain", "value": "Beste Carla"},
            {"type": "text/html", "value": "<p>Beste <b>Carla</b></p><script>alert(1)</script>"},
        ],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def post(url: str, body: dict[str, Any], key: str = KEY) -> Any:
    return SendGridAPIClient(key, host=f"{url}/sandbox/sendgrid").client.mail.send.post(request_body=body)


def test_a_mail_is_accepted_and_shown(url: str, client: httpx.Client) -> None:
    pdf = b"%PDF-1.7 not really"
    file = {"content": base64.b64encode(pdf).decode(), "filename": "f<1>.pdf", "type": "application/pdf"}
    answer = post(url, mail(attachments=[file]))
    assert (answer.status_code, answer.body) == (202, b"")
    message_id = answer.headers["X-Message-Id"]
    shown = next(one for one in client.get("/inbox.json").json() if one["id"] == message_id)
    assert shown["kind"] == "email"
    assert shown["to"] == [{"email": "carla@example.test", "name": "Carla"}]
    assert (shown["subject"], shown["text"]) == ("Factuur 2026-00001", "Beste Carla")
    digest = hashlib.sha256(pdf).hexdigest()
    assert shown["attachments"] == [
        {"filename": "f<1>.pdf", "type": "application/pdf", "size": len(pdf), "sha256": digest}
    ]
    download = client.get(f"/inbox/{message_id}/attachments/0")
    assert download.content == pdf
    assert download.headers["content-disposition"].startswith("attachment;")


def test_the_page_escapes_what_was_sent(url: str, client: httpx.Client) -> None:
    sent = post(url, mail(subject="<script>alert(2)</script>"))
    page = client.get(f"/inbox/{sent.headers['X-Message-Id']}")
    listing = client.get("/inbox")
    assert "<script" not in page.text and "<script" not in listing.text
    assert '<iframe sandbox title="The mail as HTML" srcdoc="&lt;p&gt;' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "carla"}]}]}, "personalizations.0.to.0.email"),
        (
            {"personalizations": [{"to": [{"email": "a@b.be"}], "cc": [{"email": "A@b.be"}]}]},
            "personalizations.0",
        ),
        ({"from": {"name": "Garage"}}, "from.email"),
        ({"reply_to": {"email": "nobody"}}, "reply_to.email"),
        ({"subject": ""}, "subject"),
        ({"content": None}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"content": [{"type": "text/html", "value": "a"}, {"type": "text/plain", "value": "b"}]}, "content"),
        ({"attachments": [{"content": "äö", "filename": "a.pdf"}]}, "attachments.0.content"),
        ({"attachments": [{"content": "AAAA"}]}, "attachments.0.filename"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mail_sendgrid_would_refuse_is_refused(url: str, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequestsError) as refused:
        post(url, mail(**changes))
    assert [error["field"] for error in refused.value.to_dict["errors"]] == [field]


def test_a_wrong_key_is_refused(url: str, client: httpx.Client) -> None:
    with pytest.raises(UnauthorizedError):
        post(url, mail(), key="not-a-key")
    assert client.post("/sandbox/sendgrid/v3/mail/send", json=mail()).status_code == 401


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_recipient_can_ask_for_a_failure(url: str, client: httpx.Client, status: int) -> None:
    before = len(client.get("/inbox.json").json())
    with pytest.raises(HTTPError) as failed:
        post(url, mail(to=f"fail-{status}@example.test"))
    assert failed.value.status_code == status
    assert ("Retry-After" in failed.value.headers) == (status == 429)
    assert len(client.get("/inbox.json").json()) == before


def test_a_push_is_accepted_and_shown(push: PushClient, client: httpx.Client) -> None:
    ticket = push.publish(PushMessage(to=TOKEN, title="Factuur", body="Klaar", data={"notification_id": "1"}))
    shown = client.get("/inbox.json").json()[0]
    assert (shown["id"], shown["kind"], shown["to"]) == (ticket.id, "push", [TOKEN])
    assert (shown["title"], shown["data"]) == ("Factuur", {"notification_id": "1"})
    assert "Klaar" in client.get(f"/inbox/{ticket.id}").text
    assert [receipt.status for receipt in push.check_receipts_multiple([ticket])] == ["ok"]


def test_a_dead_device_gets_a_ticket_that_says_so(push: PushClient) -> None:
    with pytest.raises(DeviceNotRegisteredError):
        push.publish(PushMessage(to="ExponentPushToken[Dead]", body="x")).validate_response()


def test_an_oversized_push_is_refused_alone(push: PushClient) -> None:
    big, small = PushMessage(to=TOKEN, body="x" * 4096), PushMessage(to=TOKEN, body="x")
    tickets = push.publish_multiple([big, small])
    assert [ticket.status for ticket in tickets] == ["error", "ok"]
    assert tickets[0].details["error"] == "MessageTooBig"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([{"body": "x"}], "VALIDATION_ERROR"),
        ([{"to": TOKEN, "colour": "red"}], "VALIDATION_ERROR"),
        ([{"to": [TOKEN] * 101}], "PUSH_TOO_MANY_NOTIFICATIONS"),
        ("nonsense", "VALIDATION_ERROR"),
    ],
)
def test_a_bad_push_request_is_refused_as_a_whole(client: httpx.Client, body: Any, code: str) -> None:
    answer = client.post("/sandbox/expo/--/api/v2/push/send", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


def test_a_token_can_ask_for_a_failure(push: PushClient) -> None:
    with pytest.raises(PushServerError):
        push.publish(PushMessage(to="ExponentPushToken[fail-500]", body="x"))


def test_deliveries_survive_a_restart(url: str, client: httpx.Client, config: GatewayConfig) -> None:
    post(url, mail())
    reopened = Store(config.data_dir / "sandbox")
    assert reopened.all() == client.get("/inbox.json").json()
    reopened.close()
