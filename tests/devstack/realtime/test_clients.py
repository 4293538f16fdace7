"""The official clients against the local stack."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent

from devstack.config import ROOT, GatewayConfig


def test_the_official_python_client(
    url: str, config: GatewayConfig, db: Any, token: Callable[..., str], rita: str
) -> None:
    async def talk() -> list[Any]:
        client = AsyncRealtimeClient(url, config.keys.anon_key)
        await client.set_auth(token())
        seen: asyncio.Queue[Any] = asyncio.Queue()
        ready = asyncio.Event()
        channel = client.channel("py")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Insert, seen.put_nowait, table="notes", schema="public"
        )
        channel.on_system(lambda _: ready.set())
        channel.on_broadcast("shout", seen.put_nowait)
        await channel.subscribe()
        await asyncio.wait_for(ready.wait(), 5)
        db.execute("insert into notes (id, owner) values (70, %s)", [rita])
        got = [await asyncio.wait_for(seen.get(), 5)]
        headers = {"apikey": config.keys.anon_key}
        message = {"topic": "py", "event": "shout", "payload": {"n": 1}}
        async with httpx.AsyncClient() as http:
            await http.post(f"{url}/api/broadcast", json={"messages": [message]}, headers=headers)
        got.append(await asyncio.wait_for(seen.get(), 5))
        await channel.unsubscribe()
        await client.close()
        return got

    db.execute("delete from notes")
    change, broadcast = asyncio.run(talk())
    assert change["data"]["record"]["id"] == 70
    assert broadcast["payload"] == {"n": 1}


def test_presence_in_the_official_python_client(url: str, config: GatewayConfig) -> None:
    async def meet() -> tuple[list[str], list[str]]:
        here, there = (AsyncRealtimeClient(url, config.keys.anon_key) for _ in range(2))
        came: asyncio.Queue[str] = asyncio.Queue()
        left: asyncio.Queue[str] = asyncio.Queue()
        hall = here.channel("py-hall")
        hall.on_presence_join(lambda key, *_: came.put_nowait(key))
        hall.on_presence_leave(lambda key, *_: left.put_nowait(key))
        await hall.subscribe()
        visitor = there.channel("py-hall", {"config": {"presence": {"key": "marc", "enabled": True}}})
        await visitor.subscribe()
        await visitor.track({"mood": "busy"})
        arrived = await asyncio.wait_for(came.get(), 5)
        moods = [presence["mood"] for presence in hall.presence_state()["marc"]]
        await there.close()
        gone = await asyncio.wait_for(left.get(), 5)
        await here.close()
        return [arrived, gone], moods

    assert asyncio.run(meet()) == (["marc", "marc"], ["busy"])


def test_the_official_javascript_client(
    url: str, config: GatewayConfig, db: Any, token: Callable[..., str], rita: str
) -> None:
    db.execute("delete from notes; select realtime.send('{\"n\": 3}', 'kept', 'room')")
    environment = {"API_URL": url.removesuffix("/realtime/v1"), "KEY": config.keys.anon_key, "TOKEN": token()}
    script = Path(__file__).parent / "client.mjs"
    with subprocess.Popen(
        ["node", str(script)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdin and node.stdout
        assert node.stdout.readline().strip() == "ready"
        db.execute("insert into notes (id, owner) values (71, %s)", [rita])
        said = json.loads(node.stdout.readline())
    assert said == {
        "inserted": 71,
        "broadcast": {"n": 1},
        "bytes": [255, 0],
        "http": {"n": 2},
        "present": ["rita", "busy"],
        "replayed": [3, True],
    }
