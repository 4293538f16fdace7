"""Many sockets on `postgres_changes` and a steady stream of changes: is any lost, does the gateway grow?

    python -m benchmarks.soak [--seconds 60] [--sockets 500] [--changes 100] [--garages 50]

Runs a bare stack of its own. Each socket is a member of one of the garages and subscribes to the whole
table, so the row-level policy decides who is told of each change. Exits 1 when an event was lost or came
twice, or when the gateway's memory grew beyond a bound between the first and the last tenth of the run.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from websockets.asyncio.client import ClientConnection, connect

from devstack.config import Settings, free_port
from devstack.keys import Keys, load_or_create
from devstack.stack import Stack, running

TABLE = """
create table public.ticks (id bigint primary key, garage int not null, sent_at double precision not null);
alter table public.ticks enable row level security;
grant select on public.ticks to authenticated;
create policy select_member on public.ticks for select to authenticated
    using (garage = (select (auth.jwt() ->> 'garage')::int));
alter publication supabase_realtime add table public.ticks;
"""
INSERT = "insert into public.ticks values (%s, %s, %s)"
HEARTBEAT_SECONDS = 25
JOIN_SECONDS = 120
QUIET_SECONDS = 30
MAX_GROWTH_MB = 40


@dataclass
class Member:
    """One socket: how often it was told of which row, and how long after the insert, in seconds."""

    garage: int
    token: str
    told: Counter[int] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)
    is_joined: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, url: str) -> None:
        """Subscribe and count until cancelled."""
        async with connect(url, max_size=None) as socket:
            wanted = [{"event": "INSERT", "schema": "public", "table": "ticks"}]
            payload = {"config": {"postgres_changes": wanted}, "access_token": self.token}
            await socket.send(frame("realtime:ticks", "phx_join", payload, "1"))
            beats = asyncio.create_task(heartbeat(socket))
            try:
                async for text in socket:
                    self.note(json.loads(text))
            finally:
                beats.cancel()

    def note(self, message: dict[str, Any]) -> None:
        """Count a change; a `system` message says that the subscription has begun, or why not."""
        if message["event"] == "system":
            if message["payload"]["status"] != "ok":
                raise RuntimeError(message["payload"]["message"])
            self.is_joined.set()
        elif message["event"] == "postgres_changes":
            record = message["payload"]["data"]["record"]
            self.told[record["id"]] += 1
            self.delays.append(time.time() - record["sent_at"])


def frame(topic: str, event: str, payload: dict[str, Any], ref: str) -> str:
    """A message of protocol 1.0.0."""
    return json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": "1"})


async def heartbeat(socket: ClientConnection) -> None:
    """Keep the socket alive, as the client libraries do."""
    for number in itertools.count():
        await asyncio.sleep(HEARTBEAT_SECONDS)
        await socket.send(frame("phoenix", "heartbeat", {}, f"h{number}"))


async def change(db_url: str, options: argparse.Namespace) -> list[int]:
    """Insert rows at the wanted pace, each in its own transaction; gives the number of each garage."""
    total = options.seconds * options.changes
    begun = time.monotonic()
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        for number in range(total):
            await asyncio.sleep(max(0.0, begun + number / options.changes - time.monotonic()))
            await connection.execute(INSERT, (number, number % options.garages, time.time()))
    print(f"{total} changes in {time.monotonic() - begun:.1f} s")
    return [len(range(garage, total, options.garages)) for garage in range(options.garages)]


async def sample(pid: int, sizes: list[float]) -> None:
    """Note the memory of a process (RSS, in MB) twice a second."""
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1000)
        await asyncio.sleep(0.5)


def members(keys: Keys, options: argparse.Namespace) -> list[Member]:
    """The sockets, spread over the garages; those of one garage are different users."""
    found = []
    for number in range(options.sockets):
        garage = number % options.garages
        sub = f"00000000-0000-4000-8000-{number:012d}"
        claims = {"role": "authenticated", "sub": sub, "garage": garage, "exp": int(time.time()) + 3600}
        found.append(Member(garage, keys.sign(claims)))
    return found


async def drained(everyone: list[Member], expected: int) -> None:
    """Wait until all is there, or nothing has come for a while: a gateway that lags has lost nothing yet."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        told = sum(one.told.total() for one in everyone)
        if told >= expected:
            return
        if told != seen:
            seen, since = told, time.monotonic()
        await asyncio.sleep(0.2)


async def soak(stack: Stack, options: argparse.Namespace) -> int:
    """One run; gives the exit code."""
    environment = stack.environment()
    everyone = members(load_or_create(stack.settings.paths.keys), options)
    address = stack.api_url.replace("http", "ws") + "/realtime/v1/websocket"
    url = f"{address}?apikey={environment['ANON_KEY']}&vsn=1.0.0"
    listening = [asyncio.create_task(one.listen(url)) for one in everyone]
    joined = asyncio.gather(*(one.is_joined.wait() for one in everyone))
    await asyncio.wait([joined, *listening], timeout=JOIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    print(f"{sum(one.is_joined.is_set() for one in everyone)} of {len(everyone)} sockets subscribed")
    sizes: list[float] = []
    gateway = next(part["pid"] for part in stack.status()["parts"] if part["part"] == "gateway")
    watching = asyncio.create_task(sample(gateway, sizes))
    per_garage = await change(environment["DB_URL"], options)
    await drained(everyone, sum(per_garage[one.garage] for one in everyone))
    for task in (*listening, watching):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*listening, watching)
    return report(everyone, per_garage, sizes)


def report(everyone: list[Member], per_garage: list[int], sizes: list[float]) -> int:
    """Print the figures; 1 when something is wrong with them."""
    expected = sum(per_garage[one.garage] for one in everyone)
    lost = expected - sum(len(one.told) for one in everyone)
    doubled = sum(one.told.total() - len(one.told) for one in everyone)
    delays = sorted(delay for one in everyone for delay in one.delays) or [0.0]
    start, end = (statistics.median(part) for part in (_tenth(sizes), _tenth(sizes[::-1])))
    print(f"{expected} events expected, {lost} lost, {doubled} doubled")
    print(
        f"delay: median {statistics.median(delays) * 1000:.0f} ms,"
        f" 99 % {delays[len(delays) * 99 // 100] * 1000:.0f} ms, most {delays[-1] * 1000:.0f} ms"
    )
    print(f"gateway: {start:.0f} MB at the start, {max(sizes):.0f} MB at most, {end:.0f} MB at the end")
    return int(lost != 0 or doubled != 0 or end - start > MAX_GROWTH_MB)


def _tenth(sizes: list[float]) -> list[float]:
    return sizes[: max(1, len(sizes) // 10)]


def main() -> None:
    """Run it against a stack made for the purpose."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, default in (("seconds", 60), ("sockets", 500), ("changes", 100), ("garages", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="autexor soak ") as scratch:
        Path(scratch).chmod(0o755)
        with running(Settings(Path(scratch) / "stack", free_port()), is_bare=True) as stack:
            with psycopg.connect(stack.environment()["DB_URL"]) as connection:
                connection.execute(TABLE)
            sys.exit(asyncio.run(soak(stack, options)))


if __name__ == "__main__":
    main()
