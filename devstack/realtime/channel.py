"""One joined topic of one socket."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from devstack.keys import Claims
from devstack.realtime import history, limits
from devstack.realtime.authorization import Gate
from devstack.realtime.bindings import Subscriber
from devstack.realtime.feed import Feed
from devstack.realtime.hub import Hub
from devstack.realtime.join import Config, JoinRefused
from devstack.realtime.limits import Limits
from devstack.realtime.presence import Presences
from devstack.realtime.protocol import Encoded, Message, pack, size
from devstack.realtime.tokens import expiry_text, seconds_left

# Clocks jump when a laptop wakes up, so the timer alone is not to be trusted for long.
_LONGEST_TRUST = 300.0
NO_DATABASE = "Realtime was unable to connect to the project database"


@dataclass(frozen=True)
class Services:
    """What all sockets share."""

    hub: Hub
    feed: Feed
    gate: Gate
    presences: Presences
    limits: Limits


class Channel:
    """Member of the hub, subscriber of the feed, until closed; `push` queues for the client."""

    def __init__(
        self,
        services: Services,
        join: Message,
        config: Config,
        token: str,
        claims: Claims,
        push: Callable[[Message], None],
        on_close: Callable[["Channel"], None],
    ) -> None:
        self.topic, self.join_ref, self.config = join.topic, join.join_ref, config
        self.token, self.claims = token, claims
        self.push = push
        self._services, self._join, self._on_close = services, join, on_close
        self._has_presence = config.has_presence
        self._presence_calls = limits.presence_calls()
        self._readable: frozenset[str] = frozenset()
        self._writable: dict[str, bool] = {}
        self._replayed: dict[str, dict[str, Any]] = {}
        self._subscriber: Subscriber | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def is_private(self) -> bool:
        """Whether policies on realtime.messages decide."""
        return self.config.is_private

    @property
    def name(self) -> str:
        """The topic without `realtime:`."""
        return self.topic.removeprefix("realtime:")

    async def admit(self) -> None:
        """Find out what the client may have here. Raises JoinRefused when that is nothing."""
        if not self.is_private:
            return
        try:
            self._readable = await self._services.gate.readable(self.claims, self.name)
            if self.config.replay:
                db_url = self._services.gate.db_url
                self._replayed = await history.recall(db_url, self.name, self.config.replay)
        except psycopg.Error:
            raise JoinRefused(f"UnableToConnectToProject: {NO_DATABASE}") from None
        needed = {"broadcast"} if self.config.replay or not self._has_presence else {"broadcast", "presence"}
        if not needed & self._readable:
            words = f"You do not have permissions to read from this Channel topic: {self.name}"
            raise JoinRefused(f"Unauthorized: {words}")

    def open(self) -> None:
        """Say yes, tell what went before, and take part."""
        self.reply(self._join, "ok", {"postgres_changes": self.config.requests})
        for payload in self._replayed.values():
            self.push(Message(self.topic, "broadcast", payload, None, self.join_ref))
        if self._has_presence:
            self._tell_presence()
        self._services.hub.add(self)
        if self.config.awaits_replication:
            words = "Replication connection established"
            self._services.feed.when_following(lambda: self.system("system", "ok", words))
        self._follow(self.claims)

    def close(self) -> None:
        """Leave everything and tell the client."""
        self.leave()
        self.push(Message(self.topic, "phx_close", {}, self.join_ref, self.join_ref))
        self._on_close(self)

    def leave(self) -> None:
        """Leave everything silently."""
        self._services.hub.remove(self)
        self._services.presences.untrack(self)
        if self._subscriber:
            self._services.feed.remove(self._subscriber)
        if self._expiry:
            self._expiry.cancel()

    async def renew(self, token: str, claims: Claims) -> None:
        """Go on with another token, if it may read what the last one might."""
        if self.is_private:
            before = self._readable
            try:
                self._readable = await self._services.gate.readable(claims, self.name)
            except psycopg.Error:
                self.fail(NO_DATABASE)
                return
            if before - self._readable:
                self.fail(f"You no longer have permission to read from this Channel topic: {self.name}")
                return
        self.token = token
        self._follow(claims)

    def fail(self, words: str) -> None:
        """Say why, and close."""
        self.system("system", "error", words)
        self.close()

    def wants(self, event: str, message_id: str | None) -> bool:
        """Whether the policies let the client have it, and it was not replayed already."""
        if self.is_private and event == "presence_diff":
            return self._has_presence and "presence" in self._readable
        return (not self.is_private or "broadcast" in self._readable) and message_id not in self._replayed

    async def broadcast(self, message: Message) -> None:
        """Fan a client's broadcast out; without the right to send it vanishes."""
        if not isinstance(message.payload, dict):
            return
        if self.is_private and not await self._may_write("broadcast"):
            return
        if not self._services.limits.events.take():
            self.fail("Too many messages per second")
            return
        payload = pack(message.payload)
        is_small = size(payload) <= limits.PAYLOAD_BYTES
        if is_small:
            skip = None if self.config.echoes else self
            self._services.hub.publish(
                self.topic, "broadcast", payload, is_private=self.is_private, skip=skip
            )
        if self.config.acknowledges and is_small:
            self.reply(message, "ok", {})
        elif self.config.acknowledges:
            self.reply(message, "error", {"reason": "payload_size_exceeded"})

    async def presence(self, message: Message) -> None:
        """Track or untrack the client."""
        asked = message.payload if isinstance(message.payload, dict) else {}
        if not self._presence_calls.take():
            self.fail("Client presence rate limit exceeded")
            return
        match str(asked.get("event", "")).lower():
            case "track":
                await self._track(message, asked.get("payload", {}))
            case "untrack":
                self.reply(message, "ok", {})
                self._services.presences.untrack(self)
            case event:
                self.reply(message, "error" if event else "ok", {})

    def reply(self, message: Message, status: str, response: dict[str, Any]) -> None:
        """Answer one of the client's messages."""
        payload = {"status": status, "response": response}
        self.push(Message(self.topic, "phx_reply", payload, message.ref, self.join_ref))

    def system(self, extension: str, status: str, words: str) -> None:
        """A notice about the channel."""
        payload = {"message": words, "status": status, "extension": extension, "channel": self.name}
        self.push(Message(self.topic, "system", payload, None, self.join_ref))

    async def _track(self, message: Message, meta: Any) -> None:
        if self.is_private and not await self._may_write("presence"):
            self.reply(message, "error", {})
        elif not isinstance(meta, dict):
            self.reply(message, "error", {"reason": "Presence track payload must be a map"})
        elif size(pack(meta)) > limits.PAYLOAD_BYTES:
            self.fail("Track message size exceeded")
        elif not self._services.limits.presence.take():
            self.fail("Too many presence messages per second")
        else:
            self.reply(message, "ok", {})
            self._services.presences.track(self, self.config.presence_key, meta)
            if not self._has_presence:
                self._has_presence = True
                self._tell_presence()

    def _tell_presence(self) -> None:
        if not self.is_private or "presence" in self._readable:
            state = self._services.presences.state(self)
            self.push(Message(self.topic, "presence_state", state, None, self.join_ref))

    async def _may_write(self, extension: str) -> bool:
        if extension not in self._writable:
            gate = self._services.gate
            try:
                self._writable[extension] = await gate.may_write(self.claims, self.name, extension)
            except psycopg.Error:
                # Nobody knows, so not this time.
                return False
        return self._writable[extension]

    def _follow(self, claims: Claims) -> None:
        self.claims, self._writable = claims, {}
        self._watch_expiry()
        if self._subscriber:
            self._services.feed.remove(self._subscriber)
        if self.config.requests:
            self._subscriber = Subscriber(claims, self.config.requests, self._deliver, self._report)
            self._services.feed.add(self._subscriber)

    def _watch_expiry(self) -> None:
        if self._expiry:
            self._expiry.cancel()
        left = seconds_left(self.claims)
        if left:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(min(left, _LONGEST_TRUST), self._watch_expiry)
        else:
            self.fail(expiry_text(self.claims))

    def _deliver(self, kind: str, ids: list[int], data: Encoded) -> None:
        # Before there was `config`, the change itself was the event.
        if self.config.is_legacy:
            self.push(Message(self.topic, kind, data))
        else:
            self.push(Message(self.topic, "postgres_changes", Encoded(f'{{"ids":{ids},"data":{data}}}')))

    def _report(self, status: str, words: str) -> None:
        self.system("postgres_changes", status, words)
