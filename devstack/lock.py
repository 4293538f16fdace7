"""One supervisor per directory: the lock it holds, and what a killed one leaves behind."""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devstack import processes
from devstack.config import State
from devstack.errors import StackError

SECOND_TRY_SECONDS = 0.2


def is_supervised(lock: Path) -> bool:
    """Whether a supervisor lives: the system drops its lock with it, however it ended."""
    try:
        with lock.open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Be the directory's one supervisor for as long as the block runs. Raises StackError."""
    with lock.open("a") as handle:
        # Somebody who asks whether we live holds the lock for a moment, too: hence a second try.
        is_ours = _try_lock(handle)
        if not is_ours:
            time.sleep(SECOND_TRY_SECONDS)
            is_ours = _try_lock(handle)
        if not is_ours:
            raise StackError(
                f"A stack already runs in {lock.parent}",
                fix="stop it with `autexor stack down`, or choose another DEVSTACK_DIR",
                code="stack_already_runs",
            )
        yield


def end_leftovers(state: State) -> None:
    """End what a killed supervisor left behind; PostgreSQL is found by its own pid file."""
    for name, part in state.parts.items():
        if part.pid != os.getpid() and processes.born(part.pid) == part.born != "":
            say(f"ending {name} ({part.pid}), left over from a stack that was killed")
            processes.end(part.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)


def say(message: str) -> None:
    """One line of the supervisor's log; a full disk keeps nobody from going on."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} stack: {message}\n")
        sys.stderr.flush()


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
