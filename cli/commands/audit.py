"""`autexor audit`: who changed what in the garage, and whether that history is as it was sealed."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from supabase import Client

from cli.client import sign_in_from_environment
from cli.errors import CommandFailed, Misuse
from cli.lookups import (
    Record,
    active_garage,
    in_garage_time,
    names,
    older,
    readable,
    records,
    time_zone,
)
from cli.output import JsonFlag, QuietFlag, emit, progress, tell

app = typer.Typer(no_args_is_help=True, help="Read who changed what in your garage, and verify it.")

SHOWN = ("id", "when", "who", "event", "row_id", "changed")
SEALS = ("number", "sealed_at", "kind", "month", "entry_count", "hash")
PROBLEMS = {
    "entry_altered": "Entry {entry_id} of seal {seal_number} is not what was sealed",
    "entry_missing": "Entry {entry_id} of seal {seal_number} is gone",
    "entry_inserted": "Entry {entry_id} came into the range of seal {seal_number} after it was sealed",
    "seal_altered": "Seal {seal_number} is not what was sealed",
    "seal_missing": "Seal {seal_number} is gone",
    "end_altered": "The chain does not end with seal {seal_number} any more",
    "anchor_missed": "Seal {seal_number} is another one than you noted",
}
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
    """List the newest changes in your garage; their values are in --json, personal ones nowhere.

    `when` is in your garage's time zone.
    """
    client = sign_in_from_environment()
    garage = active_garage(client)
    query = client.table("audit_entries").select("*").eq("garage_id", garage["id"])
    if before is not None:
        query = older(query, _entry(client, before), "occurred_at")
    found = query.order("occurred_at", desc=True).order("id", desc=True).limit(limit).execute()
    rows = records(found.data) if before is not None else readable(found.data, "audit.read")
    who, zone = names(client), time_zone(client, garage)
    emit(
        [_described(row, who, zone) for row in rows],
        as_json=as_json,
        quiet=quiet,
        columns=SHOWN,
        title=garage["trade_name"],
    )


@app.command("verify")
def verify_command(
    anchor: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:HASH", help="A seal as you noted it earlier, from `audit seals`."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Verify the history of your garage against its seals; exits 1 and names the first break."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    with progress(f"Verifying the history of {garage['trade_name']}"):
        (found,) = records(client.rpc("verify_audit", _anchored(anchor)).execute().data)
    emit(found, as_json=as_json, quiet=quiet, id_field="last_hash", title=garage["trade_name"])
    if not found["is_intact"]:
        raise CommandFailed(
            f"audit_{found['problem']}",
            PROBLEMS[found["problem"]].format(**found),
            f"{found['sealed_entries']} entries in {found['seals']} seals were compared with their hashes",
            "Keep the database as it is and tell Autexor: a backup shows what it was",
        )
    if not as_json and not quiet:
        tell("The history is as it was sealed. Note number and hash of the last seal somewhere else.")


@app.command("seals")
def seals_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 25,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the newest seals over your history; --quiet prints NUMBER:HASH, an anchor to keep."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    query = client.table("audit_seals").select("*").eq("garage_id", garage["id"])
    found = records(query.order("number", desc=True).limit(limit).execute().data)
    rows = [{**row, "anchor": f"{row['number']}:{row['hash']}"} for row in found]
    emit(rows, as_json=as_json, quiet=quiet, id_field="anchor", columns=SEALS, title=garage["trade_name"])


def _anchored(anchor: str | None) -> Record:
    """The arguments for an anchor. Raises Misuse when it is none."""
    if anchor is None:
        return {}
    number, _, hash_ = anchor.partition(":")
    if not number.isdigit() or not re.fullmatch("[0-9a-fA-F]{64}", hash_):
        raise Misuse(
            "anchor_invalid",
            f"{anchor} is no anchor",
            "it is the number of a seal, a colon and the 64 digits of its hash",
            "Take it from `autexor audit seals --quiet`",
        )
    return {"anchor_number": int(number), "anchor_hash": hash_}


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


def _described(row: Record, who: dict[str, str], zone: ZoneInfo) -> Record:
    return {
        **row,
        "when": in_garage_time(row["occurred_at"], zone),
        "who": who.get(row["actor"], row["actor"]),
        "event": f"{row['table_name'].removeprefix('public.')} {EVENTS[row['op']]}",
    }
