"""`autexor support`: staff of Autexor ask to look into a garage; its owners grant, refuse and end it."""

from typing import Annotated
from uuid import UUID

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(
    no_args_is_help=True, help="Ask for access to a garage as Autexor, or decide on it as an owner."
)

Request = Annotated[str, typer.Argument(metavar="ID", help="The request's id, from `support list`.")]
Hours = Annotated[int | None, typer.Option(min=1, max=8, help="For how many hours.")]
GARAGES = ("id", "operator_email", "status", "reason", "hours", "is_read_only", "may_export", "expires_at")
MINE = ("id", "trade_name", "status", "reason", "hours", "is_read_only", "may_export", "expires_at")


@app.command("request")
def request_command(
    garage: Annotated[str, typer.Argument(help="Its id, or words of its name, city or enterprise number.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence the owner will read.")],
    hours: Hours = 2,
    write: Annotated[bool, typer.Option("--write", help="Ask to change things, too.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Ask a garage for access (for staff of Autexor)."""
    client = sign_in_from_environment()
    arguments = {"garage_id": _garage(client, garage), "reason": reason, "hours": hours}
    made = client.rpc("request_support", {**arguments, "is_read_only": not write}).execute()
    _show(_mine(client, made.data), MINE, as_json, quiet)


@app.command("list")
def list_command(
    mine: Annotated[bool, typer.Option("--mine", help="As staff of Autexor: what you asked.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List who of Autexor asked for access to your garage, and what became of it."""
    client = sign_in_from_environment()
    if mine:
        rows = records(client.rpc("my_support_requests").execute().data)
        emit(rows, as_json=as_json, quiet=quiet, columns=MINE)
        return
    garage = active_garage(client)
    query = client.table("support_grants").select("*").eq("garage_id", garage["id"])
    rows = records(query.order("requested_at", desc=True).execute().data)
    emit(rows, as_json=as_json, quiet=quiet, columns=GARAGES, title=garage["trade_name"])


@app.command("open")
def open_command(request: Request, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Work in the garage that let you in: from your next command on (for staff of Autexor)."""
    client = sign_in_from_environment()
    opened = client.rpc("open_support", {"support_request_id": request}).execute()
    _show(_mine(client, opened.data), MINE, as_json, quiet)


@app.command("grant")
def grant_command(
    request: Request,
    instruction: Annotated[str, typer.Option(help="What Autexor is to do, in your words; kept for good.")],
    hours: Hours = None,
    write: Annotated[
        bool, typer.Option("--write", help="Let them change things, if they asked for it.")
    ] = False,
    export: Annotated[
        str | None, typer.Option("--export-instruction", help="Also let them export data: which, and why.")
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Let somebody of Autexor into your garage for some hours."""
    client = sign_in_from_environment()
    asked, garage = _asked(client, request), active_garage(client)
    does = "read and change" if write and not asked["is_read_only"] else "read"
    length = hours or asked["hours"]
    confirm(
        f"Let {asked['operator_email']} of Autexor {does} the data of {garage['trade_name']} for {length} h?",
        yes,
    )
    arguments = {"support_request_id": request, "instruction": instruction, "hours": hours}
    arguments |= {"is_read_only": not write, "export_instruction": export}
    client.rpc("grant_support", arguments).execute()
    _show(_asked(client, request), GARAGES, as_json, quiet)


@app.command("refuse")
def refuse_command(request: Request, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Do not let somebody of Autexor into your garage."""
    client = sign_in_from_environment()
    client.rpc("refuse_support", {"support_request_id": request}).execute()
    _show(_asked(client, request), GARAGES, as_json, quiet)


@app.command("end")
def end_command(request: Request, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """End access at once, or withdraw a request: as the garage or as Autexor."""
    client = sign_in_from_environment()
    ended = client.rpc("end_support", {"support_request_id": request}).execute()
    emit(_row(ended.data), as_json=as_json, quiet=quiet, columns=("id", "reason", "ended_at"))


def _show(row: Record, columns: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    emit(row, as_json=as_json, quiet=quiet, columns=columns)


def _row(data: object) -> Record:
    """The one row that a call answered, whether in a list or not."""
    return records(data)[0] if isinstance(data, list) else dict(data)  # type: ignore[call-overload]


def _mine(client: Client, data: object) -> Record:
    """The row of `my_support_requests` that a call was about."""
    id_ = _row(data)["id"]
    return next(row for row in records(client.rpc("my_support_requests").execute().data) if row["id"] == id_)


def _asked(client: Client, request: str) -> Record:
    garage = active_garage(client)
    query = client.table("support_grants").select("*").eq("garage_id", garage["id"])
    rows = [row for row in records(query.execute().data) if row["id"] == request]
    if not rows:
        raise CommandFailed(
            "support_not_found",
            f"There is no request {request} for support",
            "nobody of Autexor asked your garage under this id",
            "See `autexor support list`",
        )
    return rows[0]


def _garage(client: Client, words: str) -> str:
    try:
        return str(UUID(words))
    except ValueError:
        found = records(client.rpc("find_garages", {"query": words}).execute().data)
    if len(found) != 1:
        raise CommandFailed(
            "garage_not_found" if not found else "garage_ambiguous",
            f"{len(found)} garages go by {words}",
            ", ".join(row["trade_name"] for row in found[:5]) or "nothing has these words",
            "Write the enterprise number, or the id",
        )
    return str(found[0]["id"])
