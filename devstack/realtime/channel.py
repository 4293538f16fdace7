"""One joined topic of one socket."""

import asyncio
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devstack.keys import Claims
from devstack.realtime.authorization import Gate
from devstack.realtime.changes import Subscriber
from devstack.realtime.feed import Feed
from devstack.realtime.hub import Hub
from devstack.realtime.protocol import Message
from devstack.realtime.tokens import expiry_text, seconds_left


@dataclass(frozen=True)
class Services:
    """What all sockets share."""

    hub: Hub
    feed: Feed
    gate: Gate


@dataclass(frozen=True)
class Config:
    """The `config` of a join, read as forgivingly as the real server reads it."""

    is_private: bool
    echoes: bool
    acknowledges: bool
    has_presence: bool
    requests: list[dict[str, Any]]

    @classmethod
    def read(cls, payload: dict[str, Any]) -> "Config":
        """Malformed parts count as not given."""
        config = _object(payload.get("config"))
        broadcast, presence = _object(config.get("broadcast")), _object(config.get("presence"))
        wanted = config.get("postgres_changes")
        entries = [one for one in wanted if isinstance(one, dict)] if isinstance(wanted, list) else []
        plain = [{name: value for name, value in one.items() if value is not None} for one in entries]
        return cls(
            is_private=_is_true(config.get("private")),
            echoes=_is_true(broadcast.get("self")),
            acknowledges=_is_true(broadcast.get("ack")),
            has_presence=_is_true(presence.get("enabled")),
            requests=[{**one, "id": _stable_id(one)} for one in plain],
        )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


def _stable_id(request: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(request, sort_keys=True).encode()) & 0x7FFFFFF


class Channel:
    """Member of the hub, subscriber of the feed, until closed; `push` queues for the client."""

    def __init__(
        self,
        services: Services,
        join: Message,
        config: Config,
        claims: Claims,
        push: Callable[[Message], None],
        on_close: Callable[["Channel"], None],
    ) -> None:
        self.topic, self.join_ref, self.config, self.claims = join.topic, join.join_ref, config, claims
        self.push = push
        self._services, self._on_close = services, on_close
        self._subscriber: Subscriber | None = None
        self._may_write: bool | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def is_private(self) -> bool:
        """Whether policies on realtime.messages decide."""
        return self.config.is_private

    @property
    def name(self) -> str:
        """The topic without `realtime:`."""
        return self.topic.removeprefix("realtime:")

    def open(self) -> None:
        """Join the hub, subscribe, and watch the token's expiry."""
        self._services.hub.add(self)
        self._follow(self.claims)

    def close(self) -> None:
        """Leave everything and tell the client."""
        self.leave()
        self.push(Message(self.topic, "phx_close", {}, self.join_ref, self.join_ref))
        self._on_close(self)

    def leave(self) -> None:
        """Leave everything silently."""
        self._services.hub.remove(self)
        if self._subscriber:
            self._services.feed.remove(self._subscriber)
        if self._expiry:
            self._expiry.cancel()

    async def renew(self, claims: Claims) -> None:
        """Go on with another token, if it may listen here."""
        if self.is_private and not await self._services.gate.may_read(claims, self.name):
            words = f"You no longer have permission to read from this Channel topic: {self.name}"
            self.fail(words)
            return
        self._follow(claims)

    def fail(self, words: str) -> None:
        """Say why, and close."""
        self.system("system", "error", words)
        self.close()

    async def broadcast(self, message: Message) -> None:
        """Fan a client's broadcast out; without the right to send it vanishes."""
        payload = message.payload
        if not isinstance(payload, dict) or not isinstance(payload.get("event"), str):
            return
        if self.is_private and not await self._can_write():
            return
        skip = None if self.config.echoes else self
        self._services.hub.publish(self.topic, payload, is_private=self.is_private, skip=skip)
        if self.config.acknowledges:
            self.reply(message, "ok", {})

    def reply(self, message: Message, status: str, response: dict[str, Any]) -> None:
        """Answer one of the client's messages."""
        payload = {"status": status, "response": response}
        self.push(Message(self.topic, "phx_reply", payload, message.ref, self.join_ref))

    def system(self, extension: str, status: str, words: str) -> None:
        """A notice about the channel."""
        payload = {"message": words, "status": status, "extension": extension, "channel": self.name}
        self.push(Message(self.topic, "system", payload, None, self.join_ref))

    async def _can_write(self) -> bool:
        if self._may_write is None:
            self._may_write = await self._services.gate.may_write(self.claims, self.name)
        return self._may_write

    def _follow(self, claims: Claims) -> None:
        self.claims, self._may_write = claims, None
        loop = asyncio.get_running_loop()
        if self._expiry:
            self._expiry.cancel()
        self._expiry = loop.call_later(seconds_left(claims), lambda: self.fail(expiry_text(claims)))
        if self._subscriber:
            self._services.feed.remove(self._subscriber)
        if self.config.requests:
            self._subscriber = Subscriber(claims, self.config.requests, self._deliver, self._report)
            self._services.feed.add(self._subscriber)

    def _deliver(self, ids: list[int], data: dict[str, Any]) -> None:
        self.push(Message(self.topic, "postgres_changes", {"ids": ids, "data": data}, None, self.join_ref))

    def _report(self, status: str, words: str) -> None:
        self.system("postgres_changes", status, words)
