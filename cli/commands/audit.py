"""`autexor audit`: who changed what in the garage."""

from typing import Annotated, Any

import typer
from supabase import Client

from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, names, readable, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Read who changed what in your garage.")

SHOWN = ("id", "when", "who", "event", "row_id", "changed")
EVENTS = {"I": "created", "U": "changed", "D": "deleted", "T": "emptied"}


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 25,
    before: Annotated[
        int | None, typer.Option(metavar="ID", help="Only what is older than this entry: the next page.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the newest changes in your garage; their values are in --json, personal ones nowhere."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    query = client.table("audit_entries").select("*").eq("garage_id", garage["id"])
    if before is not None:
        query = _older(query, _entry(client, before))
    found = query.order("occurred_at", desc=True).order("id", desc=True).limit(limit).execute()
    rows = records(found.data) if before is not None else readable(found.data, "audit.read")
    who = names(client)
    emit(
        [_described(row, who) for row in rows],
        as_json=as_json,
        quiet=quiet,
        columns=SHOWN,
        title=garage["trade_name"],
    )


def _older(query: Any, entry: Record) -> Any:
    """By time first: that is how the entries of a garage are indexed, and one transaction has one time."""
    at = f'"{entry["occurred_at"]}"'
    tie = f"occurred_at.lt.{at},and(occurred_at.eq.{at},id.lt.{entry['id']})"
    return query.lte("occurred_at", entry["occurred_at"]).or_(tie)


def _entry(client: Client, entry_id: int) -> Record:
    found = records(client.table("audit_entries").select("id,occurred_at").eq("id", entry_id).execute().data)
    if not found:
        raise CommandFailed(
            "audit_entry_not_found",
            f"There is no entry {entry_id}",
            "it is not one of your garage, or you may not read the history",
            "Take the last id of the page before",
        )
    return found[0]


def _described(row: Record, who: dict[str, str]) -> Record:
    return {
        **row,
        "when": row["occurred_at"][:19].replace("T", " "),
        "who": who.get(row["actor"], row["actor"]),
        "event": f"{row['table_name'].removeprefix('public.')} {EVENTS[row['op']]}",
    }
