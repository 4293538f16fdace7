"""The process that starts the parts of a stack, watches them, and stops them.

`python -m devstack.supervisor [--bare] [--no-worker]` runs it; `devstack.stack` is how others talk to it.
A part that ends by itself is started again, never silently: the log, `status` and its count of restarts
say so. One that keeps ending is left alone, and the rest goes on.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from devstack import database, keys, postgres, processes
from devstack.config import ROOT, PartState, Settings, State, free_port, is_free
from devstack.disk import expect_space
from devstack.errors import StackError
from devstack.lock import end_leftovers, only_one, say
from devstack.parts import Part, parts
from devstack.postgres import Cluster
from devstack.postgrest import answers

PORTS = ("postgres", "postgrest", "postgrest_admin", "edge", "smtp_tls", "smtp_starttls")
READY_SECONDS = 60.0
WATCH_SECONDS = 0.2
MOST_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
STOP_SECONDS = 10.0


class StopRequested(BaseException):
    """SIGINT or SIGTERM came."""


@dataclass
class _Running:
    """A started part."""

    process: subprocess.Popen[bytes]
    part: Part | None
    restarted_at: list[float] = field(default_factory=list)


class Supervisor:
    """One run of a stack, from the lock on its directory to the last part's end."""

    def __init__(self, settings: Settings, *, is_bare: bool, has_worker: bool) -> None:
        self.settings = settings
        self.paths = settings.paths
        self.is_bare, self.has_worker = is_bare, has_worker
        self.state = State.load(self.paths.state)
        self.state.is_ready = False
        self.state.failure = None
        self.running: dict[str, _Running] = {}
        self.cluster: Cluster | None = None

    def run(self) -> None:
        """Start everything, watch it until a signal comes, stop everything. Raises StackError."""
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        with only_one(self.paths.lock):
            try:
                self._start()
                while True:
                    time.sleep(WATCH_SECONDS)
                    self._watch()
            except StopRequested:
                say("stopping")
            except StackError as error:
                self.state.failure = dict(vars(error))
                raise
            finally:
                _ignore_signals()
                self._stop()

    def _start(self) -> None:
        end_leftovers(self.state)
        self._expect_bare()
        self._choose_ports()
        self.state.parts = {"supervisor": PartState(os.getpid(), processes.born(os.getpid()))}
        secrets = keys.load_or_create(self.paths.keys)
        cluster = self._start_postgres()
        gateway, *others = parts(self.settings, self.state, secrets, has_worker=self.has_worker)
        self._spawn(gateway)  # before the migrations: it needs a second to import what it needs
        if not self.state.is_bare:
            _fill(cluster)
        for part in (part for part in others if part.health):
            self._spawn(part)
        self._wait_ready()
        for part in (part for part in others if not part.health):
            self._spawn(part)
        self.state.is_ready = True
        self._save()
        say("ready")

    def _expect_bare(self) -> None:
        if self.is_bare and self.state.postgres_dir and not self.state.is_bare:
            raise StackError(
                f"The stack in {self.settings.data_dir} is not a bare one",
                why="its database has the migrations and the seeds",
                fix="choose another directory (DEVSTACK_DIR=…), or empty it: autexor stack reset --bare",
                code="stack_not_bare",
            )
        self.state.is_bare = self.is_bare

    def _choose_ports(self) -> None:
        port = self.settings.port
        if not is_free(port):
            raise StackError(
                f"Port {port} is already in use",
                why="another stack, the Supabase CLI's, or another program listens there",
                fix=f"stop that one, or choose another port: DEVSTACK_PORT={port + 10} autexor stack up",
                code="port_in_use",
            )
        self.state.ports["gateway"] = port
        chosen = {port}
        for name in PORTS:
            wanted = self.state.ports.get(name, 0)
            # The system may name the same port twice, as nobody listens there yet.
            while not wanted or wanted in chosen or not is_free(wanted):
                wanted = free_port()
            chosen.add(wanted)
            self.state.ports[name] = wanted

    def _start_postgres(self) -> Cluster:
        data_dir = postgres.data_dir_for(self.paths)
        expect_space(data_dir)
        cluster = Cluster.at(data_dir, self.state.ports["postgres"], self.paths.logs / "postgres.log")
        self.state.postgres_dir = str(data_dir)
        self.state.postgres_version = cluster.binaries.version
        self._save()
        cluster.init()
        self.cluster = cluster
        self._record("postgres", _Running(cluster.start(), None))
        database.bootstrap(cluster)
        return cluster

    def _spawn(self, part: Part) -> None:
        with (self.paths.logs / f"{part.name}.log").open("ab") as log:
            process = subprocess.Popen(
                part.command,
                env=dict(part.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        before = self.running.get(part.name)
        self._record(part.name, _Running(process, part, before.restarted_at if before else []))

    def _record(self, name: str, running: _Running) -> None:
        self.running[name] = running
        pid = running.process.pid
        self.state.parts[name] = PartState(pid, processes.born(pid), restarts=len(running.restarted_at))
        self._save()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = [(name, run) for name, run in self.running.items() if run.part and run.part.health]
        while waiting:
            for name, run in self.running.items():
                if run.process.poll() is not None or time.monotonic() > deadline:
                    log = self.paths.logs / f"{name}.log"
                    raise StackError(
                        f"The part '{name}' did not start",
                        why=processes.tail(log),
                        fix=f"see {log}",
                        code="part_did_not_start",
                    )
            waiting = [(name, run) for name, run in waiting if not _is_healthy(run)]
            time.sleep(processes.POLL_SECONDS)

    def _watch(self) -> None:
        for name, run in list(self.running.items()):
            code = run.process.poll()
            if code is not None:
                self._revive(name, run, code)

    def _revive(self, name: str, run: _Running, code: int) -> None:
        now = time.monotonic()
        recent = [moment for moment in run.restarted_at if moment > now - RESTART_WINDOW_SECONDS]
        if len(recent) >= MOST_RESTARTS:
            say(f"{name} ended with {code} and keeps ending: left alone, see {self.paths.logs}/{name}.log")
            self.state.parts[name].exit_code = code
            del self.running[name]
            self._save()
            return
        say(f"{name} ended with {code}: starting it again")
        run.restarted_at.append(now)
        if run.part is None:
            assert self.cluster is not None
            self._record(name, _Running(self.cluster.start(), None, run.restarted_at))
        else:
            self._spawn(run.part)

    def _stop(self) -> None:
        server = self.running.pop("postgres", None)
        for run in self.running.values():
            if run.process.poll() is None:
                run.process.terminate()
        for name, run in self.running.items():
            try:
                run.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"{name} did not stop in {STOP_SECONDS:.0f} s: killed")
                run.process.kill()
                run.process.wait()
        if server and self.cluster and server.process.poll() is None:
            self.cluster.stop(server.process)
        self.state.parts = {}
        self.state.is_ready = False
        self._save()
        say("stopped")

    def _save(self) -> None:
        try:
            self.state.save(self.paths.state)
        except OSError as error:
            say(f"could not write down how things are: {error}")


def main() -> None:
    """Run a stack in this process until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bare", action="store_true", help="the platform alone")
    parser.add_argument("--no-worker", action="store_true")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    try:
        supervisor = Supervisor(
            Settings.from_env(), is_bare=arguments.bare, has_worker=not arguments.no_worker
        )
        supervisor.run()
    except (StackError, OSError) as error:
        say(str(error))
        sys.exit(1)
    except StopRequested:
        sys.exit(0)


def _fill(cluster: Cluster) -> None:
    owner = cluster.conninfo("postgres")
    for name in database.apply_migrations(owner):
        say(f"migrated {name}")
    database.apply_seeds(owner)
    database.set_service_passwords(cluster)


def _is_healthy(run: _Running) -> bool:
    return run.part is None or answers(run.part.health)


def _request_stop(*_: object) -> None:
    raise StopRequested


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
