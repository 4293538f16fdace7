"""Errors of the command line, and how every other error becomes one.

    CommandFailed      exit 1: what happened, why, how to fix it, and a stable code
    └── Misuse         exit 2: the command was called in a way that cannot work

Typer itself answers 2 for options it does not know and 130 for Ctrl-C. The codes of `CommandFailed` are
listed in docs/errors.md, beside those of the database and the edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.output import tell

if TYPE_CHECKING:
    import httpx
    from postgrest import APIError


class CommandFailed(Exception):
    """A failure a person can act on. `code` is stable; `what`, `why` and `fix` are one line each."""

    exit_code = 1

    def __init__(self, code: str, what: str, why: str, fix: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.why = why
        self.fix = fix


class Misuse(CommandFailed):
    """The call itself is wrong: a missing setting, a refused combination of options."""

    exit_code = 2


def explain(error: Exception) -> CommandFailed | None:
    """The three lines for an error of the clients we use; None for one that nobody foresaw.

    PostgREST puts the stable code of our SQL errors into `details` (see docs/errors.md).
    """
    if isinstance(error, CommandFailed):
        return error
    # Not before something failed: the clients take a second to load.
    import httpx
    from postgrest import APIError
    from storage3.exceptions import StorageApiError
    from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError

    if isinstance(error, APIError):
        return _from_postgrest(error)
    if isinstance(error, httpx.HTTPStatusError):
        return _from_edge(error.response)
    if isinstance(error, AuthRetryableError | httpx.TransportError):
        return _unreachable(error)
    if isinstance(error, AuthApiError | AuthError):
        return CommandFailed(
            str(getattr(error, "code", None) or "auth_error"),
            "Signing in failed",
            str(error),
            "Check AUTEXOR_EMAIL and AUTEXOR_PASSWORD",
        )
    if isinstance(error, StorageApiError):
        return CommandFailed(
            str(error.code), "Storage refused the request", error.message, "Check your role and the path"
        )
    return None


def report(error: CommandFailed) -> None:
    """Print the three lines and the stable code on stderr."""
    tell(f"Error: {error.what} [{error.code}]", style="red")
    tell(f"  why: {error.why}")
    tell(f"  fix: {error.fix}")


def _from_postgrest(error: APIError) -> CommandFailed:
    message = error.message or "The database refused the request"
    details = str(error.details or "")
    if error.code and error.code.startswith("PT") and details:
        return CommandFailed(
            details, message, f"the database's rules refuse it ({error.code[2:]})", _fix(error)
        )
    why = details or f"the API answered {error.code or 'without a code'}"
    return CommandFailed(error.code or "api_error", message, why, _fix(error))


def _from_edge(response: httpx.Response) -> CommandFailed:
    why = f"{response.request.method} {response.request.url.path} answered {response.status_code}"
    try:
        body = response.json()
        return CommandFailed(body["code"], body["message"], why, body["hint"])
    except (ValueError, KeyError, TypeError):
        return CommandFailed("api_error", "The API refused the request", why, "See the log of the edge")


def _fix(error: APIError) -> str:
    return error.hint or "See docs/errors.md for this code"


def _unreachable(error: Exception) -> CommandFailed:
    return CommandFailed(
        "api_unreachable",
        "The API does not answer",
        str(error) or type(error).__name__,
        "Start the local stack with `autexor stack up`, or check API_URL",
    )
