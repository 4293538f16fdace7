"""The adapter for Twilio against the sandboxed Twilio, and what that tells the edge."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import httpx
import pytest
from twilio.request_validator import RequestValidator

from devstack.sandbox.segments import segments
from workers.adapters import twilio
from workers.adapters.twilio import TwilioTexter
from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.ports import TextMessage

if TYPE_CHECKING:
    from conftest import Edge

SID = "AC" + "0" * 31 + "1"
TOKEN = "0123456789abcdef" * 2
CONTENT = "HX" + "0" * 31 + "1"
SERVICE = "MG" + "0" * 31 + "1"
GARAGE, CARLA = "+3231234567", "+32470123456"
REFERENCE = UUID("99999999-0000-4000-8000-000000000001")
ACCOUNT = "aaaaaaaa-0000-4000-8000-000000000001"

Inbox = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def texter(url: str, edge: "Edge", client: httpx.Client) -> TwilioTexter:
    status_url = f"{edge.url}/functions/v1/webhooks/twilio/{ACCOUNT}/status"
    return TwilioTexter(SID, TOKEN, f"{url}/sandbox/twilio", status_url)


def sms(to: str = CARLA, body: str = "Uw wagen is klaar.") -> TextMessage:
    return TextMessage("sms", to, body)


def whatsapp(body: str | None = None, to: str = CARLA) -> TextMessage:
    if body:
        return TextMessage("whatsapp", to, body)
    return TextMessage("whatsapp", to, None, CONTENT, {"1": "Carla", "2": "€ 12,50"})


def heard(edge: "Edge", count: int) -> list[dict[str, str]]:
    return [dict(parse_qsl(call.body.decode(), keep_blank_values=True)) for call in edge.expect(count)]


def inbound(client: httpx.Client, body: str, **changes: str) -> dict[str, Any]:
    said = {"account_id": ACCOUNT, "account_sid": SID, "auth_token": TOKEN, "from": CARLA, "to": GARAGE}
    answer = client.post("/sandbox/inbound", json={**said, "body": body, **changes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.req("D8", "D10")
def test_a_text_message_is_taken_shown_and_told_of(texter: TwilioTexter, edge: "Edge", inbox: Inbox) -> None:
    sid = texter.send(sms(), GARAGE, REFERENCE)
    assert sid and re.fullmatch("SM[0-9a-f]{32}", sid)
    shown = inbox()[0]
    assert (shown["id"], shown["kind"], shown["from"], shown["to"]) == (sid, "sms", GARAGE, [CARLA])
    assert (shown["text"], shown["segments"], shown["encoding"]) == ("Uw wagen is klaar.", 1, "GSM-7")
    forms = heard(edge, 2)
    assert [form["MessageStatus"] for form in forms] == ["sent", "delivered"]
    assert {form["MessageSid"] for form in forms} == {sid}


@pytest.mark.req("D9")
def test_a_status_callback_is_signed_as_twilio_signs_it(texter: TwilioTexter, edge: "Edge") -> None:
    texter.send(sms(), GARAGE, REFERENCE)
    for call, form in zip(edge.expect(2), heard(edge, 2), strict=True):
        assert call.path.endswith(f"/webhooks/twilio/{ACCOUNT}/status?communication_id={REFERENCE}")
        address, signature = f"{edge.url}{call.path}", call.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(address, form, signature)
        assert not RequestValidator("f" * 32).validate(address, form, signature)
        assert not RequestValidator(TOKEN).validate(address, {**form, "MessageStatus": "read"}, signature)


@pytest.mark.req("D8")
def test_a_service_chooses_the_sender(texter: TwilioTexter, edge: "Edge", inbox: Inbox) -> None:
    texter.send(sms(), SERVICE, REFERENCE)
    assert inbox()[0]["from"] == SERVICE
    assert {form["MessagingServiceSid"] for form in heard(edge, 2)} == {SERVICE}


@pytest.mark.req("D8")
def test_whatsapp_takes_approved_templates_at_any_time(
    texter: TwilioTexter, edge: "Edge", inbox: Inbox
) -> None:
    texter.send(whatsapp(), GARAGE, REFERENCE)
    shown = inbox()[0]
    assert (shown["kind"], shown["to"], shown["content_sid"]) == ("whatsapp", [CARLA], CONTENT)
    assert shown["variables"] == {"1": "Carla", "2": "€ 12,50"}
    forms = heard(edge, 3)
    assert [form["MessageStatus"] for form in forms] == ["sent", "delivered", "read"]
    assert {(form["From"], form["To"]) for form in forms} == {(f"whatsapp:{GARAGE}", f"whatsapp:{CARLA}")}


@pytest.mark.req("D8")
def test_whatsapp_takes_free_words_only_within_a_day_of_the_customers(
    texter: TwilioTexter, edge: "Edge", client: httpx.Client
) -> None:
    other = "+32470999888"
    texter.send(whatsapp("Hallo", other), GARAGE, REFERENCE)
    (form,) = heard(edge, 1)
    assert (form["MessageStatus"], form["ErrorCode"]) == ("failed", "63016")
    edge.heard.clear()
    inbound(client, "Is hij klaar?", channel="whatsapp", **{"from": other})
    edge.heard.clear()
    texter.send(whatsapp("Ja", other), GARAGE, REFERENCE)
    assert [form["MessageStatus"] for form in heard(edge, 3)] == ["sent", "delivered", "read"]


@pytest.mark.req("D9")
def test_an_answer_reaches_the_edge_signed(client: httpx.Client, edge: "Edge") -> None:
    told = inbound(client, "Tot morgen", channel="whatsapp", profile_name="Carla")
    assert told["statuses"] == [200]
    (call,) = edge.expect(1)
    (form,) = heard(edge, 1)
    assert call.path == f"/functions/v1/webhooks/twilio/{ACCOUNT}/inbound"
    assert (form["From"], form["Body"], form["ProfileName"]) == (f"whatsapp:{CARLA}", "Tot morgen", "Carla")
    assert form["MessageSid"] == told["message_sid"]
    assert RequestValidator(TOKEN).validate(
        f"{edge.url}{call.path}", form, call.headers["X-Twilio-Signature"]
    )


@pytest.mark.req("D9")
def test_whoever_said_stop_gets_no_more_until_they_say_start(
    texter: TwilioTexter, client: httpx.Client, edge: "Edge"
) -> None:
    texter.send(sms(), GARAGE, REFERENCE)
    edge.expect(2).clear()
    inbound(client, " stop ")
    assert heard(edge, 1)[0]["OptOutType"] == "STOP"
    with pytest.raises(ProviderRefused, match=r"^twilio_http_400 21610$"):
        texter.send(sms(), GARAGE, REFERENCE)
    inbound(client, "START")
    assert texter.send(sms(), GARAGE, REFERENCE)


@pytest.mark.req("D8", "D10")
@pytest.mark.parametrize(
    ("message", "sender", "kind", "reason"),
    [
        (sms("+15005550001"), GARAGE, ProviderRefused, "twilio_http_400 21211"),
        (sms("0470123456"), GARAGE, ProviderRefused, "twilio_http_400 21211"),
        (sms(""), GARAGE, ProviderRefused, "twilio_http_400 21604"),
        (sms("+15005550002"), GARAGE, ProviderRefused, "twilio_http_400 21612"),
        (sms("+15005550003"), GARAGE, ProviderRefused, "twilio_http_403 21408"),
        (sms("+15005550004"), GARAGE, ProviderRefused, "twilio_http_400 21610"),
        (sms("+15005550009"), GARAGE, ProviderRefused, "twilio_http_400 21614"),
        (sms(body="x" * 1601), GARAGE, ProviderRefused, "twilio_http_400 21617"),
        (sms(body=""), GARAGE, ProviderRefused, "twilio_http_400 21619"),
        (sms(), "nobody", ProviderRefused, "twilio_http_400 21212"),
        (sms(), CARLA, ProviderRefused, "twilio_http_400 21266"),
        (TextMessage("whatsapp", CARLA, None, "HX1"), GARAGE, ProviderRefused, "twilio_http_400 21655"),
        (sms("+15005550400"), GARAGE, ProviderRefused, "twilio_http_400 20400"),
        (sms("+15005550429"), GARAGE, ProviderUnavailable, "twilio_http_429"),
        (sms("+15005550503"), GARAGE, ProviderUnavailable, "twilio_http_503"),
        (sms("+15005550500"), GARAGE, ProviderSilent, "twilio_http_500"),
        (sms("+15005550502"), GARAGE, ProviderSilent, "twilio_http_502"),
        (sms("+15005550599"), GARAGE, ProviderSilent, "twilio_ConnectionError"),
    ],
)
def test_what_goes_wrong_is_told_by_its_type_and_code(
    texter: TwilioTexter, message: TextMessage, sender: str, kind: type[ProviderError], reason: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        texter.send(message, sender, REFERENCE)
    assert (type(caught.value), caught.value.reason) == (kind, reason)


@pytest.mark.req("D10")
@pytest.mark.parametrize(("sid", "token"), [(SID, "wrong"), ("AC1", TOKEN)])
def test_a_wrong_key_is_refused(url: str, sid: str, token: str) -> None:
    with pytest.raises(ProviderRefused, match=r"^twilio_http_401 20003$"):
        TwilioTexter(sid, token, f"{url}/sandbox/twilio", "").send(sms(), GARAGE, REFERENCE)


@pytest.mark.req("D9")
@pytest.mark.parametrize(("to", "code"), [("+15005553003", "30003"), ("+15005553005", "30005")])
def test_a_message_that_does_not_arrive_says_why(
    texter: TwilioTexter, edge: "Edge", to: str, code: str
) -> None:
    texter.send(sms(to), GARAGE, REFERENCE)
    last = heard(edge, 2)[1]
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", code)


@pytest.mark.req("D8")
def test_retry_after_is_passed_on(texter: TwilioTexter, client: httpx.Client) -> None:
    client.post(
        "/sandbox/faults", json={"provider": "twilio", "kind": "status-429", "count": 1, "retry_after": 17}
    )
    with pytest.raises(ProviderUnavailable) as caught:
        texter.send(sms(), GARAGE, REFERENCE)
    assert caught.value.retry_after == 17
    assert texter.send(sms(), GARAGE, REFERENCE)


@pytest.mark.req("D8")
def test_a_message_taken_without_an_answer_is_silence(
    texter: TwilioTexter, client: httpx.Client, inbox: Inbox
) -> None:
    body = f"taken {uuid4()}"
    client.post("/sandbox/faults", json={"provider": "twilio", "kind": "silent", "count": 1})
    with pytest.raises(ProviderSilent):
        texter.send(sms(body=body), GARAGE, REFERENCE)
    assert inbox()[0]["text"] == body


@pytest.mark.req("D8")
def test_no_answer_in_time_is_silence(
    texter: TwilioTexter, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "_TIMEOUT_SECONDS", 0.2)
    client.post("/sandbox/faults", json={"provider": "*", "kind": "timeout", "count": 1, "seconds": 0.6})
    with pytest.raises(ProviderSilent, match=r"^twilio_ReadTimeout$"):
        texter.send(sms(), GARAGE, REFERENCE)


@pytest.mark.parametrize(
    ("text", "encoding", "count"),
    [
        ("", "GSM-7", 1),
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("a" * 306, "GSM-7", 2),
        ("a" * 307, "GSM-7", 3),
        ("€" * 80, "GSM-7", 1),
        ("€" * 81, "GSM-7", 2),
        # 153 is odd: a euro sign that does not fit begins the next message.
        ("€" * 152, "GSM-7", 2),
        ("€" * 153, "GSM-7", 3),
        ("é" * 160, "GSM-7", 1),
        ("ê" * 70, "UCS-2", 1),
        ("ê" * 71, "UCS-2", 2),
        ("😀" * 35, "UCS-2", 1),
        ("😀" * 36, "UCS-2", 2),
        ("😀" * 66, "UCS-2", 2),
        ("😀" * 67, "UCS-2", 3),
        ("a" * 134 + "ê", "UCS-2", 3),
    ],
)
def test_segments_are_counted_as_phones_need_them(text: str, encoding: str, count: int) -> None:
    found = segments(text)
    assert (found.encoding, found.count) == (encoding, count)


@pytest.mark.parametrize(
    ("sender", "count"), [({"From": GARAGE}, "2"), ({"MessagingServiceSid": SERVICE}, "0")]
)
def test_the_answer_is_the_one_twilio_documents(
    client: httpx.Client, sender: dict[str, str], count: str
) -> None:
    answer = client.post(
        f"/sandbox/twilio/2010-04-01/Accounts/{SID}/Messages.json",
        auth=(SID, TOKEN),
        data={"To": CARLA, "Body": "a" * 161, **sender},
    )
    message = answer.json()
    assert answer.status_code == 201
    assert (message["num_segments"], message["direction"], message["to"]) == (count, "outbound-api", CARLA)
    assert message["status"] == ("queued" if "From" in sender else "accepted")


def test_an_error_is_the_one_twilio_documents(client: httpx.Client) -> None:
    answer = client.post(
        f"/sandbox/twilio/2010-04-01/Accounts/{SID}/Messages.json", auth=(SID, TOKEN), data={"To": CARLA}
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 21603,
        "message": "A 'From' phone number is required.",
        "more_info": "https://www.twilio.com/docs/errors/21603",
        "status": 400,
    }


def test_nothing_is_told_beyond_this_machine(client: httpx.Client) -> None:
    answer = client.post(
        f"/sandbox/twilio/2010-04-01/Accounts/{SID}/Messages.json",
        auth=(SID, TOKEN),
        data={"To": CARLA, "From": GARAGE, "Body": "x", "StatusCallback": "https://evil.example/"},
    )
    assert answer.json()["code"] == 21609
