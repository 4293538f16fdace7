"""What became of messages, from the command line, after webhooks that came in by the stack's own address."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack.keys import load_or_create
from devstack.stack import Stack
from sql_tests.signing import SendGridSigner, batch

pytestmark = pytest.mark.req("D9")

Autexor = Callable[..., Any]
CARLA = "33333333-0000-4000-8000-000000000001"
MESSAGE = """
insert into public.communications (garage_id, customer_id, template, locale, recipient, subject, body_text,
    status, attempt, claimed_at, sent_at, provider, provider_message_id)
select garage_id, id, 'message_received', 'nl', %(to)s, 'Nieuw bericht', 'Er staat een bericht klaar',
       'sent', 1, now(), now(), 'sendgrid', 'sg-1'
  from public.customers where id = %(customer)s returning id::text
"""
ATTEMPT = """
insert into public.delivery_attempts (garage_id, communication_id, attempt, outcome, provider,
    provider_message_id, started_at)
select garage_id, id, 1, 'done', 'sendgrid', 'sg-1', now() from public.communications where id = %s
"""


@dataclass
class Told:
    """A message, and SendGrid telling of it."""

    stack: Stack
    id: str
    address: str

    def that(self, name: str, **other: Any) -> None:
        keys = load_or_create(self.stack.settings.data_dir / "keys.json")
        signer = SendGridSigner(keys.webhook_private_key)
        body = batch({
            "event": name, "communication_id": self.id, "sg_event_id": uuid4().hex, "email": self.address,
            "sg_message_id": "sg-1.recvd", "timestamp": 1795000000, **other,
        })  # fmt: skip
        url = f"{self.stack.api_url}/functions/v1/webhooks/sendgrid/platform"
        answer = httpx.post(url, content=body, headers=signer.headers(body), trust_env=False)
        assert answer.status_code == 204, answer.text


@pytest.fixture
def told(stack: Stack) -> Told:
    address = f"carla-{uuid4().hex[:8]}@example.test"
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        row = connection.execute(MESSAGE, {"to": address, "customer": CARLA}).fetchone()
        assert row is not None
        connection.execute(ATTEMPT, (row[0],))
    return Told(stack, row[0], address)


def test_a_delivery_shows_its_attempts_and_what_the_provider_told(autexor: Autexor, told: Told) -> None:
    told.that("processed")
    told.that("delivered")
    shown = json.loads(autexor("deliveries", "show", told.id, "--json").out)
    assert (shown["kind"], shown["status"], shown["recipient"]) == (
        "communication",
        "delivered",
        told.address,
    )
    assert shown["text"] == "Er staat een bericht klaar"
    steps = [(step["source"], step["event"], step["status"]) for step in shown["history"]]
    assert sorted(steps) == [
        ("attempt", "done", None),
        ("provider", "delivered", "delivered"),
        ("provider", "processed", "sent"),
    ]
    said = autexor("deliveries", "show", told.id)
    assert said.code == 0 and "status\tdelivered" in said.out and "\tprovider\t\tdelivered\t" in said.out
    stranger = autexor("deliveries", "show", told.id, who="otto@garage-zuid.test")
    assert (stranger.code, stranger.out, "[delivery_not_found]" in stranger.err) == (1, "", True)
    assert autexor("deliveries", "show", "nonsense").code == 2


def test_a_suppressed_address_is_listed_refused_and_lifted(autexor: Autexor, told: Told) -> None:
    told.that("bounce", type="bounce", status="5.1.1")
    assert told.id in autexor("deliveries", "list", "--quiet").out
    refused = autexor("deliveries", "retry", told.id)
    assert (refused.code, "[recipient_suppressed]" in refused.err) == (0, False), (
        "it goes to the present address"
    )
    rows = json.loads(autexor("suppressions", "list", "--json").out)
    (row,) = [row for row in rows if row["address"] == told.address]
    assert (row["channel"], row["reason"], row["code"], row["lifted_at"]) == (
        "email",
        "bounce",
        "5.1.1",
        None,
    )
    assert row["id"] not in autexor("suppressions", "list", "--quiet", who="otto@garage-zuid.test").out
    assert autexor("suppressions", "lift", row["id"]).code == 2, "a reason is asked for"
    denied = autexor("suppressions", "lift", row["id"], "--reason", "x", who="marc@garage-noord.test")
    assert (denied.code, "[permission_missing]" in denied.err) == (1, True)
    lifted = autexor("suppressions", "lift", row["id"], "--reason", "De mailbox werkt weer")
    assert (lifted.code, "is_lifted\tyes" in lifted.out) == (0, True)
    assert row["id"] not in autexor("suppressions", "list", "--quiet").out
    assert "De mailbox werkt weer" in autexor("suppressions", "list", "--all").out
    again = autexor("suppressions", "lift", row["id"], "--reason", "x")
    assert (again.code, "[suppression_not_found]" in again.err) == (1, True)
