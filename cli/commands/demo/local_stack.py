"""The local stack as the demo needs it: started if it is not up, and its addresses and keys."""

from dataclasses import dataclass

from cli.errors import CommandFailed
from cli.output import progress
from devstack.errors import StackError
from devstack.stack import Stack


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
        settings = stack.environment()
    except StackError as error:
        raise CommandFailed(error.code, error.what, error.why, error.fix) from error
    return LocalStack(
        settings["API_URL"], settings["INBOX_URL"], settings["ANON_KEY"], settings["SERVICE_ROLE_KEY"]
    )
