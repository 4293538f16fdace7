"""Looking at and ending processes that this stack started, never anyone else's."""

import os
import signal
import subprocess
import time
from pathlib import Path

POLL_SECONDS = 0.02


def born(pid: int) -> str:
    """When the process started, in the system's own words; empty when it is gone (or a zombie)."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self").exists():
        return _ps(pid, "lstart")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def command_line(pid: int) -> str:
    """The process's command line, arguments separated by spaces; empty when it is gone."""
    if not Path("/proc/self").exists():
        return _ps(pid, "command")
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def end(pid: int, first: signal.Signals = signal.SIGTERM, grace_seconds: float = 10.0) -> None:
    """Ask the process to stop, then kill it when it has not done so in time; wait until it is gone."""
    birth = born(pid)
    for sig in (first, signal.SIGKILL):
        if not birth or born(pid) != birth:
            return
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        if wait_until_gone(pid, birth, grace_seconds):
            return


def wait_until_gone(pid: int, birth: str, seconds: float) -> bool:
    """Wait for the process to end; False when it still lives after that time."""
    deadline = time.monotonic() + seconds
    while born(pid) == birth:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, or nothing."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _ps(pid: int, column: str) -> str:
    done = subprocess.run(["ps", "-o", f"stat=,{column}=", "-p", str(pid)], capture_output=True, text=True)
    status, _, value = done.stdout.strip().partition(" ")
    return "" if status.startswith("Z") else value.strip()
