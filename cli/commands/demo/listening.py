"""Listening on a garage's private channel, with the official async client, while something is sent."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from realtime import AsyncRealtimeClient, RealtimeSubscribeStates
from supabase import Client
from websockets.exceptions import WebSocketException

from cli.commands.demo.local_stack import LocalStack
from cli.errors import CommandFailed

Record = dict[str, Any]
PATIENCE_SECONDS = 20.0
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Heard:
    """What was sent, what each listener heard (None: not let in), and how long the first waited."""

    sent: Record
    notices: dict[str, list[Record] | None]
    milliseconds: int | None


def listen_while(
    stack: LocalStack, topic: str, members: Mapping[str, Client], send: Callable[[], Record]
) -> Heard:
    """Let signed-in members ask for a private channel, call `send`, and tell who heard what.

    Waits until the first listener hears something, then a moment longer for those who should not.
    """
    return asyncio.run(_listen_while(stack, topic, members, send))


async def _listen_while(
    stack: LocalStack, topic: str, members: Mapping[str, Client], send: Callable[[], Record]
) -> Heard:
    notices: dict[str, list[Record] | None] = {}
    first = asyncio.Event()
    clients: list[AsyncRealtimeClient] = []
    try:
        for name, member in members.items():
            clients.append(await _connect(stack, member))
            notices[name] = await _subscribe(clients[-1], topic, first)
        started = time.monotonic()
        sent = await asyncio.to_thread(send)
        try:
            await asyncio.wait_for(first.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            return Heard(sent, notices, None)
        milliseconds = round((time.monotonic() - started) * 1000)
        await asyncio.sleep(GRACE_SECONDS)
        return Heard(sent, notices, milliseconds)
    finally:
        for client in clients:
            await client.close()


async def _subscribe(client: AsyncRealtimeClient, topic: str, first: asyncio.Event) -> list[Record] | None:
    """What will be heard on the channel, growing as it arrives; None when it lets this member not in."""
    notices: list[Record] = []
    states: list[RealtimeSubscribeStates] = []

    def on_message(broadcast: Mapping[str, Any]) -> None:
        notices.append(dict(broadcast["payload"]))
        first.set()

    channel = client.channel(topic, {"config": {"private": True, "broadcast": None, "presence": None}})
    channel.on_broadcast("message", on_message)
    await channel.subscribe(lambda state, _: states.append(state))
    return notices if states and states[0] is RealtimeSubscribeStates.SUBSCRIBED else None


async def _connect(stack: LocalStack, member: Client) -> AsyncRealtimeClient:
    session = member.auth.get_session()
    client = AsyncRealtimeClient(f"{stack.api_url}/realtime/v1", token=stack.anon_key, auto_reconnect=False)
    try:
        await client.connect()
    except (OSError, WebSocketException) as error:
        raise CommandFailed(
            "realtime_unreachable",
            "Realtime does not let us in",
            str(error),
            "See the gateway's log: `autexor stack status` says where",
        ) from error
    await client.set_auth(session.access_token if session else None)
    return client
