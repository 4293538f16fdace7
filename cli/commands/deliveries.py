"""`autexor deliveries`: documents, e-mails and pushes that failed or whose outcome is unknown."""

from typing import Annotated

import typer

from cli.client import sign_in_from_environment
from cli.lookups import Record, records
from cli.output import JsonFlag, QuietFlag, emit, tell

app = typer.Typer(no_args_is_help=True, help="See what did not arrive, and try it again.")

TROUBLED = {
    "invoice_document": ("invoice_documents", ("failed",)),
    "communication": ("communications", ("failed", "unknown")),
    "push_notification": ("push_notifications", ("failed", "unknown")),
}


@app.command("list")
def list_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List what failed or whose outcome is unknown, newest first."""
    client = sign_in_from_environment()
    rows: list[Record] = []
    for kind, (table, statuses) in TROUBLED.items():
        found = (
            client.table(table)
            .select("id,status,attempt,last_error,created_at,invoices(invoice_number)")
            .in_("status", statuses)
            .execute()
        )
        rows += [{"kind": kind, **row} for row in records(found.data)]
    for row in rows:
        row["invoice_number"] = (row.pop("invoices") or {}).get("invoice_number")
    rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
    columns = ("id", "kind", "invoice_number", "status", "attempt", "last_error")
    emit(rows, as_json=as_json, quiet=quiet, columns=columns)


@app.command("status")
def status_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Count what waits, is under way, failed or is unknown in the own garage, and since when.

    `oldest_at` is when the oldest of them was made. With `--quiet`, the statuses that occur.
    """
    client = sign_in_from_environment()
    found = client.table("unsettled_deliveries").select("kind,status,deliveries,oldest_at").execute()
    rows = sorted(records(found.data), key=lambda row: (str(row["kind"]), str(row["status"])))
    emit(rows, as_json=as_json, quiet=quiet, id_field="status")


@app.command("retry")
def retry_command(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, from `autexor deliveries list`.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Queue a failed document, e-mail or push once more, or one whose outcome is unknown.

    What is unknown may have arrived: a retry can then send it twice.
    """
    kind = sign_in_from_environment().rpc("retry_delivery", {"subject_id": delivery_id}).execute().data
    emit({"id": delivery_id, "kind": kind, "is_queued": True}, as_json=as_json, quiet=quiet)
    if not as_json and not quiet:
        tell("Queued: a worker takes it within seconds.")
