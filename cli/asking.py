"""Asking before something is taken away."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from cli.errors import Misuse
from cli.output import printable, tell

YesFlag = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Go on if the person says yes, or has (`--yes`); else leave with 1, or 130 when interrupted.

    Raises Misuse without a terminal to ask on.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misuse(
            "confirmation_required", "Nothing was changed", "there is no terminal to ask on", "Add --yes"
        )
    try:
        # Even with err=True a blank of the prompt would go to stdout, which is for data.
        with redirect_stdout(sys.stderr):
            is_sure = typer.confirm(printable(question), err=True)
    except typer.Abort:  # what Ctrl-C becomes in a prompt
        raise typer.Exit(130) from None
    if not is_sure:
        tell("Nothing was changed.")
        raise typer.Exit(1)
