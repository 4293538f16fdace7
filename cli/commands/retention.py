"""`autexor retention`: how long the garage keeps what, what is due to go, and what is held."""

from typing import Annotated, Any

import typer

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.lookups import active_garage, customer_named, readable, records
from cli.output import JsonFlag, QuietFlag, emit
from cli.subject_export.source import as_rows

app = typer.Typer(no_args_is_help=True, help="How long your garage keeps data, and what is held.")

HOLD = ("id", "customer_id", "invoice_id", "reason", "placed_at", "lifted_at")


@app.command("show")
def show_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show how long your garage keeps what, and the least and the most it may set."""
    client = sign_in_from_environment()
    found = client.table("retention").select("*").order("processing").execute()
    columns = ("processing", "keep_for", "is_set_by_garage", "floor", "ceiling", "purpose")
    rows = readable(found.data, "garage.read")
    emit(rows, as_json=as_json, quiet=quiet, id_field="processing", columns=columns)


@app.command("set")
def set_command(
    processing: Annotated[str, typer.Argument(help="What, from `autexor retention show`.")],
    keep_for: Annotated[str, typer.Argument(help='How long, for example "7 years" or "18 months".')],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say how long your garage keeps something: never less than the law wants."""
    client = sign_in_from_environment()
    arguments = {"processing": processing, "keep_for": keep_for}
    (row,) = as_rows(client.rpc("set_retention", arguments).execute().data)
    emit(row, as_json=as_json, quiet=quiet, id_field="processing", columns=("processing", "keep_for"))


@app.command("run")
def run_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Delete what was kept long enough, as happens every day by itself; or count what would go."""
    client = sign_in_from_environment()
    if not dry_run:
        confirm(f"Delete what {active_garage(client)['trade_name']} has kept long enough?", yes)
    counts: Any = client.rpc("run_retention", {"is_dry_run": dry_run}).execute().data
    rows = [
        {"table": table, "rows": number, "is_dry_run": dry_run} for table, number in sorted(counts.items())
    ]
    emit(rows, as_json=as_json, quiet=quiet, id_field="table")


@app.command("holds")
def holds_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the customers of whom nothing is deleted meanwhile, and why."""
    client = sign_in_from_environment()
    found = client.table("legal_holds").select(",".join(HOLD)).order("placed_at").execute()
    emit(records(found.data), as_json=as_json, quiet=quiet, columns=HOLD)


@app.command("hold")
def hold_command(
    customer: Annotated[str, typer.Argument(help="The customer's e-mail address or id.")],
    reason: Annotated[str, typer.Option("--reason", help="What the dispute or claim is.")],
    invoice_id: Annotated[str | None, typer.Option("--invoice-id", help="The invoice it is about.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Delete nothing of a customer until the hold is lifted."""
    client = sign_in_from_environment()
    arguments = {
        "customer_id": customer_named(client, customer)["id"],
        "reason": reason,
        "invoice_id": invoice_id,
    }
    (row,) = as_rows(client.rpc("place_legal_hold", arguments).execute().data)
    emit(row, as_json=as_json, quiet=quiet, columns=HOLD)


@app.command("lift")
def lift_command(
    hold_id: Annotated[str, typer.Argument(help="The hold's id, from `autexor retention holds`.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """End a legal hold."""
    client = sign_in_from_environment()
    (row,) = as_rows(client.rpc("lift_legal_hold", {"hold_id": hold_id}).execute().data)
    emit(row, as_json=as_json, quiet=quiet, columns=HOLD)
