"""One client's socket: reads its messages, keeps its channels, writes from a bounded queue."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from devstack.keys import Keys
from devstack.realtime import protocol
from devstack.realtime.channel import Channel, Config, Services
from devstack.realtime.protocol import Message, ProtocolError
from devstack.realtime.tokens import TokenRefused, verify

MAX_FRAME = 5_000_000
MAX_QUEUE = 1000
IDLE_SECONDS = 60


class Socket:
    """Lives as long as its connection; a client that does not read is dropped."""

    def __init__(
        self, websocket: WebSocket, version: str, token: str, keys: Keys, services: Services
    ) -> None:
        self._websocket, self._version, self._token = websocket, version, token
        self._keys, self._services = keys, services
        self._channels: dict[str, Channel] = {}
        self._queue: asyncio.Queue[Message] = asyncio.Queue(MAX_QUEUE)
        self._overflow = asyncio.Event()

    async def run(self) -> None:
        """Serve until either side goes."""
        jobs = [asyncio.create_task(job) for job in (self._read(), self._write(), self._overflow.wait())]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for channel in self._channels.values():
                channel.leave()
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    def push(self, message: Message) -> None:
        """Queue a message; too many unread ones end the connection."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._overflow.set()

    async def _write(self) -> None:
        while True:
            frame = protocol.encode(self._version, await self._queue.get())
            if isinstance(frame, str):
                await self._websocket.send_text(frame)
            elif frame is not None:
                await self._websocket.send_bytes(frame)

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, ProtocolError):
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    received = await self._websocket.receive()
                frame = received.get("text") or received.get("bytes")
                if received["type"] == "websocket.disconnect" or not frame or len(frame) > MAX_FRAME:
                    return
                await self._handle(protocol.decode(frame))

    async def _handle(self, message: Message) -> None:
        channel = self._channels.get(message.topic)
        if message.topic == "phoenix" and message.event == "heartbeat":
            self._reply(message, "ok", {})
        elif message.event == "phx_join":
            await self._join(message)
        elif channel is None:
            self._reply(message, "error", {"reason": "unmatched topic"})
        elif handler := _HANDLERS.get(message.event):
            await handler(self, channel, message)

    async def _join(self, message: Message) -> None:
        payload = message.payload if isinstance(message.payload, dict) else {}
        config = Config.read(payload)
        name = message.topic.removeprefix("realtime:")
        if name == message.topic or not name:
            self._refuse(message, "TopicNameRequired: You must provide a topic name")
            return
        try:
            claims = verify(self._keys, self._chosen_token(payload))
        except TokenRefused as refused:
            self._refuse(message, str(refused))
            return
        if config.is_private and not await self._services.gate.may_read(claims, name):
            words = f"Unauthorized: You do not have permissions to read from this Channel topic: {name}"
            self._refuse(message, words)
            return
        if previous := self._channels.get(message.topic):
            previous.close()
        channel = Channel(self._services, message, config, claims, self.push, self._forget)
        self._channels[message.topic] = channel
        channel.reply(message, "ok", {"postgres_changes": config.requests})
        if config.has_presence:
            self.push(Message(message.topic, "presence_state", {}, None, message.join_ref))
        channel.open()

    def _chosen_token(self, payload: dict[str, Any]) -> str:
        token = payload.get("access_token") or payload.get("user_token")
        return token if isinstance(token, str) and not token.startswith("sb_") else self._token

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]

    def _refuse(self, message: Message, reason: str) -> None:
        self._reply(message, "error", {"reason": reason})

    def _reply(self, message: Message, status: str, response: dict[str, Any]) -> None:
        payload = {"status": status, "response": response}
        self.push(Message(message.topic, "phx_reply", payload, message.ref, message.join_ref))

    async def _leave(self, channel: Channel, message: Message) -> None:
        channel.reply(message, "ok", {})
        channel.close()

    async def _broadcast(self, channel: Channel, message: Message) -> None:
        await channel.broadcast(message)

    async def _presence(self, channel: Channel, message: Message) -> None:
        channel.reply(message, "ok", {})

    async def _access_token(self, channel: Channel, message: Message) -> None:
        token = message.payload.get("access_token") if isinstance(message.payload, dict) else None
        if not isinstance(token, str) or token.startswith("sb_"):
            return
        try:
            claims = verify(self._keys, token)
        except TokenRefused as refused:
            channel.fail(refused.text)
            return
        if claims != channel.claims:
            await channel.renew(claims)


_HANDLERS: dict[str, Callable[[Socket, Channel, Message], Awaitable[None]]] = {
    "phx_leave": Socket._leave,
    "broadcast": Socket._broadcast,
    "presence": Socket._presence,
    "access_token": Socket._access_token,
}
