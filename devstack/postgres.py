"""One PostgreSQL cluster: made, started, stopped, and started again after a kill -9."""

import hashlib
import locale
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from devstack import processes
from devstack.binaries import Account, PostgresBinaries, account, cache_dir, find_postgres, make_public
from devstack.config import DB_PASSWORD, HOST, SUPERUSER, Paths, conninfo
from devstack.errors import StackError

READY_SECONDS = 30.0
ROOT_DATA = Path("/var/lib/autexor")
STILL_IN_USE = "pre-existing shared memory block"

# Nothing here survives a power cut (fsync off), but commits stay visible to logical slots at once.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "max_connections": "200",
    "max_replication_slots": "50",
    "max_wal_senders": "50",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL data directory with the programs and the account that run it."""

    data_dir: Path
    port: int
    log: Path
    binaries: PostgresBinaries
    runner: Account

    @classmethod
    def at(cls, data_dir: Path, port: int, log: Path) -> "Cluster":
        """A cluster in `data_dir`, run by the programs and the account found on this machine."""
        runner = account()
        return cls(data_dir, port, log, find_postgres(runner), runner)

    def conninfo(self, user: str = SUPERUSER, database: str = "postgres") -> str:
        """The address of one of its databases for one of its roles."""
        return conninfo(self.port, user, database)

    def init(self) -> None:
        """Make the cluster if there is none. Raises StackError when the one there cannot be used."""
        version_file = self.data_dir / "PG_VERSION"
        if not version_file.exists():
            self._copy_pristine()
            return
        made_by = int(version_file.read_text())
        if made_by != self.binaries.major:
            raise StackError(
                f"The data in {self.data_dir} was made by PostgreSQL {made_by}",
                why=f"the PostgreSQL found is {self.binaries.version} and cannot read it",
                fix="empty it with `autexor stack reset`, or set DEVSTACK_POSTGRES_BIN to that version's",
                code="postgres_version_changed",
            )
        if self.data_dir.stat().st_uid != self.runner.uid:
            raise StackError(
                f"The data in {self.data_dir} belongs to another user",
                why="PostgreSQL only opens a directory of the account it runs as",
                fix="run this as the user who made it, or remove that directory",
                code="postgres_wrong_owner",
            )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the cluster and wait until it answers. Raises StackError with the log's end."""
        self.end_leftover()
        deadline = time.monotonic() + READY_SECONDS
        while True:
            process = self._spawn()
            if self._wait_ready(process, deadline):
                return process
            # Backends of a killed server let go of its memory a moment after it.
            if STILL_IN_USE not in processes.tail(self.log) or time.monotonic() > deadline:
                raise StackError(
                    "PostgreSQL did not start",
                    why=processes.tail(self.log),
                    fix=f"see {self.log}",
                    code="postgres_did_not_start",
                )
            time.sleep(0.2)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Stop at once, cleanly: sessions are ended, data is written."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(15)

    def destroy(self) -> None:
        """Remove the data; the cluster must have been stopped."""
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _copy_pristine(self) -> None:
        """Copy a cluster that was made once for all and never started: making one takes a second."""
        programs = hashlib.sha256(str(self.binaries.bin_dir).encode()).hexdigest()[:8]
        pristine = cache_dir() / f"cluster-{self.binaries.version}-{programs}-{self.runner.uid}"
        if not pristine.exists():
            self._initdb(pristine)
        draft = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["cp", "-a", str(pristine), str(draft)], capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise _not_made(self.data_dir, done.stderr)
        draft.rename(self.data_dir)

    def _initdb(self, target: Path) -> None:
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix="making-"))
        with tempfile.NamedTemporaryFile("w", dir=target.parent) as password_file:
            password_file.write(DB_PASSWORD)
            password_file.flush()
            if self.runner.is_other:
                os.chown(draft, self.runner.uid, self.runner.gid)
                os.chown(password_file.name, self.runner.uid, self.runner.gid)
            done = subprocess.run(
                self._initdb_command(draft, password_file.name),
                capture_output=True,
                text=True,
                env=_clean_environment(),
                **self.runner.popen_options,
            )
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise _not_made(target, done.stderr)
        try:
            draft.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(draft)

    def _initdb_command(self, data_dir: Path, password_file: str) -> list[str]:
        return [
            str(self.binaries.bin_dir / "initdb"),
            f"--pgdata={data_dir}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            f"--locale={_utf8_locale()}",
            "--lc-messages=C",
            "--no-sync",
        ]

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = [f"-c{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(self.binaries.bin_dir / "postgres"), "-D", str(self.data_dir), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_clean_environment(),
                start_new_session=True,
                **self.runner.popen_options,
            )

    def _wait_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.conninfo(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(processes.POLL_SECONDS)
            else:
                return True
        if process.poll() is None:
            self.stop(process)
        return False

    def end_leftover(self) -> None:
        """End a server that outlived its supervisor, and clear away what a killed one left."""
        pid_file = self.data_dir / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if str(self.data_dir) in processes.command_line(pid):
            processes.end(pid, signal.SIGINT)
        # A stale file names a process id that may be someone else's by now: PostgreSQL would refuse.
        pid_file.unlink(missing_ok=True)


def _not_made(data_dir: Path, why: str) -> StackError:
    return StackError(
        f"PostgreSQL could not make its data in {data_dir}", why=why.strip(), code="initdb_failed"
    )


def data_dir_for(paths: Paths) -> Path:
    """Where a stack's PostgreSQL data lies.

    In the stack's directory, unless that is closed to the account PostgreSQL runs as (root's home,
    for one): then below /var/lib/autexor.
    """
    if account().can_enter(paths.data_dir):
        return paths.data_dir / "postgres"
    make_public(ROOT_DATA)
    return ROOT_DATA / paths.digest


def _utf8_locale() -> str:
    """`C.UTF-8` where the machine has it, else `C`."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"


def _clean_environment() -> dict[str, str]:
    """The environment without what would steer PostgreSQL (PGDATA, PGPORT, LC_ALL, …)."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name not in ("LANG", "LANGUAGE")
    }
