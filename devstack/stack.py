"""What one does with a stack from outside: up, down, reset, status, its settings."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from devstack import keys, processes
from devstack.config import HOST, ROOT, Settings, State, conninfo
from devstack.disk import expect_space
from devstack.errors import StackError
from devstack.lock import end_leftovers, is_supervised
from devstack.parts import product_environment

UP_SECONDS = 120.0
DOWN_SECONDS = 45.0
OURS = ("keys.json", "state.json", "logs", "postgres", "storage", "inbox", "sandbox", "tls")

# Kept, because Python complains about a process object that is dropped while its process runs.
_outliving: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Stack:
    """The stack in one directory."""

    settings: Settings

    @classmethod
    def here(cls) -> "Stack":
        """The stack that the environment names (`DEVSTACK_DIR`, `DEVSTACK_PORT`)."""
        return cls(Settings.from_env())

    @property
    def api_url(self) -> str:
        """Its one public address: while it runs, the one it was started with."""
        port = self._state().ports["gateway"] if self.is_up else self.settings.port
        return f"http://{HOST}:{port}"

    @property
    def is_up(self) -> bool:
        """Whether its supervisor lives."""
        return is_supervised(self.settings.paths.lock)

    def up(self, *, is_bare: bool = False, has_worker: bool = True) -> None:
        """Start it in the background and wait until it answers. Raises StackError."""
        if self.is_up and self._state().is_ready:
            return
        expect_space(self.settings.data_dir)
        with _writable(self.settings.paths.logs) as log:
            supervisor = subprocess.Popen(
                self.supervisor_command(is_bare=is_bare, has_worker=has_worker),
                cwd=ROOT,
                env=self.supervisor_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _outliving.append(supervisor)
        self._wait_up(supervisor)

    def supervisor_command(self, *, is_bare: bool, has_worker: bool) -> list[str]:
        """The command that runs this stack in the foreground."""
        flags = [*(["--bare"] if is_bare else []), *([] if has_worker else ["--no-worker"])]
        return [sys.executable, "-m", "devstack.supervisor", *flags]

    def supervisor_environment(self) -> dict[str, str]:
        """The environment that command needs."""
        chosen = {"DEVSTACK_DIR": str(self.settings.data_dir), "DEVSTACK_PORT": str(self.settings.port)}
        return {**os.environ, **chosen}

    def down(self) -> None:
        """Stop it, cleanly if its supervisor lives, else by ending what was left over."""
        state = self._state()
        supervisor = state.parts.get("supervisor")
        if not self.is_up:
            end_leftovers(state)
            return
        if supervisor is None or processes.born(supervisor.pid) != supervisor.born:
            raise StackError("The stack is only just starting", fix="try again in a moment")
        os.kill(supervisor.pid, signal.SIGTERM)
        if not processes.wait_until_gone(supervisor.pid, supervisor.born, DOWN_SECONDS):
            raise StackError("The stack did not stop", fix=f"see {self.settings.paths.logs}")
        for process in _outliving:
            process.poll()

    def empty(self) -> None:
        """Stop it and remove everything it keeps, keys included; other files there are left alone."""
        self.down()
        postgres_dir = self._state().postgres_dir
        if postgres_dir:
            shutil.rmtree(postgres_dir, ignore_errors=True)
        for name in OURS:
            path = self.settings.data_dir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """Whether it runs, where it keeps its data, and its parts."""
        state = self._state()
        return {
            "is_up": self.is_up and state.is_ready,
            "api_url": self.api_url,
            "data_dir": str(self.settings.data_dir),
            "postgres_dir": state.postgres_dir or None,
            "postgres_version": state.postgres_version or None,
            "logs": str(self.settings.paths.logs),
            "parts": [
                {
                    "part": name,
                    "pid": part.pid,
                    "state": "running" if processes.born(part.pid) == part.born else "stopped",
                    "port": state.ports.get(name),
                    "restarts": part.restarts,
                    "exit_code": part.exit_code,
                }
                for name, part in state.parts.items()
            ],
        }

    def environment(self) -> dict[str, str]:
        """Addresses and keys, and the worker's and the edge's settings against this stack."""
        state = self._state()
        if not self.settings.paths.keys.exists() or not state.ports:
            raise StackError(
                f"There is no stack in {self.settings.data_dir} yet",
                why="its ports and keys are chosen at the first start",
                fix="start it with `autexor stack up`",
                code="stack_never_started",
            )
        secrets = keys.load_or_create(self.settings.paths.keys)
        return {
            "API_URL": self.api_url,
            "DB_URL": conninfo(state.ports["postgres"], "postgres"),
            "ANON_KEY": secrets.anon_key,
            "SERVICE_ROLE_KEY": secrets.service_role_key,
            "PUBLISHABLE_KEY": secrets.publishable_key,
            "SECRET_KEY": secrets.secret_key,
            "JWT_SECRET": secrets.jwt_secret,
            "INBOX_URL": f"{self.api_url}/inbox",
            "SMTP_TLS_PORT": str(state.ports.get("smtp_tls", 0)),
            "SMTP_STARTTLS_PORT": str(state.ports.get("smtp_starttls", 0)),
            **product_environment(self.settings, state, secrets),
        }

    def _state(self) -> State:
        return State.load(self.settings.paths.state)

    def _wait_up(self, supervisor: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + UP_SECONDS
        while time.monotonic() < deadline:
            state = self._state()
            if state.is_ready and state.parts["supervisor"].pid == supervisor.pid:
                return
            if supervisor.poll() is not None:
                raise _failure(state, self.settings.paths.logs)
            time.sleep(processes.POLL_SECONDS)
        supervisor.terminate()
        raise StackError("The stack did not get ready in time", fix=f"see {self.settings.paths.logs}")


@contextmanager
def running(settings: Settings, *, is_bare: bool = False, has_worker: bool = True) -> Iterator[Stack]:
    """A stack for as long as the block runs; its data is removed afterwards."""
    stack = Stack(settings)
    try:
        stack.up(is_bare=is_bare, has_worker=has_worker)
        yield stack
    finally:
        stack.empty()


@contextmanager
def _writable(logs: Path) -> Iterator[IO[bytes]]:
    """The supervisor's log, open; the first thing that fails in a directory that is closed to us."""
    try:
        logs.mkdir(parents=True, exist_ok=True)
        log = (logs / "supervisor.log").open("ab")
    except OSError as error:
        raise StackError(
            f"{logs.parent} cannot be written to",
            why=str(error),
            fix="make it yours, or choose another directory: DEVSTACK_DIR=… autexor stack up",
            code="directory_not_writable",
        ) from error
    with log:
        yield log


def _failure(state: State, logs: Path) -> StackError:
    if state.failure:
        words = {name: state.failure[name] for name in ("why", "fix", "code")}
        return StackError(state.failure["what"], **words)
    return StackError(
        "The stack did not start", why=processes.tail(logs / "supervisor.log"), fix=f"see {logs}"
    )
