"""`autexor garage`: what is registered of the garage one works at, and which one that is."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, my_garages, readable
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Look at your garage's data and settings, and change them.")


class Setting(StrEnum):
    """What garage.write may change; the rest of the registration is the operator's to change."""

    TRADE_NAME = "trade_name"
    STREET = "street"
    POSTAL_CODE = "postal_code"
    CITY = "city"
    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    BIC = "bic"
    LOCALE = "locale"
    TIME_ZONE = "time_zone"
    ACCENT_COLOR = "accent_color"
    LOGO_SHA256 = "logo_sha256"
    PAYMENT_DAYS = "payment_days"
    PORTAL_IDLE_MINUTES = "portal_idle_minutes"
    PORTAL_SESSION_HOURS = "portal_session_hours"


@app.command("show")
def show_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show the registration and settings of your garage."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    found = client.table("garages").select("*").eq("id", garage["id"]).execute()
    emit(readable(found.data, "garage.read")[0], as_json=as_json, quiet=quiet)


@app.command("set")
def set_command(
    key: Annotated[Setting, typer.Argument(help="Which setting.")],
    value: Annotated[str, typer.Argument(help='Its new value; "" takes one away that may be absent.')],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Change one setting of your garage."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    changed = client.table("garages").update({key.value: value or None}).eq("id", garage["id"]).execute()
    row = readable(changed.data, "garage.write")[0]
    emit(row, as_json=as_json, quiet=quiet, columns=("trade_name", key.value))


@app.command("list")
def list_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the garages you work for, and which one your commands are about."""
    rows = my_garages(sign_in_from_environment())
    emit(rows, as_json=as_json, quiet=quiet, columns=("trade_name", "role", "is_active"))


@app.command("switch")
def switch_command(
    name: Annotated[str, typer.Argument(help="Its trade name or id, from `autexor garage list`.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Choose the garage that your next commands (and sign-ins) are about."""
    client = sign_in_from_environment()
    garage = _only(my_garages(client), name)
    client.rpc("switch_garage", {"garage_id": garage["id"]}).execute()
    emit({**garage, "is_active": True}, as_json=as_json, quiet=quiet, columns=("trade_name", "role"))


def _only(garages: list[Record], name: str) -> Record:
    wanted = name.strip().casefold()
    found = [garage for garage in garages if wanted in (garage["trade_name"].casefold(), garage["id"])]
    if len(found) != 1:
        raise CommandFailed(
            "garage_not_found",
            f"You work for {'several garages' if found else 'no garage'} called {name}",
            f"{len(found)} of your {len(garages)} garage(s) match",
            "Take the name or id from `autexor garage list --json`",
        )
    return found[0]
