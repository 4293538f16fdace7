"""Who listens to which topic; public and private channels of one name are different topics."""

from collections import defaultdict
from typing import Any, Protocol

from devstack.realtime.protocol import Message, pack


class Listener(Protocol):
    """A joined channel."""

    @property
    def topic(self) -> str:
        """With the prefix `realtime:`."""

    @property
    def is_private(self) -> bool:
        """Whether policies on realtime.messages decide about it."""

    def wants(self, event: str, message_id: str | None) -> bool:
        """Whether it may have, and has not had, this message."""

    def push(self, message: Message) -> None:
        """Queue a message for the client."""


class Hub:
    """Fan-out of broadcasts and presence."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, bool], set[Listener]] = defaultdict(set)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has joined anything."""
        return not self._listeners

    def add(self, listener: Listener) -> None:
        """From now on the listener gets what is published."""
        self._listeners[listener.topic, listener.is_private].add(listener)

    def remove(self, listener: Listener) -> None:
        """No longer."""
        key = listener.topic, listener.is_private
        self._listeners[key].discard(listener)
        if not self._listeners[key]:
            del self._listeners[key]

    def publish(
        self,
        topic: str,
        event: str,
        payload: Any,
        *,
        is_private: bool,
        skip: Listener | None = None,
        message_id: str | None = None,
    ) -> None:
        """Send a message to everyone on the topic but `skip`."""
        message = Message(topic, event, pack(payload))
        for listener in list(self._listeners.get((topic, is_private), ())):
            if listener is not skip and listener.wants(event, message_id):
                listener.push(message)
