"""`autexor inbound`: what came in by SMS and WhatsApp, and saying whose it is when nobody knows."""

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, customer_named, in_garage_time, older, records, time_zone
from cli.output import JsonFlag, QuietFlag, emit, tell

app = typer.Typer(no_args_is_help=True, help="See texts from unknown numbers, and say whose they are.")

SHOWN = ("id", "when", "channel", "sender_address", "words")
COLUMNS = "id,channel,sender_address,body,media_count,customer_id,message_id,created_at,"
COLUMNS += "customers(full_name,company_name),messages(body)"
# As `assign_inbound_message` has it: in no conversation yet, and there is something to put into one.
WAITING = 'media_count.gt.0,body.match."[^[:space:]]"'


@app.command("list")
def list_command(
    everything: Annotated[bool, typer.Option("--all", help="Those in a conversation, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 25,
    before: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Only what is older than this one: the next page.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List SMS and WhatsApp messages that wait until you say whose they are, newest first.

    They came from a number that no customer of yours has, or that several have. Who may not read
    conversations sees none. `when` is in your garage's time zone.
    """
    client = sign_in_from_environment()
    garage = active_garage(client)
    query: Any = client.table("inbound_messages").select(COLUMNS)
    if not everything:
        query = query.is_("message_id", "null").or_(WAITING)
    if before is not None:
        query = older(query, _named(client, before), "created_at")
    found = query.order("created_at", desc=True).order("id", desc=True).limit(limit).execute()
    zone = time_zone(client, garage)
    rows = [_described(row, zone) for row in records(found.data)]
    columns = (*SHOWN, "customer") if everything else SHOWN
    emit(rows, as_json=as_json, quiet=quiet, columns=columns, title=garage["trade_name"])


@app.command("assign")
def assign_command(
    inbound_message_id: Annotated[
        UUID, typer.Argument(metavar="ID", help="Its id, from `autexor inbound list`.")
    ],
    customer: Annotated[str, typer.Argument(help="Whose it is: an e-mail address, or an id.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say whose a message is: it goes into that customer's conversation, for good.

    The customer reads it there. Their number stays as it is on their card. With `--quiet`, the id it has in
    the conversation.
    """
    client = sign_in_from_environment()
    person = customer_named(client, customer)
    whom = f"{person['full_name']} ({person['email'] or person['id']})"
    confirm(f"Put this message into the conversation of {whom}, who reads it there, for good?", yes)
    arguments = {"inbound_message_id": str(inbound_message_id), "customer_id": person["id"]}
    message_id = client.rpc("assign_inbound_message", arguments).execute().data
    row = {"id": str(inbound_message_id), "message_id": message_id, "customer_id": person["id"]}
    shown = {**row, "customer": person["full_name"]}
    emit(shown, as_json=as_json, quiet=quiet, id_field="message_id", columns=("id", "message_id", "customer"))
    if not as_json and not quiet:
        tell("Assigned. What comes from a number on one customer's card alone is theirs by itself.")


def _named(client: Client, inbound_message_id: UUID) -> Record:
    query = client.table("inbound_messages").select("id,created_at").eq("id", str(inbound_message_id))
    found = records(query.execute().data)
    if not found:
        raise CommandFailed(
            "inbound_message_not_found",
            f"There is no message {inbound_message_id}",
            "it is not one of your garage, or you may not read conversations",
            "Take the last id of the page before",
        )
    return found[0]


def _described(row: Record, zone: ZoneInfo) -> Record:
    customer, message = row.pop("customers") or {}, row.pop("messages") or {}
    # In a conversation the words say themselves that there were attachments.
    attachments = f"({row['media_count']} attached)" if row["media_count"] and not message else None
    words = [message.get("body") or row["body"], attachments]
    return {
        **row,
        "when": in_garage_time(row["created_at"], zone, "minutes"),
        "words": " ".join(part for part in words if part) or None,
        "customer": customer.get("company_name") or customer.get("full_name"),
    }
