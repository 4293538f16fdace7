"""`autexor modules`: which parts of Autexor the garage uses."""

from typing import Annotated

import typer

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.lookups import Record, active_garage, readable, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Switch parts of Autexor on and off for your garage.")

Module = Annotated[str, typer.Argument(help="A module's name, from `autexor modules list`.")]
SHOWN = ("module", "is_enabled")


@app.command("list")
def list_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the modules and whether your garage has them on."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    found = client.table("garage_modules").select("module,is_enabled,updated_at").order("module").execute()
    rows = readable(found.data, "garage.read")
    emit(rows, as_json=as_json, quiet=quiet, id_field="module", columns=SHOWN, title=garage["trade_name"])


@app.command("enable")
def enable_command(module: Module, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Switch a module on; what waited for it is taken up."""
    emit(_switch(module, True, yes=True), as_json=as_json, quiet=quiet, id_field="module", columns=SHOWN)


@app.command("disable")
def disable_command(
    module: Module, yes: YesFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Switch a module off: it closes to staff and customers, and nothing of it is lost."""
    emit(_switch(module, False, yes=yes), as_json=as_json, quiet=quiet, id_field="module", columns=SHOWN)


def _switch(module: str, is_enabled: bool, *, yes: bool) -> Record:
    client = sign_in_from_environment()
    garage = active_garage(client)
    confirm(f'Switch the module "{module}" of {garage["trade_name"]} off for staff and customers?', yes)
    table, value = client.table("garage_modules"), {"is_enabled": is_enabled}
    changed = records(table.update(value).eq("garage_id", garage["id"]).eq("module", module).execute().data)
    if not changed:
        # Newer than the garage, or not a module at all: the database knows which.
        changed = records(table.insert({"garage_id": garage["id"], "module": module, **value}).execute().data)
    return changed[0]
