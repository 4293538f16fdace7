"""How Twilio's library is held: one host, no redirects, no proxies, nothing taken from the environment."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from workers.adapters.twilio import TwilioTexter
from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.ports import TextMessage

if TYPE_CHECKING:
    from conftest import Provider

SID, TOKEN = "AC" + "1" * 32, "canary0123456789canary0123456789"
REFERENCE = UUID("99999999-0000-4000-8000-000000000001")
SMS = TextMessage("sms", "+32470123456", "Klaar")
STATUS_URL = "https://project.supabase.co/functions/v1/webhooks/twilio/abc/status"


def send(url: str, message: TextMessage = SMS, sender: str = "+3231234567") -> str | None:
    return TwilioTexter(SID, TOKEN, url, STATUS_URL).send(message, sender, REFERENCE)


@pytest.fixture
def taking(provider: "Provider") -> "Provider":
    provider.answer.status = 201
    provider.answer.body = json.dumps({"sid": "SM1", "status": "queued"}).encode()
    return provider


def form(provider: "Provider") -> dict[str, Any]:
    ((_, _, body),) = provider.requests
    return {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}


@pytest.mark.req("D8")
def test_the_request_is_the_one_twilio_documents_also_under_a_path(taking: "Provider") -> None:
    assert send(f"{taking.url}/sandbox/twilio") == "SM1"
    ((path, headers, _),) = taking.requests
    assert path == f"/sandbox/twilio/2010-04-01/Accounts/{SID}/Messages.json"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Authorization"].startswith("Basic ")
    assert form(taking) == {
        "To": "+32470123456",
        "From": "+3231234567",
        "Body": "Klaar",
        "StatusCallback": f"{STATUS_URL}?communication_id={REFERENCE}",
    }


@pytest.mark.req("D8")
def test_whatsapp_says_so_in_both_addresses(taking: "Provider") -> None:
    send(taking.url, TextMessage("whatsapp", "+32470123456", None, "HX1", {"1": "é"}))
    sent = form(taking)
    assert (sent["To"], sent["From"]) == ("whatsapp:+32470123456", "whatsapp:+3231234567")
    assert (sent["ContentSid"], sent["ContentVariables"]) == ("HX1", '{"1": "é"}')
    assert "Body" not in sent


@pytest.mark.req("D8")
def test_a_service_sends_in_its_own_name(taking: "Provider") -> None:
    send(taking.url, sender="MG" + "2" * 32)
    assert form(taking)["MessagingServiceSid"] == "MG" + "2" * 32
    assert "From" not in form(taking)


@pytest.mark.req("G4")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(provider: "Provider", status: int) -> None:
    provider.answer.status = status
    provider.answer.headers = {"Location": f"{provider.url}/elsewhere"}
    with pytest.raises(ProviderRefused, match=f"^twilio_http_{status}$"):
        send(provider.url)
    assert len(provider.requests) == 1


@pytest.mark.req("G4")
def test_a_proxy_of_the_environment_is_not_used(proxy: "Provider", unused_url: str) -> None:
    with pytest.raises(ProviderUnavailable, match=r"^twilio_ConnectionError$"):
        send(unused_url)
    assert not proxy.requests


@pytest.mark.req("G4", "D10")
def test_the_environment_changes_neither_host_nor_key(
    taking: "Provider", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TWILIO_REGION", "TWILIO_EDGE", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.setenv(name, "evil")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    send(taking.url)
    ((path, headers, _),) = taking.requests
    assert path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert "evil" not in str(headers)


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (400, 21211, ProviderRefused, "twilio_http_400 21211"),
        (400, 21610, ProviderRefused, "twilio_http_400 21610"),
        (401, 20003, ProviderRefused, "twilio_http_401 20003"),
        (404, 20404, ProviderRefused, "twilio_http_404 20404"),
        (400, 21611, ProviderUnavailable, "twilio_http_400 21611"),
        (429, 20429, ProviderUnavailable, "twilio_http_429"),
        (503, 20503, ProviderUnavailable, "twilio_http_503"),
        (500, 20500, ProviderSilent, "twilio_http_500"),
        (502, None, ProviderSilent, "twilio_http_502"),
        (504, None, ProviderSilent, "twilio_http_504"),
        (400, "+32470123456", ProviderRefused, "twilio_http_400"),
        (400, None, ProviderRefused, "twilio_http_400"),
    ],
)
def test_an_error_is_told_by_its_status_and_code_and_never_by_its_words(
    provider: "Provider", status: int, code: object, kind: type[ProviderError], reason: str
) -> None:
    provider.answer.status = status
    provider.answer.headers = {"Retry-After": "7"}
    body = {"code": code, "message": "The 'To' number +32470123456 is bad", "status": status}
    provider.answer.body = b"<html>" if code is None else json.dumps(body).encode()
    with pytest.raises(ProviderError) as caught:
        send(provider.url)
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    if isinstance(caught.value, ProviderUnavailable) and status in (429, 503):
        assert caught.value.retry_after == 7


@pytest.mark.req("D8")
def test_a_dropped_connection_is_silence(provider: "Provider") -> None:
    provider.answer.hangs_up = True
    with pytest.raises(ProviderSilent):
        send(provider.url)
    assert len(provider.requests) == 1


@pytest.mark.req("D10")
def test_the_key_is_in_no_log_and_no_error(provider: "Provider", caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider.answer.status = 401
    provider.answer.body = json.dumps({"code": 20003, "message": f"Authenticate {TOKEN}"}).encode()
    texter = TwilioTexter(SID, TOKEN, provider.url, STATUS_URL)
    with pytest.raises(ProviderRefused) as caught:
        texter.send(SMS, "+3231234567", REFERENCE)
    assert "canary" not in caplog.text + repr(caught.value) + repr(texter) + str(caught.value)
