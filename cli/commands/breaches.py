"""`autexor breaches`: what Autexor tells garages about breaches, and what garages confirm."""

from datetime import datetime
from typing import Annotated, Any

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(
    no_args_is_help=True, help="Read what you were told about breaches; as Autexor, record and tell them."
)

Breach = Annotated[str, typer.Argument(metavar="ID", help="From `breaches list --register`.")]
Notice = Annotated[str, typer.Argument(metavar="ID", help="From `breaches list`.")]
Text = Annotated[str | None, typer.Option(help="In words the garages will read.")]
When = Annotated[datetime | None, typer.Option(help="In UTC, for example 2026-11-01T18:00:00.")]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="A table concerned, such as public.customers; again for more."),
]
Count = Annotated[int | None, typer.Option(min=0, help="About how many people in all.")]
NOTICES = ("id", "told_at", "version", "title", "categories", "acknowledged_at")
REGISTER = ("id", "noticed_at", "title", "categories", "garages_told", "garages_acknowledged", "closed_at")


@app.command("list")
def list_command(
    register: Annotated[bool, typer.Option("--register", help="As staff of Autexor: all of them.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List what your garage was told, newest first."""
    client = sign_in_from_environment()
    if register:
        emit(_register(client), as_json=as_json, quiet=quiet, columns=REGISTER)
        return
    garage = active_garage(client)
    emit(_notices(client), as_json=as_json, quiet=quiet, columns=NOTICES, title=garage["trade_name"])


@app.command("show")
def show_command(notice: Notice, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show everything your garage was told in one notice, as it was told."""
    row = _notice(sign_in_from_environment(), notice)
    columns = ("id", "told_at", "acknowledged_at", *sorted(row["facts"]))
    emit({**row["facts"], **row}, as_json=as_json, quiet=quiet, columns=columns)


@app.command("acknowledge")
def acknowledge_command(notice: Notice, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Confirm that your garage has read a notice."""
    client = sign_in_from_environment()
    client.rpc("acknowledge_breach", {"breach_notice_id": notice}).execute()
    emit(_notice(client, notice), as_json=as_json, quiet=quiet, columns=NOTICES)


@app.command("record")
def record_command(
    title: Annotated[str, typer.Option(help="A few words.")],
    nature: Annotated[str, typer.Option(help="What happened.")],
    noticed_at: Annotated[datetime, typer.Option(help="When Autexor became aware, in UTC.")],
    table: Annotated[list[str], typer.Option(help="A table concerned; again for more.")],
    began_at: When = None,
    ended_at: When = None,
    people: Count = None,
    consequences: Text = None,
    measures: Text = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Put a breach on record (for staff of Autexor); nobody is told yet."""
    client = sign_in_from_environment()
    facts = {"title": title, "nature": nature, "tables": table, "noticed_at": noticed_at}
    facts |= _facts(began_at, ended_at, people, consequences, measures)
    made = client.rpc("record_breach", {"facts": _plain(facts)}).execute().data
    emit(_recorded(client, str(made)), as_json=as_json, quiet=quiet, columns=REGISTER)


@app.command("change")
def change_command(
    breach: Breach,
    nature: Text = None,
    tables: Tables = None,
    began_at: When = None,
    ended_at: When = None,
    people: Count = None,
    consequences: Text = None,
    measures: Text = None,
    closed_at: When = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Record what more is known, or that it is closed; what garages were told stays as it was told."""
    client = sign_in_from_environment()
    facts = _facts(began_at, ended_at, people, consequences, measures)
    facts |= {"nature": nature, "tables": tables, "closed_at": closed_at}
    client.rpc("change_breach", {"breach_id": breach, "facts": _plain(facts)}).execute()
    emit(_recorded(client, breach), as_json=as_json, quiet=quiet, columns=REGISTER)


@app.command("scope")
def scope_command(breach: Breach, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the garages a breach concerns by its tables, how many rows, and whether they were told."""
    found = sign_in_from_environment().rpc("breach_scope", {"breach_id": breach}).execute()
    emit(records(found.data), as_json=as_json, quiet=quiet, id_field="garage_id")


@app.command("tell")
def tell_command(
    breach: Breach,
    garage: Annotated[
        list[str] | None, typer.Option(help="The id of a garage; again for more. Without: all concerned.")
    ] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Tell garages what is known now; that cannot be taken back (for staff of Autexor)."""
    client = sign_in_from_environment()
    row = _recorded(client, breach)
    whom = f"{len(garage)} garages" if garage else "every garage it concerns"
    confirm(f'Tell {whom} of "{row["title"]}"?', yes)
    client.rpc("tell_garages", {"breach_id": breach, "garage_ids": garage or None}).execute()
    emit(_recorded(client, breach), as_json=as_json, quiet=quiet, columns=REGISTER)


def _facts(
    began_at: datetime | None, ended_at: datetime | None, people: int | None, consequences: str | None,
    measures: str | None,
) -> dict[str, Any]:  # fmt: skip
    facts = {"began_at": began_at, "ended_at": ended_at, "subject_count": people}
    return {**facts, "consequences": consequences, "measures": measures}


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """What was said, as JSON."""
    said = {name: value for name, value in facts.items() if value is not None}
    return {n: f"{v.isoformat()}Z" if isinstance(v, datetime) else v for n, v in said.items()}


def _register(client: Client) -> list[Record]:
    return records(client.rpc("list_breaches").execute().data)


def _recorded(client: Client, breach: str) -> Record:
    return _one(_register(client), breach, "breach_not_found", "`autexor breaches list --register`")


def _notices(client: Client) -> list[Record]:
    query = client.table("breach_notices").select("*").order("told_at", desc=True).order("version", desc=True)
    rows = records(query.execute().data)
    return [
        {**row, "title": row["facts"]["title"], "categories": ", ".join(row["facts"]["categories"])}
        for row in rows
    ]


def _notice(client: Client, notice: str) -> Record:
    return _one(_notices(client), notice, "notice_not_found", "`autexor breaches list`")


def _one(rows: list[Record], id_: str, code: str, where: str) -> Record:
    for row in rows:
        if row["id"] == id_:
            return row
    raise CommandFailed(code, f"There is no {id_} here", "it is not in the list you may read", f"See {where}")
