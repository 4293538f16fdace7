"""Where the stack keeps things, what it listens on, and what it hands to its parts."""

import hashlib
import json
import os
import socket
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from devstack.errors import StackError
from devstack.keys import Keys

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
CONFIG_FILE = ROOT / "supabase" / "config.toml"
DEFAULT_PORT = 54321
DB_PASSWORD = "postgres"
SUPERUSER = "supabase_admin"


@dataclass(frozen=True)
class GatewayConfig:
    """What every part of the gateway gets.

    `db_url` is a conninfo of the superuser (`supabase_admin`), `api_url` the public address without
    a trailing slash, `data_dir` the stack's directory (each part keeps its files in its own
    sub-directory). `access_token_hook` is `schema.function`, or None. Auth takes its other settings from
    `config_file`; without one they are those of a new project. The sandboxed mail server listens on the two
    `smtp_` ports; 0 is nowhere.
    """

    db_url: str
    api_url: str
    keys: Keys
    data_dir: Path
    postgrest_url: str = ""
    edge_url: str = ""
    access_token_hook: str | None = None
    config_file: Path | None = None
    smtp_tls_port: int = 0
    smtp_starttls_port: int = 0


@dataclass(frozen=True)
class Paths:
    """The files below one stack's directory (`DEVSTACK_DIR`)."""

    data_dir: Path

    @property
    def keys(self) -> Path:
        """The generated keys."""
        return self.data_dir / "keys.json"

    @property
    def state(self) -> Path:
        """Ports and process ids of the last start."""
        return self.data_dir / "state.json"

    @property
    def tls(self) -> Path:
        """The stack's own certificates."""
        return self.data_dir / "tls"

    @property
    def lock(self) -> Path:
        """Locked for as long as a supervisor lives."""
        return self.data_dir / "lock"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.data_dir / "logs"

    @property
    def digest(self) -> str:
        """A short name for this directory, for what must be kept elsewhere."""
        return hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Settings:
    """The two settings of a stack, from the environment."""

    data_dir: Path
    port: int

    @classmethod
    def from_env(cls) -> Self:
        """`DEVSTACK_DIR` (default `.devstack` in the project) and `DEVSTACK_PORT` (default 54321).

        Raises StackError for a port that is none.
        """
        data_dir = Path(os.environ.get("DEVSTACK_DIR") or ROOT / ".devstack").expanduser().absolute()
        return cls(data_dir=data_dir, port=_port(os.environ.get("DEVSTACK_PORT") or str(DEFAULT_PORT)))

    @property
    def paths(self) -> Paths:
        """The files of this stack."""
        return Paths(self.data_dir)


@dataclass
class PartState:
    """One process of the stack; `born` tells it from a later process with the same id."""

    pid: int
    born: str
    restarts: int = 0
    exit_code: int | None = None


@dataclass
class State:
    """What a stack writes down about itself: ports (kept between runs) and processes."""

    ports: dict[str, int] = field(default_factory=dict)
    parts: dict[str, PartState] = field(default_factory=dict)
    postgres_dir: str = ""
    postgres_version: str = ""
    is_bare: bool = False
    is_ready: bool = False
    failure: dict[str, str] | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """The state in `path`; an empty one when there is none or it is damaged."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            parts = {name: PartState(**part) for name, part in raw.pop("parts").items()}
            return cls(**raw, parts=parts)
        except (OSError, ValueError, TypeError, KeyError):
            return cls()

    def save(self, path: Path) -> None:
        """Replace the file in one step, so that a reader never sees half of it."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=2))
        draft.replace(path)


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise StackError(
        f"DEVSTACK_PORT is '{text}', which is no port",
        why="a port is a number from 1 to 65535",
        fix=f"unset it for {DEFAULT_PORT}, or choose another: DEVSTACK_PORT={DEFAULT_PORT + 10}",
        code="port_invalid",
    )


def conninfo(port: int, user: str, database: str = "postgres") -> str:
    """A libpq address of the local cluster."""
    return f"postgresql://{user}:{DB_PASSWORD}@{HOST}:{port}/{database}"


def is_free(port: int) -> bool:
    """Whether nothing listens on the port. Raises StackError when this user may not open it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise StackError(
                f"Port {port} is closed to you",
                why="the system keeps it for administrators",
                fix="choose one above 1023: DEVSTACK_PORT=54321 autexor stack up",
                code="port_forbidden",
            ) from error
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def access_token_hook(config_file: Path = CONFIG_FILE) -> str | None:
    """The access-token hook named in `supabase/config.toml`, as `schema.function`."""
    auth = tomllib.loads(config_file.read_text()).get("auth", {})
    hook = auth.get("hook", {}).get("custom_access_token", {})
    if not hook.get("enabled"):
        return None
    schema, function = str(hook["uri"]).rsplit("/", 2)[-2:]
    return f"{schema}.{function}"
