"""What the sandbox does wrong when it is asked to."""

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from devstack.parts import SENDGRID_KEY
from devstack.sandbox.faults import Fault, Faults

if TYPE_CHECKING:
    from conftest import Edge

SEND = "/sandbox/sendgrid/v3/mail/send"


def mail(to: str = "carla@example.test") -> dict[str, Any]:
    return {
        "personalizations": [{"to": [{"email": to}]}],
        "from": {"email": "no-reply@autexor.be"},
        "subject": "x",
        "content": [{"type": "text/plain", "value": "x"}],
    }


def send(client: httpx.Client) -> httpx.Response:
    return client.post(SEND, json=mail(), headers={"Authorization": f"Bearer {SENDGRID_KEY}"})


def ask(client: httpx.Client, **fault: Any) -> None:
    answer = client.post("/sandbox/faults", json=fault)
    assert answer.status_code == 200, answer.text


def count(client: httpx.Client) -> int:
    return len(client.get("/inbox.json").json())


def test_a_fault_lasts_as_often_as_it_was_asked_for(client: httpx.Client) -> None:
    ask(client, provider="sendgrid", kind="status-429", count=2, retry_after=3)
    before = count(client)
    answers = [send(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 202]
    assert [answer.headers.get("retry-after") for answer in answers] == ["3", "3", None]
    assert count(client) == before + 1
    assert client.get("/sandbox/faults").json() == []


def test_a_fault_without_a_count_lasts_until_it_is_taken_back(client: httpx.Client) -> None:
    ask(client, provider="*", kind="status-500")
    assert {send(client).status_code for _ in range(5)} == {500}
    client.delete("/sandbox/faults")
    assert send(client).status_code == 202


def test_an_error_may_follow_acceptance(client: httpx.Client) -> None:
    ask(client, provider="sendgrid", kind="accepted-500", count=1)
    before = count(client)
    assert send(client).status_code == 500
    assert count(client) == before + 1


def test_silence_follows_acceptance_and_a_timeout_does_not(client: httpx.Client) -> None:
    before = count(client)
    ask(client, provider="sendgrid", kind="silent", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        send(client)
    assert count(client) == before + 1
    ask(client, provider="sendgrid", kind="timeout", count=1, seconds=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        send(client)
    assert count(client) == before + 1


def test_a_fault_of_one_provider_is_not_anothers(client: httpx.Client) -> None:
    ask(client, provider="twilio", kind="status-500")
    assert send(client).status_code == 202


@pytest.mark.req("D9")
def test_webhooks_can_come_twice_or_the_wrong_way_round_or_not_at_all(
    client: httpx.Client, edge: "Edge"
) -> None:
    ask(client, provider="sendgrid", kind="duplicate-webhooks", count=1)
    send(client)
    first, second, third = edge.expect(3)
    assert first.body == second.body != third.body
    edge.heard.clear()
    ask(client, provider="sendgrid", kind="out-of-order", count=1)
    send(client)
    events = [event["event"] for call in edge.expect(2) for event in json.loads(call.body)]
    assert events == ["delivered", "processed"]
    edge.heard.clear()
    ask(client, provider="sendgrid", kind="lost-webhooks", count=1)
    send(client)
    (call,) = edge.expect(1)
    assert [event["event"] for event in json.loads(call.body)] == ["delivered"]


def test_a_probability_is_one() -> None:
    faults = Faults()
    faults.add(Fault("smtp", "silent", probability=0.3))
    share = sum(faults.of_call("smtp") is not None for _ in range(4000)) / 4000
    assert 0.2 < share < 0.4


@pytest.mark.parametrize(
    "fault",
    [
        [],
        {"kind": "status-200"},
        {"kind": "nonsense"},
        {"provider": "post", "kind": "silent"},
        {"provider": "smtp"},
        {"kind": "silent", "count": 0},
        {"kind": "silent", "probability": 2},
        {"kind": "silent", "colour": "red"},
    ],
)
def test_a_fault_nobody_knows_is_refused(client: httpx.Client, fault: Any) -> None:
    assert client.post("/sandbox/faults", json=fault).status_code == 422
