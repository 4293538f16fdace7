"""One client's socket: reads its messages, keeps its channels, writes from a bounded queue."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from devstack.keys import Keys
from devstack.realtime import limits, protocol
from devstack.realtime.channel import Channel, Services
from devstack.realtime.join import Config, JoinRefused
from devstack.realtime.protocol import Message, ProtocolError
from devstack.realtime.tokens import TokenRefused, verify

MAX_FRAME = 5_000_000
MAX_QUEUE = 1000
MAX_QUEUED_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 60
_CLOSE_SECONDS = 1.0
_NORMAL, _TOO_BIG, _INTERNAL_ERROR = 1000, 1009, 1011


class Socket:
    """Lives as long as its connection.

    A client that does not read is dropped without a word, which it could not read either.
    """

    def __init__(
        self, websocket: WebSocket, version: str, token: str, keys: Keys, services: Services
    ) -> None:
        self._websocket, self._version, self._token = websocket, version, token
        self._keys, self._services = keys, services
        self._channels: dict[str, Channel] = {}
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(MAX_QUEUE)
        self._queued_bytes = 0
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
        self._queued_bytes += protocol.size(message.payload)
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._overflow.set()
        if self._queued_bytes > MAX_QUEUED_BYTES:
            self._overflow.set()

    async def _write(self) -> None:
        """Until there is None to write, which closes the connection."""
        while message := await self._queue.get():
            self._queued_bytes -= protocol.size(message.payload)
            frame = protocol.encode(self._version, message)
            if isinstance(frame, str):
                await self._websocket.send_text(frame)
            elif frame is not None:
                await self._websocket.send_bytes(frame)
        await self._close(_NORMAL)

    async def _read(self) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    received = await self._websocket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                frame = received.get("text") or received.get("bytes") or ""
                if len(frame) > MAX_FRAME:
                    return await self._close(_TOO_BIG)
                await self._handle(protocol.decode(frame))
        except TimeoutError:
            await self._close(_NORMAL)
        except ProtocolError:
            await self._close(_INTERNAL_ERROR)

    async def _close(self, code: int) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close(code)

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
        if previous := self._channels.get(message.topic):
            previous.close()
        try:
            channel = self._prepared(message)
            await channel.admit()
        except (JoinRefused, TokenRefused) as refused:
            self._reply(message, "error", {"reason": str(refused)})
            return
        self._channels[message.topic] = channel
        channel.open()

    def _prepared(self, message: Message) -> Channel:
        payload = message.payload if isinstance(message.payload, dict) else {}
        name = message.topic.removeprefix("realtime:")
        if name == message.topic or not name:
            raise JoinRefused("TopicNameRequired: You must provide a topic name")
        if not self._services.limits.joins.take():
            # The reply goes first.
            asyncio.get_running_loop().call_soon(self._hang_up)
            raise JoinRefused("ClientJoinRateLimitReached: Too many joins per second")
        if len(self._channels) >= limits.CHANNELS_PER_SOCKET:
            raise JoinRefused("ChannelRateLimitReached: Too many channels")
        token = self._chosen_token(payload)
        claims = verify(self._keys, token)
        config = Config.read(name, payload)
        return Channel(self._services, message, config, token, claims, self.push, self._forget)

    def _hang_up(self) -> None:
        try:
            self._queue.put_nowait(None)
        except asyncio.QueueFull:
            self._overflow.set()

    def _chosen_token(self, payload: dict[str, Any]) -> str:
        token = payload.get("user_token") or payload.get("access_token")
        return token if isinstance(token, str) and not token.startswith("sb_") else self._token

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]

    def _reply(self, message: Message, status: str, response: dict[str, Any]) -> None:
        payload = {"status": status, "response": response}
        self.push(Message(message.topic, "phx_reply", payload, message.ref, message.join_ref))

    async def _leave(self, channel: Channel, message: Message) -> None:
        channel.reply(message, "ok", {})
        channel.close()

    async def _broadcast(self, channel: Channel, message: Message) -> None:
        await channel.broadcast(message)

    async def _presence(self, channel: Channel, message: Message) -> None:
        await channel.presence(message)

    async def _access_token(self, channel: Channel, message: Message) -> None:
        token = message.payload.get("access_token") if isinstance(message.payload, dict) else None
        if not isinstance(token, str) or token.startswith("sb_") or token == channel.token:
            return
        try:
            claims = verify(self._keys, token)
        except TokenRefused as refused:
            channel.fail(refused.text)
            return
        await channel.renew(token, claims)


_HANDLERS: dict[str, Callable[[Socket, Channel, Message], Awaitable[None]]] = {
    "phx_leave": Socket._leave,
    "broadcast": Socket._broadcast,
    "presence": Socket._presence,
    "access_token": Socket._access_token,
}
