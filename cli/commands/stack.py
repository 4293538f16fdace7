"""`autexor stack`: the local stack, a Supabase-shaped platform without Docker."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cli.asking import YesFlag, confirm
from cli.errors import CommandFailed
from cli.output import JsonFlag, emit, emit_text, progress
from cli.project import ROOT
from devstack.errors import StackError
from devstack.stack import Stack

app = typer.Typer(no_args_is_help=True, help="Start, stop and look at the local stack.")

BareFlag = Annotated[
    bool, typer.Option("--bare", help="The platform alone: no migrations, seeds, edge, worker.")
]
NoWorkerFlag = Annotated[bool, typer.Option("--no-worker", help="Start no worker.")]
ForegroundFlag = Annotated[bool, typer.Option("--foreground", help="Stay in this terminal until Ctrl-C.")]


@app.command("up")
def up(
    bare: BareFlag = False,
    no_worker: NoWorkerFlag = False,
    foreground: ForegroundFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Start the stack; its data is kept between runs (DEVSTACK_DIR, DEVSTACK_PORT)."""
    stack = _here()
    if foreground:
        command = stack.supervisor_command(is_bare=bare, has_worker=not no_worker)
        os.chdir(ROOT)
        os.execve(command[0], command, stack.supervisor_environment())
    with _explained(), progress("Starting the local stack"):
        stack.up(is_bare=bare, has_worker=not no_worker)
    _show(stack, as_json)


@app.command("down")
def down() -> None:
    """Stop the stack and keep its data."""
    with _explained(), progress("Stopping the local stack"):
        _here().down()


@app.command("reset")
def reset(
    yes: YesFlag = False, bare: BareFlag = False, no_worker: NoWorkerFlag = False, as_json: JsonFlag = False
) -> None:
    """Remove everything the stack keeps (database, files, mails, keys) and start it anew."""
    stack = _here()
    confirm(f"Remove all data of the local stack in {stack.settings.data_dir}?", yes)
    with _explained(), progress("Emptying and starting the local stack"):
        stack.empty()
        stack.up(is_bare=bare, has_worker=not no_worker)
    _show(stack, as_json)


@app.command("status")
def status(as_json: JsonFlag = False) -> None:
    """Show whether the stack runs, its parts, and where it keeps its data. Exits 1 when it does not run."""
    stack = _here()
    _show(stack, as_json)
    if not stack.is_up:
        raise typer.Exit(1)


@app.command("env")
def env(as_json: JsonFlag = False) -> None:
    """Print addresses, keys and settings as shell assignments, exported: `eval "$(autexor stack env)"`."""
    with _explained():
        settings = _here().environment()
    if as_json:
        emit(settings, as_json=True)
        return
    for name, value in settings.items():
        emit_text(f"{name}={shlex.quote(value)}")
    emit_text(f"export {' '.join(settings)}")


def _here() -> Stack:
    with _explained():
        return Stack.here()


def _show(stack: Stack, as_json: bool) -> None:
    found = stack.status()
    if as_json:
        emit(found, as_json=True)
        return
    emit({name: value for name, value in found.items() if name != "parts"})
    if found["parts"]:
        emit(found["parts"])


@contextmanager
def _explained() -> Iterator[None]:
    """The stack's errors as the command line's."""
    try:
        yield
    except StackError as error:
        raise CommandFailed(error.code, error.what, error.why, error.fix) from error
