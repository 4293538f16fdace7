"""Listening for messages over Realtime, with the official async client, while something is sent."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent
from supabase import Client
from websockets.exceptions import WebSocketException

from cli.commands.demo.local_stack import LocalStack
from cli.errors import CommandFailed

Record = dict[str, Any]
PATIENCE_SECONDS = 20.0
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Heard:
    """What was sent, what each listener received, and how long the first of them waited."""

    sent: Record
    records: dict[str, list[Record]]
    milliseconds: int | None


def listen_while(stack: LocalStack, members: Mapping[str, Client], send: Callable[[], Record]) -> Heard:
    """Let signed-in members listen for new messages, call `send`, and tell who heard what.

    Waits until the first listener hears something, then a moment longer for those who should not.
    Raises CommandFailed when a subscription is not confirmed in time.
    """
    return asyncio.run(_listen_while(stack, members, send))


async def _listen_while(
    stack: LocalStack, members: Mapping[str, Client], send: Callable[[], Record]
) -> Heard:
    records: dict[str, list[Record]] = {name: [] for name in members}
    first = asyncio.Event()
    clients: list[AsyncRealtimeClient] = []
    try:
        for name, member in members.items():
            clients.append(await _subscribe(stack, member, records[name], first))
        started = time.monotonic()
        sent = await asyncio.to_thread(send)
        try:
            await asyncio.wait_for(first.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            return Heard(sent, records, None)
        milliseconds = round((time.monotonic() - started) * 1000)
        await asyncio.sleep(GRACE_SECONDS)
        return Heard(sent, records, milliseconds)
    finally:
        for client in clients:
            await client.close()


async def _subscribe(
    stack: LocalStack, member: Client, records: list[Record], first: asyncio.Event
) -> AsyncRealtimeClient:
    client = await _connect(stack, member)
    confirmed = asyncio.Event()

    def on_message(payload: Mapping[str, Any]) -> None:
        records.append(dict(payload["data"]["record"]))
        first.set()

    channel = client.channel("demo-messages")
    channel.on_system(lambda _: confirmed.set())
    channel.on_postgres_changes(
        RealtimePostgresChangesListenEvent.Insert, on_message, table="messages", schema="public"
    )
    await channel.subscribe()
    try:
        await asyncio.wait_for(confirmed.wait(), PATIENCE_SECONDS)
    except TimeoutError:
        raise CommandFailed(
            "realtime_not_confirmed",
            "Realtime did not confirm the subscription",
            f"no `system` message within {PATIENCE_SECONDS:.0f} seconds",
            "See the gateway's log: `autexor stack status` says where",
        ) from None
    return client


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
