"""`autexor rights`: what customers ask for under the GDPR, from receiving it to the evidence."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed, Misuse
from cli.lookups import Record, active_garage, customer_named, records, time_zone
from cli.output import JsonFlag, QuietFlag, emit, progress
from cli.subject_export.answers import erasure_plan, export, tell_plan
from cli.subject_export.source import as_rows

app = typer.Typer(no_args_is_help=True, help="Answer customers who use their rights under the GDPR.")

Request = Annotated[str, typer.Argument(help="The request's id, from `autexor rights list`.")]
CustomerArgument = Annotated[str, typer.Argument(help="The customer's e-mail address or id.")]
Reason = Annotated[str, typer.Option("--reason", help="In the words that the customer is told.")]
SHOWN = ("id", "kind", "customer", "status", "due_on", "days_left", "verified_how")
COLUMNS = (
    "id,kind,status,customer_id,received_at,due_on,details,object_to,extended_at,extension_reason,verified_at,"
    "verified_how,finished_at,refusal_reason,evidence"
)


class Kind(StrEnum):
    """The six rights."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    PORTABILITY = "portability"


class Channel(StrEnum):
    """What one may object to."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    PUSH = "push"
    ALL = "all"


class How(StrEnum):
    """Ways to check who somebody is."""

    ID_CARD = "id_card"
    IN_PERSON = "in_person"
    PORTAL_SIGN_IN = "portal_sign_in"
    CALLED_BACK = "called_back"
    KNOWN_ADDRESS = "known_address"
    OTHER = "other"


@app.command("receive")
def receive_command(
    customer: CustomerArgument,
    kind: Annotated[Kind, typer.Argument(help="The right they use.")],
    details: Annotated[str | None, typer.Option(help="What they said.")] = None,
    object_to: Annotated[Channel | None, typer.Option(help="What an objection is to.")] = None,
    received_at: Annotated[
        datetime | None, typer.Option(help="When, by your garage's clock, if not now.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write down that a customer uses a right; it is to be answered within a month."""
    client = sign_in_from_environment()
    if received_at is not None:
        received_at = received_at.replace(tzinfo=time_zone(client, active_garage(client)))
    arguments = {
        "customer_id": customer_named(client, customer)["id"],
        "kind": kind.value,
        "details": details,
        "object_to": object_to.value if object_to else None,
        "received_at": received_at.isoformat() if received_at else None,
    }
    _call(client, "receive_rights_request", arguments, as_json, quiet)


@app.command("list")
def list_command(
    all_: Annotated[bool, typer.Option("--all", help="Those that are done or refused, too.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the requests that are to be answered, the most urgent first."""
    client = sign_in_from_environment()
    found = client.table("rights_requests").select(COLUMNS).order("due_on").order("id")
    if not all_:
        found = found.in_("status", ["received", "verified", "executing"])
    rows = _described(client, records(found.execute().data))
    emit(rows, as_json=as_json, quiet=quiet, columns=SHOWN)


@app.command("show")
def show_command(request: Request, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show one request: until when, who was checked how, and the evidence."""
    client = sign_in_from_environment()
    (row,) = _described(client, [_request(client, request)])
    emit(row, as_json=as_json, quiet=quiet)


@app.command("verify-identity")
def verify_identity_command(
    request: Request,
    how: Annotated[How, typer.Argument(help="How it was checked that it is them.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Record that it was checked that the one who asks is the customer; nothing is done before."""
    client = sign_in_from_environment()
    arguments = {"request_id": request, "how": how.value}
    _call(client, "verify_rights_identity", arguments, as_json, quiet)


@app.command("extend")
def extend_command(
    request: Request, reason: Reason, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Take two months more, once; the customer is told why within the first."""
    client = sign_in_from_environment()
    _call(client, "extend_rights_request", {"request_id": request, "reason": reason}, as_json, quiet)


@app.command("refuse")
def refuse_command(
    request: Request, reason: Reason, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Do not do what was asked; the customer is told why, and where to complain."""
    client = sign_in_from_environment()
    _call(client, "refuse_rights_request", {"request_id": request, "reason": reason}, as_json, quiet)


@app.command("export")
def export_command(
    request: Request,
    to: Annotated[Path, typer.Option("--to", help="The archive to write; it must not be there yet.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write all that is known of the person into one archive: pages to read, JSON, documents, photos."""
    client = sign_in_from_environment()
    emit(export(client, request, to), as_json=as_json, quiet=quiet, id_field="sha256")


@app.command("plan")
def plan_command(request: Request, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show what erasing the person would do, row by row, before anything is done."""
    client = sign_in_from_environment()
    plan = erasure_plan(client, request)
    if as_json or quiet:
        emit(plan, as_json=as_json, quiet=quiet, id_field="sha256")
        return
    emit(plan["steps"], columns=("table_name", "row_id", "action", "columns", "until", "reason"))
    tell_plan(plan)


@app.command("execute")
def execute_command(
    request: Request,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="For a rectification: column=value; again for more.")
    ] = None,
    told: Annotated[list[str] | None, typer.Option(help="Whom else one told of a rectification.")] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Do what was asked: erase (by the plan), freeze, correct, or stop writing."""
    client = sign_in_from_environment()
    row = _request(client, request)
    emit(_execute(client, row, change or [], told or [], yes), as_json=as_json, quiet=quiet, columns=None)


@app.command("lift")
def lift_command(
    customer: CustomerArgument, reason: Reason, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """End a restriction; the customer is told before."""
    client = sign_in_from_environment()
    arguments = {"customer_id": _restricted_id(client, customer), "reason": reason}
    (row,) = as_rows(client.rpc("lift_restriction", arguments).execute().data)
    emit(row, as_json=as_json, quiet=quiet)


@app.command("open")
def open_command(
    customer_id: Annotated[str, typer.Argument(help="The id of the restricted customer.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you must look; it stays on record.")],
    as_json: JsonFlag = False,
) -> None:
    """See a restricted customer for a quarter of an hour."""
    client = sign_in_from_environment()
    arguments = {"customer_id": customer_id, "reason": reason}
    until = client.rpc("open_restricted_customer", arguments).execute().data
    emit({"customer_id": customer_id, "open_until": until}, as_json=as_json)


def _execute(client: Client, row: Record, changes: list[str], told: list[str], yes: bool) -> Record:
    garage = active_garage(client)["trade_name"]
    arguments: Record = {"request_id": row["id"]}
    match row["kind"]:
        case "erasure":
            plan = erasure_plan(client, row["id"])
            tell_plan(plan)
            confirm(f"Erase this customer of {garage} for good, by this plan?", yes)
            with progress("Erasing"):
                return _one(client, "execute_erasure", {**arguments, "plan_sha256": plan["sha256"]})
        case "restriction":
            confirm(f"Freeze and hide what {garage} knows of this customer?", yes)
            return _one(client, "execute_restriction", arguments)
        case "objection":
            return _one(client, "execute_objection", arguments)
        case "rectification":
            return _one(client, "rectify_customer", {**arguments, "changes": _changes(changes), "told": told})
    raise Misuse(
        "rights_kind_wrong",
        f"A request for {row['kind']} is answered with an archive",
        "there is nothing to execute",
        "Use `autexor rights export`",
    )


def _changes(pairs: list[str]) -> dict[str, str | None]:
    """`column=value` as a mapping; an empty value empties the column."""
    split = [pair.partition("=") for pair in pairs]
    if not split or not all(equals for _, equals, _ in split):
        raise Misuse(
            "change_missing",
            "What is to be corrected is not clear",
            "a rectification needs --set column=value",
            "For example --set city=Gent --set postal_code=9000",
        )
    return {column: value or None for column, _, value in split}


def _call(client: Client, function: str, arguments: Record, as_json: bool, quiet: bool) -> None:
    (row,) = _described(client, [_one(client, function, arguments)])
    emit(row, as_json=as_json, quiet=quiet, columns=SHOWN)


def _one(client: Client, function: str, arguments: Record) -> Record:
    (row,) = as_rows(client.rpc(function, arguments).execute().data)
    return row


def _request(client: Client, request_id: str) -> Record:
    found = client.table("rights_requests").select(COLUMNS).eq("id", request_id).execute()
    rows = records(found.data)
    if not rows:
        raise CommandFailed(
            "rights_request_not_found",
            "This request does not exist",
            f"nothing your garage received has the id {request_id}",
            "Look it up with `autexor rights list --all`",
        )
    return rows[0]


def _described(client: Client, rows: list[Record]) -> list[Record]:
    ids = sorted({row["customer_id"] for row in rows})
    found = client.table("customers").select("id,full_name").in_("id", ids).execute() if ids else None
    names = {row["id"]: row["full_name"] for row in records(found.data)} if found else {}
    today = datetime.now(time_zone(client, active_garage(client))).date()
    return [
        {
            **row,
            "customer": names.get(row["customer_id"]),
            "days_left": None
            if row["finished_at"]
            else (datetime.fromisoformat(row["due_on"]).date() - today).days,
        }
        for row in rows
    ]


def _restricted_id(client: Client, customer: str) -> str:
    """Restricted customers are hidden, so that only an id finds them."""
    return customer if "@" not in customer else str(customer_named(client, customer)["id"])
