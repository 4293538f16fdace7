"""`autexor`: the command line's entry point."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from cli.errors import explain, report

COMMANDS = (
    *("demo", "stack", "garage", "modules", "members", "invoices", "deliveries", "suppressions", "inbound"),
    *("providers", "templates", "rights", "retention", "privacy", "audit", "access", "support", "breaches"),
    *("telemetry", "website", "keys", "worker", "policies", "docs"),
)


class _Commands(TyperGroup):
    """Each noun is its module in `cli.commands`, loaded when it is asked for: together they take seconds."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        command = _load(cmd_name)
        command.name = cmd_name
        return command


def _load(noun: str) -> Any:
    module: Any = import_module(f"cli.commands.{noun}")
    if hasattr(module, "app"):
        return get_group(module.app)
    single = typer.Typer(add_completion=False)
    single.command()(getattr(module, noun))
    return get_command(single)


app = typer.Typer(
    name="autexor",
    cls=_Commands,
    help="Run and look after Autexor: local stack, a garage and its people, deliveries, access policies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _root() -> None:
    """Typer wants something of its own beside the commands that are loaded later."""


def main() -> None:
    """Run one command; a foreseen error is three lines on stderr, never a traceback."""
    try:
        app()
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        report(failure)
        sys.exit(failure.exit_code)
