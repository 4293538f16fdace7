"""The adapter for SendGrid against the sandboxed SendGrid, and what that tells the edge."""

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook

from devstack.config import GatewayConfig
from devstack.parts import SENDGRID_KEY
from workers.adapters.sendgrid import SendGridMailer
from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail

if TYPE_CHECKING:
    from conftest import Edge, Heard

GARAGES_KEY = "SG.garage-noord.0123456789"
SENDER = Sender(address="no-reply@autexor.be", name="Garage Noord", reply_to="info@garage-noord.test")
MAIL = Mail("Factuur", "Beste Carla\n", "<p>Beste Carla</p>\n")


def send(url: str, to: str = "carla@example.test", key: str = SENDGRID_KEY) -> tuple[str | None, UUID]:
    reference = uuid4()
    mailer = SendGridMailer(key, f"{url}/sandbox/sendgrid")
    return mailer.send(MAIL, Recipient(address=to, name="Carla"), SENDER, None, reference), reference


def events(edge: "Edge", count: int) -> list[dict[str, Any]]:
    return [event for call in edge.expect(count) for event in json.loads(call.body)]


def heard_in_the_end(client: httpx.Client, edge: "Edge") -> list["Heard"]:
    """All that was told, once nothing more is to be told."""
    deadline = time.monotonic() + 30
    while client.get("/sandbox/settings").json()["webhooks_pending"]:
        assert time.monotonic() < deadline, "webhooks without an end"
        time.sleep(0.01)
    return edge.heard


@pytest.mark.req("D9")
def test_what_becomes_of_a_mail_is_told_with_its_custom_arguments(
    url: str, client: httpx.Client, edge: "Edge"
) -> None:
    message_id, reference = send(url)
    told = events(edge, 2)
    assert [event["event"] for event in told] == ["processed", "delivered"]
    assert {event["communication_id"] for event in told} == {str(reference)}
    assert all(event["sg_message_id"].startswith(f"{message_id}.") for event in told)
    assert len({event["sg_event_id"] for event in told}) == 2
    assert {call.path for call in edge.heard} == {"/functions/v1/webhooks/sendgrid/platform"}


@pytest.mark.req("D9")
def test_events_are_signed_over_their_time_and_the_bytes_as_they_came(
    url: str, client: httpx.Client, edge: "Edge", config: GatewayConfig
) -> None:
    send(url)
    verifier = EventWebhook(config.keys.webhook_public_key)
    for call in edge.expect(2):
        signature = call.headers["X-Twilio-Email-Event-Webhook-Signature"]
        at = call.headers["X-Twilio-Email-Event-Webhook-Timestamp"]
        body = call.body.decode()
        assert verifier.verify_signature(body, signature, at)
        assert not verifier.verify_signature(body, signature, str(int(at) + 1))
        assert not verifier.verify_signature(json.dumps(json.loads(body)), signature, at)


@pytest.mark.req("D9")
@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("bounce@example.test", ["processed", "bounce"]),
        ("bounce+1@example.test", ["processed", "bounce"]),
        ("blocked@example.test", ["processed", "bounce"]),
        ("deferred@example.test", ["processed", "deferred", "delivered"]),
        ("dropped@example.test", ["dropped"]),
        ("spam@example.test", ["processed", "delivered", "spamreport"]),
        ("unsubscribe@example.test", ["processed", "delivered", "unsubscribe"]),
    ],
)
def test_a_recipient_can_ask_for_a_fate(
    url: str, client: httpx.Client, edge: "Edge", to: str, expected: list[str]
) -> None:
    send(url, to)
    assert [event["event"] for event in events(edge, len(expected))] == expected


@pytest.mark.req("D9")
def test_events_of_several_mails_come_in_one_batch(url: str, client: httpx.Client, edge: "Edge") -> None:
    client.post("/sandbox/settings", json={"webhook_delay_seconds": 3})  # longer than to send all five
    references = {str(send(url, "dropped@example.test")[1]) for _ in range(5)}
    (told,) = [json.loads(call.body) for call in heard_in_the_end(client, edge)]
    assert sorted(event["communication_id"] for event in told) == sorted(references)


@pytest.mark.req("D9")
@pytest.mark.parametrize(
    ("statuses", "calls"),
    [([500, 503, 200], 3), ([400, 200], 2), ([404], 1), ([200], 1)],
    ids=["not taken", "refused", "nowhere", "taken"],
)
def test_a_batch_that_was_not_taken_comes_again_and_another_does_not(
    url: str, client: httpx.Client, edge: "Edge", statuses: list[int], calls: int
) -> None:
    edge.statuses += statuses
    send(url, "dropped@example.test")
    bodies = [call.body for call in heard_in_the_end(client, edge)]
    assert bodies == [bodies[0]] * calls


@pytest.mark.req("D9")
def test_a_garages_own_account_is_told_where_it_chose(
    url: str, client: httpx.Client, edge: "Edge", config: GatewayConfig
) -> None:
    send(url, key=GARAGES_KEY)
    settings = "/sandbox/sendgrid/v3/user/webhooks/event/settings"
    bearer = {"Authorization": f"Bearer {GARAGES_KEY}"}
    chosen = f"{edge.url}/functions/v1/webhooks/sendgrid/some-account"
    answer = client.post(settings, headers=bearer, json={"enabled": True, "url": chosen})
    assert answer.json()["public_key"] == config.keys.webhook_public_key
    assert client.get(f"{settings}/signed", headers=bearer).json() == {
        "public_key": config.keys.webhook_public_key
    }
    assert base64.b64decode(config.keys.webhook_public_key)
    _, reference = send(url, key=GARAGES_KEY)
    told = events(edge, 2)
    assert {event["communication_id"] for event in told} == {str(reference)}
    assert {call.path for call in edge.heard} == {"/functions/v1/webhooks/sendgrid/some-account"}
    refused = client.post(settings, headers=bearer, json={"url": "https://evil.example/"})
    assert refused.status_code == 400


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("to", "kind", "reason"),
    [
        ("fail-429@example.test", ProviderUnavailable, "sendgrid_http_429"),
        ("fail-503@example.test", ProviderUnavailable, "sendgrid_http_503"),
        ("fail-500@example.test", ProviderSilent, "sendgrid_http_500"),
        ("fail-400@example.test", ProviderRefused, "sendgrid_http_400"),
        ("silent@example.test", ProviderSilent, "sendgrid_RemoteDisconnected"),
        ("nobody", ProviderRefused, "sendgrid_http_400 personalizations.0.to.0.email"),
    ],
)
def test_what_goes_wrong_is_told_by_its_type(
    url: str, client: httpx.Client, to: str, kind: type[ProviderError], reason: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        send(url, to)
    assert (type(caught.value), caught.value.reason) == (kind, reason)
