"""`autexor website`: what visitors of autexor.be ask, and their rights; for staff of Autexor alone."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, records
from cli.output import JsonFlag, QuietFlag, emit, emit_words, tell

app = typer.Typer(no_args_is_help=True, help="Handle requests on autexor.be (staff of Autexor only).")
requests = typer.Typer(no_args_is_help=True, help="Read requests, follow them up and close them.")
mails = typer.Typer(no_args_is_help=True, help="See which mails about requests did not go out.")
visitors = typer.Typer(no_args_is_help=True, help="Hand out or erase what is kept under an e-mail address.")
policy = typer.Typer(no_args_is_help=True, help="Read and publish the privacy policy.")
for _name, _group in (("requests", requests), ("mails", mails), ("visitors", visitors), ("policy", policy)):
    app.add_typer(_group, name=_name)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="Its id, from `autexor website requests list`.")]
Email = Annotated[str, typer.Argument(help="The address the visitor wrote from.")]
Note = Annotated[str | None, typer.Option(help="What was said or done; kept with the request.")]
SHOWN = ("id", "received", "kind", "status", "full_name", "email", "locale")
COLUMNS = "id,kind,legal_basis,full_name,email,phone,message,locale,policy_version,repeats,status,outcome,"
COLUMNS += "received_at,followed_up_at,closed_at"


class Status(StrEnum):
    """How far a request is."""

    NEW = "new"
    IN_FOLLOW_UP = "in_follow_up"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    NOT_NEEDED = "not_needed"
    SPAM = "spam"


class Language(StrEnum):
    """A language of the privacy policy."""

    NL = "nl"
    EN = "en"


@requests.command("list")
def list_command(
    status: Annotated[Status | None, typer.Option(help="Only those; without it all that are open.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List requests, newest first: the open ones unless said otherwise."""
    query = _operator().schema("website").table("requests").select(COLUMNS)
    query = query.eq("status", status.value) if status else query.neq("status", "closed")
    found = records(query.order("received_at", desc=True).limit(limit).execute().data)
    emit([_described(row) for row in found], as_json=as_json, quiet=quiet, columns=SHOWN)


@requests.command("show")
def show_command(request_id: RequestId, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show one request, how it was followed up, and what became of its mails."""
    _show(_operator(), request_id, as_json, quiet)


@requests.command("follow-up")
def follow_up_command(
    request_id: RequestId, note: Note = None, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Take a request up, or add a note to one that is."""
    _handle("follow_up", request_id, as_json, quiet, note=note)


@requests.command("close")
def close_command(
    request_id: RequestId,
    outcome: Annotated[Outcome, typer.Argument(help="How it ended.")],
    note: Note = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Close a request for good; after 180 days, unless set otherwise, it is deleted."""
    _handle("close_request", request_id, as_json, quiet, note=note, outcome=outcome.value)


@mails.command("list")
def list_mails_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List mails that failed or whose outcome is unknown, newest first."""
    columns = ("id", "kind", "status", "attempt", "last_error", "created_at")
    query = _operator().schema("website").table("mails").select(",".join((*columns, "request_id")))
    found = query.in_("status", ["failed", "unknown"]).order("created_at", desc=True).execute()
    emit(records(found.data), as_json=as_json, quiet=quiet, columns=columns)


@mails.command("retry")
def retry_mail_command(
    mail_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, from `autexor website mails list`.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Queue a mail once more that failed, or whose outcome is unknown: that one may arrive twice."""
    _call(_operator(), "retry_mail", mail_id=mail_id)
    emit({"id": mail_id, "is_queued": True}, as_json=as_json, quiet=quiet)


@visitors.command("export")
def export_command(email: Email) -> None:
    """Print all that is kept under an address, as JSON; that it was handed out is recorded."""
    emit(_call(_operator(), "export_visitor", email=email), as_json=True)


@visitors.command("erase")
def erase_command(
    email: Email,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Erase all that is kept under an address, requests that are open among it."""
    client = _operator()
    found = _call(client, "erase_visitor", email=email)
    if not dry_run:
        counts = ", ".join(f"{count} {table.replace('_', ' ')}" for table, count in found["erase"].items())
        confirm(f"Erase what the website of Autexor keeps of {email} for good: {counts}?", yes)
        found = _call(client, "erase_visitor", email=email, is_dry_run=False)
    emit({"email": email, "is_done": found["is_done"], **found["erase"]}, as_json=as_json)


@policy.command("show")
def show_policy_command(
    language: Annotated[Language, typer.Option(help="Which text.")] = Language.NL,
    version: Annotated[
        str | None, typer.Option(help="An earlier version; without it, the one in force.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the privacy policy that is in force."""
    client = sign_in_from_environment()
    found = records(_call(client, "privacy_policy", locale=language.value, version=version))
    if not found:
        raise CommandFailed(
            "policy_not_found",
            "There is no such privacy policy",
            "none was published under that name, or it is not in force yet",
            "Publish one with `autexor website policy publish`",
        )
    if as_json:
        emit(found[0], as_json=True)
    else:
        emit_words(found[0]["body"])


@policy.command("publish")
def publish_policy_command(
    version: Annotated[str, typer.Argument(help="Its name: the date, as in 2026-02-23.")],
    dutch: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The Dutch text.")],
    english: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The English text.")],
    on: Annotated[
        str | None, typer.Option(metavar="DATE", help="In force from then on; without it, today.")
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Publish a version of the privacy policy in both languages; it never changes afterwards."""
    client = _operator()
    day = on or date.today().isoformat()
    texts = {"body_nl": dutch.read_text("utf-8"), "body_en": english.read_text("utf-8")}
    confirm(f"Publish privacy policy {version} at autexor.be, in force from {day}, for good?", yes)
    published = _call(client, "publish_policy", version=version, published_on=day, **texts)
    emit(published, as_json=as_json, quiet=quiet, id_field="version")


def _operator() -> Client:
    """A client whose person is staff of Autexor. Raises CommandFailed for anybody else."""
    client = sign_in_from_environment()
    if not client.schema("website").table("settings").select("is_only").execute().data:
        raise CommandFailed(
            "operator_required",
            "This is for staff of Autexor",
            "the API shows you nothing of the website",
            "Sign in as an operator, or ask Autexor",
        )
    return client


def _call(client: Client, function: str, **arguments: Any) -> Any:
    given = {name: value for name, value in arguments.items() if value is not None}
    return client.schema("website").rpc(function, given).execute().data


def _handle(function: str, request_id: str, as_json: bool, quiet: bool, **arguments: Any) -> None:
    client = _operator()
    _call(client, function, request_id=request_id, **arguments)
    _show(client, request_id, as_json, quiet)


def _show(client: Client, request_id: str, as_json: bool, quiet: bool) -> None:
    more = "notes:request_notes(created_at,status,body),mails(id,kind,status,attempt,last_error,sent_at)"
    query = client.schema("website").table("requests").select(f"{COLUMNS},{more}")
    found = records(query.eq("id", request_id).execute().data)
    if not found:
        raise CommandFailed(
            "request_not_found",
            f"There is no request {request_id}",
            "it was erased or deleted in time, or never was",
            "Look it up with `autexor website requests list`",
        )
    row = _described(found[0])
    row["notes"].sort(key=lambda note: note["created_at"])
    columns = (*SHOWN, "phone", "message", "legal_basis", "outcome", "repeats", "notes", "mails")
    emit(row, as_json=as_json, quiet=quiet, columns=columns)
    if row["status"] == Status.NEW and not as_json and not quiet:
        tell("Take it up with `autexor website requests follow-up`.")


def _described(row: Record) -> Record:
    return {**row, "received": row["received_at"][:16].replace("T", " ")}
