"""The demo waits for workers: each look short, the whole bounded, and said when it was in vain."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import httpx

from cli.commands.demo.local_stack import LocalStack
from cli.errors import CommandFailed
from cli.output import progress

T = TypeVar("T")
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1


def wait_for(label: str, find: Callable[[], T | None]) -> T:
    """What `find` finds, once it does. Raises CommandFailed `demo_timeout` after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with progress(label):
        while time.monotonic() < deadline:
            if (found := find()) is not None:
                return found
            time.sleep(POLL_SECONDS)
    raise CommandFailed(
        "demo_timeout",
        f"{label} took more than {PATIENCE_SECONDS} seconds",
        "no worker finished it",
        "See `autexor stack status` and the worker's log",
    )


def mails_to(stack: LocalStack, address: str) -> Iterator[dict[str, Any]]:
    """What the sandbox's inbox holds for this address."""
    for item in httpx.get(f"{stack.inbox_url}.json", timeout=10).json():
        if address in str(item.get("to")):
            yield cast(dict[str, Any], item)
