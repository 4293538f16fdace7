"""The signed-in API client of a member: every rule of the database holds for the command line, too."""

import os
import sys

import typer
from supabase import Client, ClientOptions, create_client

from cli.errors import Misuse


def sign_in_from_environment() -> Client:
    """A client for the member whose e-mail is in AUTEXOR_EMAIL, at AUTEXOR_API_URL (or API_URL).

    The password comes from AUTEXOR_PASSWORD or is asked for on a terminal; nothing is stored. Raises
    Misuse when a setting is missing and AuthApiError when signing in is refused.
    """
    url = os.environ.get("AUTEXOR_API_URL") or _setting("API_URL", "the address of the API")
    anon_key = os.environ.get("AUTEXOR_ANON_KEY") or _setting("ANON_KEY", "the public key of the API")
    email = _setting("AUTEXOR_EMAIL", "the e-mail address you sign in with")
    return sign_in(url, anon_key, email, os.environ.get("AUTEXOR_PASSWORD") or _ask_password(email))


def sign_in(url: str, anon_key: str, email: str, password: str) -> Client:
    """A client that speaks as this member of a garage. Raises AuthApiError when refused."""
    client = anonymous(url, anon_key)
    client.auth.sign_in_with_password({"email": email, "password": password})
    return client


def anonymous(url: str, key: str, *, token: str | None = None, schema: str = "public") -> Client:
    """A client that is not signed in; with `token`, one that shows this bearer token instead."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # No refresh in the background: a command is over long before its token.
    options = ClientOptions(schema=schema, headers=headers, auto_refresh_token=False, persist_session=False)
    return create_client(url, key, options)


def _setting(name: str, meaning: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Misuse(
            "setting_missing",
            f"{name} is not set",
            f"it is {meaning}",
            'Run `eval "$(autexor stack env)"` for the local stack, or export it',
        )
    return value


def _ask_password(email: str) -> str:
    if not sys.stdin.isatty():
        raise Misuse(
            "setting_missing",
            "AUTEXOR_PASSWORD is not set",
            "there is no terminal to ask for it",
            "Export it for this one command",
        )
    try:
        return str(typer.prompt(f"Password of {email}", hide_input=True, err=True))
    except typer.Abort:  # what Ctrl-C becomes in a prompt
        raise typer.Exit(130) from None
