"""`autexor access`: who looked at whose data."""

from typing import Annotated, Any

import typer
from supabase import Client

from cli.client import sign_in_from_environment
from cli.lookups import Record, active_garage, in_garage_time, names, readable, records, time_zone
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Read who looked at what in your garage.")

SHOWN = ("when", "who", "event", "subject_id", "client_ip")


@app.command("list")
def list_command(
    customer: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what is about this customer, oldest first: all of it."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 25,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List who signed in, opened cards and documents, exported, or looked as support.

    `when` is in your garage's time zone.
    """
    client = sign_in_from_environment()
    garage = active_garage(client)
    found = _newest(client, garage, limit) if customer is None else _about(client, customer)
    who, zone = names(client), time_zone(client, garage)
    rows = [
        {
            **row,
            "when": in_garage_time(row["occurred_at"], zone),
            "who": who.get(row["actor"], row["actor"]),
        }
        for row in found
    ]
    emit(rows, as_json=as_json, quiet=quiet, columns=SHOWN, title=garage["trade_name"])


def _newest(client: Client, garage: Record, limit: int) -> list[Record]:
    query = client.table("access_entries").select("*").eq("garage_id", garage["id"])
    found: Any = query.order("occurred_at", desc=True).order("id", desc=True).limit(limit).execute()
    return readable(found.data, "audit.read")


def _about(client: Client, customer: str) -> list[Record]:
    found = records(client.rpc("access_to_customer", {"customer_id": customer}).execute().data)
    return [{"id": None, "client_ip": None, "occurred_at": row.pop("at"), **row} for row in found]
