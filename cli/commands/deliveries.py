"""`autexor deliveries`: what failed or whose outcome is unknown, its history, and trying it again."""

from typing import Annotated, Any
from uuid import UUID

import typer
from supabase import Client

from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, records
from cli.output import JsonFlag, QuietFlag, emit, tell

app = typer.Typer(no_args_is_help=True, help="See what did not arrive, and try it again.")

TROUBLED = {
    "invoice_document": ("invoice_documents", ("failed",)),
    "communication": ("communications", ("failed", "unknown")),
    "push_notification": ("push_notifications", ("failed", "unknown")),
}
# What `show` tells of each kind; whose it is in the history.
SHOWN = {
    "communication": (
        "communications",
        "communication_id",
        "id,status,channel,template,recipient,subject,body_text,template_version,wording_version,segments,"
        "attempt,last_error,provider,provider_message_id,created_at,sent_at",
    ),
    "push_notification": (
        "push_notifications",
        "push_notification_id",
        "id,status,template,attempt,last_error,ticket_id,receipt,created_at,sent_at",
    ),
    "invoice_document": (
        "invoice_documents",
        "document_id",
        "id,status,version,template_version,attempt,last_error,created_at,stored_at",
    ),
}
HISTORY = ("occurred_at", "source", "attempt", "event", "status", "provider", "provider_id", "code")


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
    """Queue a failed document, message or push once more, or one whose outcome is unknown.

    What is unknown may have arrived: a retry can then send it twice.
    """
    kind = sign_in_from_environment().rpc("retry_delivery", {"subject_id": delivery_id}).execute().data
    emit({"id": delivery_id, "kind": kind, "is_queued": True}, as_json=as_json, quiet=quiet)
    if not as_json and not quiet:
        tell("Queued: a worker takes it within seconds.")


@app.command("show")
def show_command(
    delivery_id: Annotated[UUID, typer.Argument(metavar="ID", help="Of a message, a push or a document.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show one delivery with every attempt and all that its provider told, oldest first.

    `text` is what was sent; it is empty when it was erased, or never kept because it gave access.
    """
    client = sign_in_from_environment()
    delivery, column = _find(client, str(delivery_id))
    history = _history(client, column, str(delivery_id))
    if as_json or quiet:
        emit({**delivery, "history": history}, as_json=as_json, quiet=quiet)
        return
    emit(delivery)
    emit(history, columns=HISTORY, title="History")


def _find(client: Client, delivery_id: str) -> tuple[Record, str]:
    """The delivery and the history's column that names its kind. Raises CommandFailed."""
    for kind, (table, column, columns) in SHOWN.items():
        found = records(client.table(table).select(columns).eq("id", delivery_id).execute().data)
        if found:
            row = {"kind": kind, **found[0]}
            return ({**row, "text": row.pop("body_text")} if "body_text" in row else row), column
    raise CommandFailed(
        "delivery_not_found",
        f"There is no delivery {delivery_id}",
        "it is not one of your garage, or you may not read deliveries",
        "Take the id from `autexor deliveries list`",
    )


def _history(client: Client, column: str, delivery_id: str) -> list[Record]:
    query: Any = client.table("delivery_history").select(",".join(("id", *HISTORY))).eq(column, delivery_id)
    return records(query.order("occurred_at").order("id").execute().data)
