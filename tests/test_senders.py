"""A garage's own accounts in a whole stack: key in, message out, and what became of it back again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.config import Settings, free_port
from devstack.stack import Stack, running

PATIENCE_SECONDS = 60
SID, TOKEN = "AC" + "1" * 32, "0123456789abcdef" * 2
GARAGE, CARLA = "+3231234567", "+32470123456"
CANARY = "canary-hunter2"


@pytest.fixture(scope="module")
def stack(scratch: Path) -> Iterator[Stack]:
    with running(Settings(data_dir=scratch / "senders", port=free_port())) as stack:
        yield stack


@pytest.fixture(scope="module")
def olga(stack: Stack) -> Iterator[httpx.Client]:
    settings = stack.environment()
    with httpx.Client(base_url=stack.api_url, headers={"apikey": settings["ANON_KEY"]}, timeout=30) as http:
        who = {"email": "olga@garage-noord.test", "password": "autexor-demo"}
        answer = http.post("/auth/v1/token?grant_type=password", json=who)
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        http.post("/sandbox/settings", json={"webhook_delay_seconds": 0.05})
        yield http
        http.delete("/sandbox/faults")


def call(olga: httpx.Client, function: str, **arguments: object) -> Any:
    answer = olga.post(f"/rest/v1/rpc/{function}", json=arguments)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def row(olga: httpx.Client, table: str, id: str) -> dict[str, Any]:
    columns = "test_status,test_reason,secret_tail" if table == "provider_accounts" else "*"
    (found,) = olga.get(f"/rest/v1/{table}", params={"id": f"eq.{id}", "select": columns}).json()
    return dict(found)


def until(find: Callable[[], dict[str, Any]], *statuses: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := find())["status"] not in statuses:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def tried(olga: httpx.Client, account: str, recipient: str, *statuses: str) -> dict[str, Any]:
    """A test message by the account, once it has one of these statuses."""
    communication = call(olga, "test_provider_account", provider_account_id=account, recipient=recipient)
    return until(lambda: row(olga, "communications", communication), *statuses)


def smtp(olga: httpx.Client, stack: Stack, security: str, secret: str = CANARY) -> str:
    port = int(stack.environment()[f"SMTP_{security.upper()}_PORT"])
    about = {"host": "localhost", "port": port, "security": security, "username": "facturen"}
    sender = {"sender_address": "facturen@garage-noord.be", "sender_name": "Garage Noord"}
    return str(
        call(olga, "set_provider_account", channel="email", provider="smtp", secret=secret, **about, **sender)
    )


@pytest.mark.slow
@pytest.mark.req("D8", "D10", "S1")
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_garage_sends_by_its_own_mail_server(olga: httpx.Client, stack: Stack, security: str) -> None:
    account = smtp(olga, stack, security)
    sent = tried(olga, account, "nina@example.test", "sent", "failed", "unknown")
    assert (sent["status"], sent["provider"]) == ("sent", "smtp")
    assert row(olga, "provider_accounts", account)["test_status"] == "ok"
    mail = next(one for one in olga.get("/inbox.json").json() if one.get("provider") == "smtp")
    assert mail["from"] == {"email": "facturen@garage-noord.be", "name": "Garage Noord"}
    assert mail["headers"]["Message-ID"] == f"<{sent['provider_message_id']}>"


@pytest.mark.slow
@pytest.mark.req("D10")
def test_a_wrong_password_is_told_and_the_right_one_never(olga: httpx.Client, stack: Stack) -> None:
    account = smtp(olga, stack, "tls", secret=f"wrong-{CANARY}")
    failed = tried(olga, account, "nina@example.test", "sent", "failed", "unknown")
    assert failed["status"] == "failed"
    tested = row(olga, "provider_accounts", account)
    assert tested["test_status"] == "failed" and "535" in tested["test_reason"]
    call(olga, "replace_provider_secret", provider_account_id=account, secret=CANARY)
    assert tried(olga, account, "nina@example.test", "sent", "failed", "unknown")["status"] == "sent"
    logs = "".join(path.read_text(errors="replace") for path in stack.settings.paths.logs.iterdir())
    assert "canary" not in logs + str(row(olga, "provider_accounts", account)) + str(failed)


@pytest.mark.slow
@pytest.mark.req("D8", "D9")
def test_a_text_goes_out_after_a_refusal_and_is_delivered_by_a_signed_callback(
    olga: httpx.Client, stack: Stack
) -> None:
    about = {"secret": TOKEN, "sender_address": GARAGE, "account_sid": SID}
    account = str(call(olga, "set_provider_account", channel="sms", provider="twilio", **about))
    fault = {"provider": "twilio", "kind": "status-429", "count": 1, "retry_after": 1}
    olga.post("/sandbox/faults", json=fault).raise_for_status()
    delivered = tried(olga, account, CARLA, "delivered", "failed", "unknown")
    assert (delivered["status"], delivered["attempt"]) == ("delivered", 2)
    told = [call["status"] for call in olga.get("/sandbox/webhooks").json() if call["provider"] == "twilio"]
    assert told and all(200 <= status < 300 for status in told)
    refused = tried(olga, account, "+15005550004", "delivered", "sent", "failed", "unknown")
    assert (refused["status"], refused["last_error"]) == ("failed", "twilio_http_400 21610")


@pytest.mark.slow
@pytest.mark.req("D8", "D9")
def test_a_text_taken_in_silence_is_unknown_until_its_callback_comes(
    olga: httpx.Client, stack: Stack
) -> None:
    about = {"secret": TOKEN, "sender_address": GARAGE, "account_sid": SID}
    account = str(call(olga, "set_provider_account", channel="sms", provider="twilio", **about))
    for kind in ("lost-webhooks", "silent"):
        fault = {"provider": "twilio", "kind": kind, "count": 2 if kind == "lost-webhooks" else 1}
        olga.post("/sandbox/faults", json=fault).raise_for_status()
    before = len(olga.get("/inbox.json").json())
    unknown = tried(olga, account, CARLA, "unknown", "delivered", "failed")
    assert unknown["status"] == "unknown"
    assert len(olga.get("/inbox.json").json()) == before + 1
    olga.post("/sandbox/faults", json={"provider": "twilio", "kind": "silent", "count": 1}).raise_for_status()
    assert tried(olga, account, CARLA, "delivered", "failed")["status"] == "delivered"


@pytest.mark.slow
@pytest.mark.req("D8", "D9", "D10")
def test_a_garages_mails_by_sendgrid_are_delivered_or_bounce_as_its_signed_events_say(
    olga: httpx.Client, stack: Stack
) -> None:
    key, public_key = f"SG.{CANARY}.garage-noord", stack.environment()["AUTEXOR_SENDGRID_WEBHOOK_KEY"]
    about = {"secret": key, "sender_address": "facturen@garage-noord.be", "webhook_public_key": public_key}
    account = str(call(olga, "set_provider_account", channel="email", provider="sendgrid", **about))
    chosen = {"enabled": True, "url": f"{stack.api_url}/functions/v1/webhooks/sendgrid/{account}"}
    settings = "/sandbox/sendgrid/v3/user/webhooks/event/settings"
    olga.post(settings, json=chosen, headers={"authorization": f"Bearer {key}"}).raise_for_status()
    assert (
        tried(olga, account, "nina@example.test", "delivered", "failed", "unknown")["status"] == "delivered"
    )
    assert tried(olga, account, "bounce@example.test", "delivered", "failed", "unknown")["status"] == "failed"
