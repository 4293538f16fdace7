"""The database's side of webhooks: the functions made for them, called as role `edge`, with their types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from workers.edge.database import Answer, Calls
from workers.edge.webhooks_events import DeliveryEvent, Inbound


class WebhookAccount(Answer):
    """What an account's webhooks are verified with; a Twilio account out of use has no secret any more."""

    provider: str
    account_sid: str | None = None
    public_key: str | None = None
    secret: SecretStr | None = None


class Recorded(Answer):
    """Events that were new, known already, not of this account's messages, or could not be stored."""

    stored: int = 0
    known: int = 0
    refused: int = 0
    malformed: int = 0

    def __add__(self, other: "Recorded") -> Self:
        counts = {name: getattr(self, name) + getattr(other, name) for name in Recorded.model_fields}
        return type(self)(**counts)


class WebhookDatabase:
    """What webhooks ask and tell. Raises psycopg.OperationalError when the database is away."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def account(self, account_id: UUID) -> WebhookAccount | None:
        """How to verify an account's webhooks; None when there is no such account."""
        answer = await self._calls.call("webhook_account", {"account_id": account_id})
        return WebhookAccount.model_validate(answer) if answer else None

    async def record(self, account_id: UUID | None, events: Sequence[DeliveryEvent]) -> Recorded:
        """Store a batch; what the database does not take is found by halves and left out, alone."""
        if not events:
            return Recorded()
        told = [event.model_dump(mode="json") for event in events]
        try:
            answer = await self._calls.call(
                "record_delivery_events", {"account_id": account_id, "events": Jsonb(told)}
            )
        except (psycopg.DataError, psycopg.IntegrityError):
            if len(events) == 1:
                return Recorded(malformed=1)
            half = len(events) // 2
            return await self.record(account_id, events[:half]) + await self.record(account_id, events[half:])
        return Recorded.model_validate(answer)

    async def receive(self, account_id: UUID, inbound: Inbound) -> bool:
        """Take in what a customer wrote; False when it was known already."""
        answer = await self._calls.call(
            "receive_message", {"account_id": account_id, **inbound.model_dump(mode="json")}
        )
        return bool(answer["is_new"])


@dataclass(frozen=True)
class Webhooks:
    """What the webhooks' endpoints work with: `public_url` is the edge as providers call it."""

    database: WebhookDatabase
    public_url: str
    sendgrid_key: str | None
