"""`autexor`: the command line's entry point."""

import sys

import typer

from cli.commands import deliveries, demo, docs, invoices, policies, stack, worker
from cli.errors import explain, report

app = typer.Typer(
    name="autexor",
    help="Run and look after Autexor: local stack, workers, invoices, deliveries, access policies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(stack.app, name="stack")
app.add_typer(invoices.app, name="invoices")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(worker.app, name="worker")
app.add_typer(policies.app, name="policies")
app.add_typer(docs.app, name="docs")
app.command("demo")(demo.demo)


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
