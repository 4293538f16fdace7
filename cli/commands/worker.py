"""`autexor worker`: run the background workers in this terminal."""

import os
import sys

import typer

from cli.project import ROOT

app = typer.Typer(no_args_is_help=True, help="Run the background workers.")


@app.callback()
def _group() -> None:
    """Keeps `run` a verb of its own while it is the only one."""


@app.command("run")
def run() -> None:
    """Become `python -m workers`, with the settings of this environment (see `autexor stack env`)."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "workers"])
