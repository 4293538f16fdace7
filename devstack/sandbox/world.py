"""What every part of the sandbox shares."""

from dataclasses import dataclass, field
from typing import Any

from devstack.config import GatewayConfig
from devstack.sandbox.faults import Faults
from devstack.sandbox.store import Store
from devstack.sandbox.webhooks import Webhooks


@dataclass
class TwilioMemory:
    """What Twilio knows beside its messages: of accounts their tokens, of customers who said stop or wrote.

    `tokens` are by account SID, as they were last shown; `accounts` are SIDs by the garage account that a
    status callback named. `opted_out` and `wrote_at` are by (channel, our number, theirs).
    """

    tokens: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    opted_out: set[tuple[str, str, str]] = field(default_factory=set)
    wrote_at: dict[tuple[str, str, str], float] = field(default_factory=dict)


@dataclass
class Sandbox:
    """The sandboxed providers of one stack. `event_settings` are SendGrid's, by API key."""

    config: GatewayConfig
    store: Store
    faults: Faults
    webhooks: Webhooks
    twilio: TwilioMemory = field(default_factory=TwilioMemory)
    event_settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def edge_url(self) -> str:
        """Where the edge is, as the outside world sees it; empty when there is none."""
        return f"{self.config.api_url}/functions/v1" if self.config.edge_url else ""

    @classmethod
    def of(cls, config: GatewayConfig) -> "Sandbox":
        """Everything as it is at the start."""
        faults = Faults()
        webhooks = Webhooks(faults, config.keys.webhook_private_key)
        return cls(config, Store(config.data_dir / "sandbox"), faults, webhooks)

    async def close(self) -> None:
        """Stop sending webhooks, close the file."""
        await self.webhooks.close()
        self.store.close()
