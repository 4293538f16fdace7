"""Where it is played: a stack of its own, worker processes, the relay and the wire in between."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.chaos.relay import Relay
from benchmarks.chaos.wire import Wire
from devstack.config import ROOT, Settings, State, free_port
from devstack.postgres import Cluster
from devstack.stack import Stack, running
from devstack.testing import SIGN_EVERYBODY_IN, Database

Row = dict[str, Any]
PATIENCE = 60.0


@dataclass
class Worker:
    """One worker process and its log."""

    process: subprocess.Popen[bytes]
    log: Path
    born: float = field(default_factory=time.monotonic)

    @property
    def is_young(self) -> bool:
        """Whether it may still be importing what it needs."""
        return time.monotonic() - self.born < 20

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait until it has finished what it holds; its exit code."""
        self.process.terminate()
        return self.process.wait(240)

    def memory_mb(self) -> float:
        """What of it is in memory (RSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@dataclass
class Stage:
    """A running stack; what workers send goes through `relay`, Realtime and Storage through `wire`."""

    stack: Stack
    relay: Relay
    wire: Wire
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    started: list[Worker] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """The stack's database, as tests know it."""
        state = State.load(self.stack.settings.paths.state)
        cluster = Cluster.at(Path(state.postgres_dir), state.ports["postgres"], Path(os.devnull))
        return Database(cluster, "postgres")

    def environment(self) -> dict[str, str]:
        """A worker's settings, with the relay and the wire in the way."""
        told = self.stack.environment()
        api = told["API_URL"]
        ours = {name: value for name, value in told.items() if name.startswith("AUTEXOR_")}
        ours = {
            name: value.replace(f"{api}/sandbox", f"{self.relay.url}/sandbox") for name, value in ours.items()
        }
        # Providers tell outcomes to the gateway itself.
        ours["AUTEXOR_EDGE_URL"] = f"{api}/functions/v1"
        ours["AUTEXOR_SUPABASE_URL"] = f"http://127.0.0.1:{self.wire.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTEXOR_")}
        return {**inherited, **ours, "PYTHONUNBUFFERED": "1", **self.settings}

    def start_worker(self, number: int) -> Worker:
        """Start a worker process; those of the same number share a log."""
        log = self.stack.settings.paths.logs / f"chaos-worker-{number}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        worker = Worker(process, log)
        self.started.append(worker)
        return worker

    def tell_sandbox(self, what: str, body: str) -> None:
        """POST to /sandbox/<what>."""
        request = urllib.request.Request(f"{self.stack.api_url}/sandbox/{what}", body.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def kill_postgres(self) -> None:
        """kill -9 the postmaster; the stack's supervisor starts it again."""
        pid = State.load(self.stack.settings.paths.state).parts["postgres"].pid
        os.kill(pid, signal.SIGKILL)

    def ask(self, query: str, *values: Any) -> list[Row]:
        """Rows, as the owner; waits for a database that is away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(
                    self.database.conninfo(), autocommit=True, row_factory=dict_row, connect_timeout=5
                ) as connection:
                    done = connection.execute(query.encode(), values or None)
                    return done.fetchall() if done.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


@contextmanager
def staged(
    seed: int, faults: Mapping[str, int], settings: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """A stage for as long as the block runs; workers that are left are killed."""
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="autexor chaos ")))
        scratch.chmod(0o755)
        stack = opened.enter_context(running(Settings(scratch / "stack", free_port()), has_worker=False))
        relay = Relay(stack.api_url, seed, faults)
        opened.callback(relay.close)
        wire = Wire(int(stack.api_url.rpartition(":")[2]))
        opened.callback(wire.close)
        stage = Stage(stack, relay, wire, settings or {})
        opened.callback(lambda: [worker.kill() for worker in stage.started if worker.process.poll() is None])
        stage.ask(SIGN_EVERYBODY_IN)
        yield stage
