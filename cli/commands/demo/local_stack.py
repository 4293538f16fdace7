"""The local stack as the demo needs it: started if it is not up, and its addresses and keys."""

import time
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandFailed
from cli.output import progress
from devstack.errors import StackError
from devstack.stack import Stack

LISTENING_SECONDS = 30


@dataclass(frozen=True)
class LocalStack:
    """Addresses without a trailing slash, and the two API keys."""

    api_url: str
    inbox_url: str
    anon_key: str
    service_role_key: str


def ensure_up() -> LocalStack:
    """Start the stack of this environment, worker included, unless it runs. Raises CommandFailed."""
    stack = Stack.here()
    try:
        if not stack.is_up:
            with progress("Starting the local stack"):
                stack.up()
        _wait_until_the_worker_listens(Path(stack.status()["logs"]) / "worker.log")
        settings = stack.environment()
    except StackError as error:
        raise CommandFailed(error.code, error.what, error.why, error.fix) from error
    return LocalStack(
        settings["API_URL"], settings["INBOX_URL"], settings["ANON_KEY"], settings["SERVICE_ROLE_KEY"]
    )


def _wait_until_the_worker_listens(log: Path) -> None:
    """Its own log says so: a worker that is still starting would find the invoice by looking, unwoken."""
    deadline = time.monotonic() + LISTENING_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text() if log.exists() else ""
        if text.rfind("doorbell.state state=SUBSCRIBED") > text.rfind("worker.started"):
            return
        time.sleep(0.1)
    raise CommandFailed(
        "worker_not_listening",
        "No worker listens to Realtime on this stack",
        f"{log} does not say that its doorbell is subscribed",
        "Stop the stack and start it with its worker: make down, make up",
    )
