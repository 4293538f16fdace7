"""What providers tell the edge, as the tests' vocabulary: accounts, events, answers of customers."""

from itertools import count
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests.steps import Row, edge, look

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "auth-token-0123456789abcdef012345"
_NUMBERS = count(1)
ACCOUNT = """
insert into public.provider_accounts (garage_id, channel, provider, sender_address, account_sid,
    webhook_public_key, secret_id, secret_tail)
values (%s, %s, %s, %s, %s, %s, vault.create_secret(%s), '2345') returning id::text
"""
SENT = """
insert into public.communications (garage_id, customer_id, channel, template, locale, recipient)
select garage_id, id, %(channel)s, 'message_received', locale,
       case %(channel)s when 'email' then email else phone end
  from public.customers where id = %(customer)s returning id::text
"""
ON_ITS_WAY = """
update public.communications set status = 'sending', attempt = attempt + 1, provider_account_id = %s,
    claimed_at = clock_timestamp() where id = %s
"""


def account(
    database: Database,
    garage_id: str,
    channel: str = "sms",
    *,
    public_key: str | None = None,
    secret: str = AUTH_TOKEN,
) -> str:
    """An account of a garage in use; the id."""
    is_mail = channel == "email"
    sender = "werkplaats@garage.example" if is_mail else f"+3246{next(_NUMBERS):07d}"
    return str(
        look(
            database,
            ACCOUNT,
            garage_id,
            channel,
            "sendgrid" if is_mail else "twilio",
            sender,
            None if is_mail else ACCOUNT_SID,
            public_key,
            secret,
        )
    )


def under_way(
    database: Database, customer_id: str, channel: str = "email", account_id: str | None = None
) -> str:
    """A message that a worker is just handing over; its id."""
    with database.connect() as connection:
        row = connection.execute(SENT, {"channel": channel, "customer": customer_id}).fetchone()
        assert row is not None
        connection.execute(ON_ITS_WAY, (account_id, row["id"]))
    return str(row["id"])


def outcome(database: Database, message_id: str, status: str, provider_id: str | None = None) -> None:
    """The worker that held a message records what it knows."""
    with database.connect() as connection:
        connection.execute(
            "update public.communications set status = %s, provider_message_id = %s where id = %s",
            (status, provider_id, message_id),
        )


def sent(
    database: Database,
    customer_id: str,
    channel: str = "email",
    account_id: str | None = None,
    provider_id: str | None = "msg-1",
) -> str:
    """A message that a provider took; its id."""
    message_id = under_way(database, customer_id, channel, account_id)
    outcome(database, message_id, "sent", provider_id)
    return message_id


def event(message_id: str, status: str | None = "delivered", **other: Any) -> Row:
    """An event as the edge writes it down."""
    return {
        "communication_id": message_id,
        "event": status or "deferred",
        "status": status,
        "provider_id": "msg-1",
        "code": None,
        "event_key": f"sendgrid:{uuid4()}",
        "occurred_at": "2026-11-28T10:00:00+00:00",
        "address": None,
        "suppression": None,
        **other,
    }


def tell(database: Database, *events: Row, account_id: str | None = None) -> Row:
    """A batch of events comes in; what was made of it."""
    answer: Row = edge(database, "record_delivery_events", account_id=account_id, events=Jsonb(list(events)))
    return answer


def receive(
    database: Database, account_id: str, sender: str, body: str, channel: str = "sms", **other: Any
) -> Row:
    """A customer writes; what was made of it."""
    arguments = {
        "account_id": account_id,
        "channel": channel,
        "provider_id": f"SM{uuid4().hex}",
        "sender": sender,
        "body": body,
        "media_count": 0,
        "wish": None,
    }
    answer: Row = edge(database, "receive_message", **{**arguments, **other})
    return answer


def status_of(database: Database, message_id: str) -> str:
    """Where a message is."""
    return str(look(database, "select status from public.communications where id = %s", message_id))
