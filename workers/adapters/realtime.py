"""The doorbell: Supabase Realtime tells of new rows in `private.wakeups`, through the official client.

After a drop the client is thrown away and built anew: a channel that re-joins by itself can lose its
`postgres_changes` without a word (realtime-py #213).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from realtime import AsyncRealtimeClient, RealtimeSubscribeStates
from realtime.types import PostgresChangesPayload, RealtimePostgresChangesListenEvent

from workers.core.logs import event
from workers.core.retry import backoff
from workers.ports import Meter, Silence

log = logging.getLogger("workers.doorbell")

Ring = Callable[[str | None], None]
LONGEST_PAUSE = 30
# A line can look sound and be deaf: it is renewed after a while, whatever it looks like.
LONGEST_SESSION = 600.0


class RealtimeDoorbell:
    """Listens on a thread of its own until stopped; `meter` hears of the line."""

    def __init__(self, supabase_url: str, service_role_key: str, meter: Meter | None = None) -> None:
        self._meter = meter or Silence()
        self._url = f"{supabase_url}/realtime/v1"
        self._key = service_role_key
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self, ring: Ring) -> None:
        """Begin to listen."""
        self._thread = threading.Thread(target=self._run, args=(ring,), name="doorbell")
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait for the thread to end; once more does nothing."""
        if self._loop.is_closed():
            return
        if self._thread is None:
            self._loop.close()
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self, ring: Ring) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen(ring))

    async def _listen(self, ring: Ring) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._unless_stopped(self._session(ring))
                failures = 0
            except Exception as error:  # noqa: BLE001 - without a doorbell the loop still polls
                failures += 1
                self._meter.lost("realtime")
                log.warning(event("doorbell.failed", error=type(error).__name__, failures=failures))
            await self._unless_stopped(asyncio.sleep(min(backoff(failures or 1), LONGEST_PAUSE)))

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        is_done = task.done()
        for each in (task, stop):
            each.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
        if is_done:
            task.result()

    async def _session(self, ring: Ring) -> None:
        """One connection: returns when it is lost, raises when it never came about."""
        dropped = asyncio.Event()
        client = AsyncRealtimeClient(self._url, self._key, auto_reconnect=False, max_retries=1)
        try:
            await client.connect()
            channel = client.channel("worker-doorbell")
            channel.on_postgres_changes(
                RealtimePostgresChangesListenEvent.Insert,
                lambda change: ring(_queue_of(change)),
                table="wakeups",
                schema="private",
            )
            # Changes flow from this message on, a moment after the subscription itself.
            channel.on_system(lambda payload: ring(None))
            await channel.subscribe(lambda state, error: self._on_state(state, ring, dropped))
            with suppress(TimeoutError):
                await asyncio.wait_for(dropped.wait(), LONGEST_SESSION)
        finally:
            await client.remove_all_channels()

    def _on_state(self, state: RealtimeSubscribeStates, ring: Ring, dropped: asyncio.Event) -> None:
        if dropped.is_set():
            return
        log.info(event("doorbell.state", state=state.value))
        if state == RealtimeSubscribeStates.SUBSCRIBED:
            self._meter.joined("realtime")
            ring(None)
        else:
            self._meter.lost("realtime")
            dropped.set()


def _queue_of(change: PostgresChangesPayload) -> str | None:
    queue = (change["data"].get("record") or {}).get("queue")
    return queue if isinstance(queue, str) else None
