"""`autexor suppressions`: addresses that take no more messages, and letting them have some again."""

from typing import Annotated
from uuid import UUID

import typer

from cli.client import sign_in_from_environment
from cli.lookups import records
from cli.output import JsonFlag, QuietFlag, emit, tell

app = typer.Typer(no_args_is_help=True, help="See who takes no more messages, and lift it.")

SHOWN = ("id", "channel", "address", "reason", "code", "since")


@app.command("list")
def list_command(
    everything: Annotated[bool, typer.Option("--all", help="Those that were lifted, too.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List addresses that bounced, complained, wrote STOP or cannot be reached, newest first."""
    query = sign_in_from_environment().table("suppressions").select("*").order("since", desc=True)
    found = query.execute() if everything else query.is_("lifted_at", "null").execute()
    columns = (*SHOWN, "lifted_at", "lift_reason") if everything else SHOWN
    emit(records(found.data), as_json=as_json, quiet=quiet, columns=columns)


@app.command("lift")
def lift_command(
    suppression_id: Annotated[
        UUID, typer.Argument(metavar="ID", help="Its id, from `autexor suppressions list`.")
    ],
    reason: Annotated[str, typer.Option(help="Why messages may go there again; it is kept.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Let messages go to an address again.

    A customer who wrote STOP has opted out besides: that stays until it is deleted at the customer, or
    until they write START.
    """
    arguments = {"suppression_id": str(suppression_id), "reason": reason}
    sign_in_from_environment().rpc("lift_suppression", arguments).execute()
    emit({"id": str(suppression_id), "is_lifted": True}, as_json=as_json, quiet=quiet)
    if not as_json and not quiet:
        tell("Lifted. What failed meanwhile is sent again with `autexor deliveries retry`.")
