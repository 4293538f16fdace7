"""The bad day itself: who is disturbed when, by a seed."""

import os
import random
import signal
import time
from dataclasses import dataclass, field

from benchmarks.chaos import feed
from benchmarks.chaos.judge import Verdict, judge, unsettled
from benchmarks.chaos.stage import Stage

_SHOW_RETRIES = """
update pgmq.q_{queue} m set vt = clock_timestamp()
 where vt > clock_timestamp() and exists (select from public.{table} r
    where r.id = private.message_subject(m.message) and r.status in {statuses})
"""
_TABLES = {
    "send": ("communications", "queued", "sending"),
    "push": ("push_notifications", "queued", "sending"),
    "render": ("invoice_documents", "pending", "rendering"),
}


@dataclass(frozen=True)
class Plan:
    """How bad the day is; `is_hurried` moves the clock of the queues instead of waiting for it."""

    seed: int = 1
    workers: int = 3
    mails: int = 3600
    texts: int = 700
    pushes: int = 700
    invoices: int = 60
    poison: int = 10
    kills: int = 200
    restarts: int = 6
    cuts: int = 12
    freezes: int = 2
    pause: tuple[float, float] = (0.2, 2.4)
    freeze_seconds: float = 150.0
    drain_seconds: float = 600.0
    recovery_seconds: float = 60.0
    is_hurried: bool = False


@dataclass
class Monkey:
    """Feeds and disturbs; `disturbances` are what and when (seconds since the epoch)."""

    stage: Stage
    plan: Plan
    disturbances: list[tuple[str, float]] = field(default_factory=list)
    frozen: dict[int, float] = field(default_factory=dict)

    def play(self) -> Verdict:
        """All of it; the verdict at the end."""
        plan, stage = self.plan, self.stage
        chance = random.Random(plan.seed)
        feed.prepare(stage)
        feed.disturb_webhooks(stage)
        stage.workers = [stage.start_worker(number) for number in range(plan.workers)]
        steps = (
            ["kill"] * plan.kills
            + ["restart"] * plan.restarts
            + ["cut"] * plan.cuts
            + ["freeze"] * plan.freezes
        )
        chance.shuffle(steps)
        for number, step in enumerate(steps):
            self._feed(number, len(steps))
            time.sleep(chance.uniform(*plan.pause))
            self._thaw()
            getattr(self, f"_{step}")(chance)
            self._replace_ended()
        self._drain()
        return judge(stage, plan.poison, self.disturbances, plan.recovery_seconds)

    def _feed(self, number: int, steps: int) -> None:
        def share(total: int) -> int:
            return total * (number + 1) // steps - total * number // steps

        feed.messages(self.stage, share(self.plan.mails), "email")
        feed.messages(self.stage, share(self.plan.texts), "sms")
        feed.pushes(self.stage, share(self.plan.pushes))
        for _ in range(share(self.plan.invoices)):
            feed.invoice(self.stage)
        for _ in range(share(self.plan.poison)):
            feed.poison(self.stage, number)

    def _note(self, what: str) -> None:
        self.disturbances.append((what, time.time()))

    def _kill(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.stage.workers))
        self.frozen.pop(self.stage.workers[number].pid, None)
        self.stage.workers[number].kill()
        self._note("kill of a worker")
        self.stage.workers[number] = self.stage.start_worker(number)

    def _restart(self, chance: random.Random) -> None:
        self.stage.kill_postgres()
        self._note("kill of PostgreSQL")

    def _cut(self, chance: random.Random) -> None:
        self.stage.wire.cut(chance.uniform(0, 5))
        self._note("cut of Realtime and Storage")

    def _freeze(self, chance: random.Random) -> None:
        """A process that stands still for longer than its messages are held for it, and then goes on."""
        worker = chance.choice(self.stage.workers)
        os.kill(worker.pid, signal.SIGSTOP)
        self.frozen[worker.pid] = time.monotonic() + self.plan.freeze_seconds

    def _thaw(self, everybody: bool = False) -> None:
        for pid, until in list(self.frozen.items()):
            if everybody or time.monotonic() > until:
                os.kill(pid, signal.SIGCONT)
                del self.frozen[pid]

    def _replace_ended(self) -> None:
        for number, worker in enumerate(self.stage.workers):
            if worker.process.poll() is not None:
                self._note(f"end by itself with {worker.process.returncode}")
                self.stage.workers[number] = self.stage.start_worker(number)

    def _drain(self) -> None:
        deadline = time.monotonic() + self.plan.drain_seconds
        if self.plan.is_hurried:
            self._thaw(everybody=True)
            self._stop_workers()
            self._show(under_way=True)
            self.stage.workers = [self.stage.start_worker(number) for number in range(self.plan.workers)]
        while unsettled(self.stage) and time.monotonic() < deadline:
            self._thaw()
            if self.plan.is_hurried:
                self._show(under_way=False)
            time.sleep(0.5)
        self._thaw(everybody=True)
        self._stop_workers()

    def _stop_workers(self) -> None:
        for worker in self.stage.workers:
            worker.process.terminate()
        for worker in self.stage.workers:
            code = worker.process.wait(240)
            # Before it listens for signals it holds nothing, and may end at once.
            if code and not (code == -signal.SIGTERM and worker.is_young):
                self._note(f"stop with exit code {code}")
        self.stage.workers = []

    def _show(self, under_way: bool) -> None:
        """Let the time of waiting retries run out; and of what dead workers held."""
        for queue, (table, waiting, busy) in _TABLES.items():
            statuses = (waiting, busy) if under_way else (waiting, waiting)
            self.stage.ask(_SHOW_RETRIES.format(queue=queue, table=table, statuses=statuses))
