"""PostgREST: its settings, and an instance of its own for a test's database."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from devstack import processes
from devstack.binaries import find_postgrest
from devstack.config import HOST, free_port
from devstack.errors import StackError
from devstack.keys import Keys

READY_SECONDS = 20.0
EXPOSED = "public, portal, website"


@dataclass(frozen=True)
class Address:
    """The two ports of one instance."""

    port: int
    admin_port: int

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://{HOST}:{self.port}"

    @property
    def ready_url(self) -> str:
        """Answers 200 once the schema is loaded."""
        return f"http://{HOST}:{self.admin_port}/ready"


def environment(db_url: str, address: Address, keys: Keys, schemas: str = EXPOSED) -> dict[str, str]:
    """The settings of an instance for one database; `db_url` is that of role authenticator."""
    return {
        "PGRST_DB_URI": db_url,
        "PGRST_DB_SCHEMAS": schemas,
        "PGRST_DB_EXTRA_SEARCH_PATH": "public",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": "1000",
        "PGRST_DB_POOL": "20",
        "PGRST_DB_CHANNEL_ENABLED": "true",
        "PGRST_JWT_SECRET": keys.postgrest_jwks,
        "PGRST_SERVER_HOST": HOST,
        "PGRST_SERVER_PORT": str(address.port),
        "PGRST_ADMIN_SERVER_PORT": str(address.admin_port),
        "PGRST_LOG_LEVEL": "error",
    }


@contextmanager
def running(db_url: str, keys: Keys, log: Path) -> Iterator[str]:
    """An instance on ports of its own, for as long as the block runs; yields its address."""
    address = Address(free_port(), free_port())
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(find_postgrest())], env=environment(db_url, address, keys), stdout=output, stderr=output
        )
    try:
        _wait_ready(process, address, log)
        yield address.url
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    """Whether the address answers 200 now. By hand: loading an HTTP client would take longer."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=2) as connection:
            connection.sendall(request.encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _wait_ready(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers(address.ready_url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise StackError("PostgREST did not start", why=processes.tail(log), fix=f"see {log}")
        time.sleep(processes.POLL_SECONDS)
