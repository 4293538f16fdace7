"""`autexor telemetry`: errors that the garage's software and its customers' portal reported."""

from typing import Annotated

import typer

from cli.client import sign_in_from_environment
from cli.lookups import active_garage, records
from cli.output import JsonFlag, QuietFlag, emit, tell

app = typer.Typer(no_args_is_help=True, help="See which errors the apps reported.")

SHOWN = ("last_seen_at", "app", "occurrences", "release", "message", "url")


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, last seen first.")] = 25,
    is_for_all: Annotated[
        bool, typer.Option("--all", help="Of all garages and the website (staff of Autexor only).")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the errors of your garage's people and customers, one line a kind; stacks are in --json."""
    client = sign_in_from_environment()
    if is_for_all:
        found = client.schema("website").rpc("all_client_errors", {}).limit(limit).execute()
        emit(records(found.data), as_json=as_json, quiet=quiet, columns=("garage", *SHOWN))
        return
    garage = active_garage(client)
    query = client.table("client_errors").select("*").eq("garage_id", garage["id"])
    rows = records(query.order("last_seen_at", desc=True).limit(limit).execute().data)
    emit(rows, as_json=as_json, quiet=quiet, columns=SHOWN, title=garage["trade_name"])
    if not rows and not as_json and not quiet:
        tell('No error was reported, or you lack the permission "telemetry.read".')
