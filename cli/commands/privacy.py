"""`autexor privacy`: what data there is, what for, on which basis, and who else processes it."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client import sign_in_from_environment
from cli.lookups import active_garage, readable, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Your garage's record of processing, and who processes for it.")


class Basis(StrEnum):
    """The legal bases of art. 6.1 GDPR."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTEREST = "vital_interest"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTEREST = "legitimate_interest"


@app.command("map")
def map_command(
    table: Annotated[
        str | None, typer.Argument(help="Of this table alone, for example public.customers.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show every column: its class, whom it is about, what becomes of it on erasure, how long it stays."""
    client = sign_in_from_environment()
    rows = records(client.rpc("data_map").execute().data)
    shown = [row for row in rows if table in (None, row["table_name"])]
    columns = ("table_name", "column_name", "class", "category", "subject", "on_erasure", "retention")
    emit(shown, as_json=as_json, quiet=quiet, id_field="column_name", columns=columns)


@app.command("processors")
def processors_command(
    all_: Annotated[bool, typer.Option("--all", help="Those of modules that are off, too.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List who else processes your garage's data, by the modules you have on."""
    client = sign_in_from_environment()
    found = client.table("subprocessors").select("name,purpose,country,host,module,is_in_use").order("name")
    rows = readable(found.execute().data, "garage.read")
    shown = [row for row in rows if all_ or row["is_in_use"]]
    emit(shown, as_json=as_json, quiet=quiet, id_field="name")


@app.command("bases")
def bases_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show what your garage processes data for, and on which legal basis (the register of art. 30 GDPR)."""
    client = sign_in_from_environment()
    found = client.table("processing_records").select("*").order("processing").execute()
    rows = readable(found.data, "garage.read")
    columns = ("processing", "purpose", "basis", "is_set_by_garage", "categories", "subjects")
    emit(rows, as_json=as_json, quiet=quiet, id_field="processing", columns=columns)


@app.command("set-basis")
def set_basis_command(
    processing: Annotated[str, typer.Argument(help="A processing, from `autexor privacy bases`.")],
    basis: Annotated[Basis, typer.Argument(help="The legal basis your garage determined.")],
    purpose: Annotated[str | None, typer.Option(help="The purpose in your garage's own words.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say on which legal basis, and what for, your garage processes data."""
    client = sign_in_from_environment()
    key = {"garage_id": active_garage(client)["id"], "processing": processing}
    value = {"basis": basis.value, "purpose": purpose}
    table = client.table("legal_bases")
    rows = records(table.update(value).match(key).execute().data)
    if not rows:
        rows = records(table.insert({**key, **value}).execute().data)
    emit(
        rows[0],
        as_json=as_json,
        quiet=quiet,
        id_field="processing",
        columns=("processing", "basis", "purpose"),
    )
