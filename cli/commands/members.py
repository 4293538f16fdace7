"""`autexor members`: who works for the garage, as what, and who is invited. People go by their e-mail."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, readable, records
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Invite people, change what they may do, and let them go.")

Email = Annotated[str, typer.Argument(help="The person's e-mail address.")]
Permission = Annotated[str, typer.Argument(help="For example audit.read; `members show` lists them.")]
SHOWN = ("email", "full_name", "role", "status", "granted", "denied")
PERSON = "id,email,full_name,role,deactivated_at,own:membership_permissions(permission,is_granted)"


class Role(StrEnum):
    """A bundle of permissions."""

    OWNER = "owner"
    MANAGER = "manager"
    RECEPTIONIST = "receptionist"
    MECHANIC = "mechanic"
    ACCOUNTANT = "accountant"


RoleArgument = Annotated[Role, typer.Argument(help="What they work as.")]


@app.command("list")
def list_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List everybody who works or worked for your garage, and who is invited."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    rows = [*readable(_people(client), "members.read"), *_open_invitations(client)]
    emit(rows, as_json=as_json, quiet=quiet, id_field="email", columns=SHOWN, title=garage["trade_name"])


@app.command("show")
def show_command(email: Email, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show one person and every permission they hold, and why."""
    client = sign_in_from_environment()
    person = _person(client, email)
    found = client.table("member_permissions").select("permission,source,is_held,module")
    permissions = records(found.eq("membership_id", person["id"]).order("permission").execute().data)
    row = {**person, "permissions": permissions}
    emit(row, as_json=as_json, quiet=quiet, id_field="email", columns=SHOWN)
    if not as_json and not quiet:
        emit(permissions, columns=("permission", "source", "is_held"))


@app.command("invite")
def invite_command(
    email: Email, role: RoleArgument, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Invite somebody by e-mail; the invitation holds for seven days, once."""
    client = sign_in_from_environment()
    client.rpc("invite_member", {"email": email, "role": role.value}).execute()
    _show(_invitation(client, email), as_json, quiet)


@app.command("resend")
def resend_command(email: Email, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Send an open invitation again, for seven days more; the link sent before is dead."""
    client = sign_in_from_environment()
    invitation = _invitation(client, email)
    client.rpc("resend_invitation", {"invitation_id": invitation["id"]}).execute()
    _show(_invitation(client, email), as_json, quiet)


@app.command("revoke-invitation")
def revoke_invitation_command(
    email: Email, yes: YesFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Take an open invitation back."""
    client = sign_in_from_environment()
    invitation = _invitation(client, email)
    garage = active_garage(client)["trade_name"]
    confirm(f"Take back the invitation of {invitation['email']} ({invitation['role']}) to {garage}?", yes)
    client.rpc("revoke_invitation", {"invitation_id": invitation["id"]}).execute()
    _show({**invitation, "status": "revoked"}, as_json, quiet)


@app.command("role")
def role_command(
    email: Email, role: RoleArgument, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Give somebody another role; their own grants and denials stay."""
    _change(email, "change_role", as_json, quiet, role=role.value)


@app.command("grant")
def grant_command(
    email: Email, permission: Permission, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Let somebody do what their role does not; you must hold it yourself."""
    _change(email, "grant_permission", as_json, quiet, permission=permission)


@app.command("deny")
def deny_command(
    email: Email, permission: Permission, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Take from somebody what their role may do."""
    _change(email, "deny_permission", as_json, quiet, permission=permission)


@app.command("reset")
def reset_command(
    email: Email, permission: Permission, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Forget a grant or denial of somebody: their role decides again."""
    _change(email, "reset_permission", as_json, quiet, permission=permission)


@app.command("deactivate")
def deactivate_command(
    email: Email, yes: YesFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Let somebody go, effective on their next request; their name stays in the history."""
    client = sign_in_from_environment()
    person = _person(client, email)
    garage = active_garage(client)["trade_name"]
    confirm(f"Deactivate {person['full_name']} ({person['email']}, {person['role']}) at {garage}?", yes)
    client.rpc("deactivate_member", {"membership_id": person["id"]}).execute()
    _show(_person(client, email), as_json, quiet)


@app.command("reactivate")
def reactivate_command(email: Email, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Let somebody work again, with the role and permissions they had."""
    _change(email, "reactivate_member", as_json, quiet)


def _change(email: str, function: str, as_json: bool, quiet: bool, **arguments: str) -> None:
    client = sign_in_from_environment()
    person = _person(client, email)
    client.rpc(function, {"membership_id": person["id"], **arguments}).execute()
    _show(_person(client, email), as_json, quiet)


def _show(row: Record, as_json: bool, quiet: bool) -> None:
    emit(row, as_json=as_json, quiet=quiet, id_field="email", columns=SHOWN)


def _people(client: Client) -> list[Record]:
    found = client.table("memberships").select(PERSON).order("full_name").order("id").execute()
    return [_described(row) for row in records(found.data)]


def _described(row: Record) -> Record:
    own = row.pop("own")
    return {
        **row,
        "status": "deactivated" if row["deactivated_at"] else "active",
        "granted": sorted(one["permission"] for one in own if one["is_granted"]),
        "denied": sorted(one["permission"] for one in own if not one["is_granted"]),
    }


def _open_invitations(client: Client) -> list[Record]:
    found = (
        client.table("invitations")
        .select("id,email,role,sent_count,expires_at")
        .is_("accepted_at", "null")
        .is_("revoked_at", "null")
        .order("email")
        .execute()
    )
    now = datetime.now(UTC)
    return [
        {
            **row,
            "full_name": None,
            "status": "invited" if datetime.fromisoformat(row["expires_at"]) > now else "invitation expired",
            "granted": [],
            "denied": [],
        }
        for row in records(found.data)
    ]


def _person(client: Client, email: str) -> Record:
    found = _named(_people(client), email)
    if not found:
        raise CommandFailed(
            "member_not_found",
            f"Nobody at your garage has the address {email}",
            "it is not among the addresses of those who work or worked there",
            "Look it up with `autexor members list`",
        )
    if len(found) > 1:
        raise CommandFailed(
            "member_ambiguous",
            f"{len(found)} people at your garage have the address {email}",
            "an address was given to somebody else after its owner had joined",
            "Write the id of the one you mean instead, from `autexor members list --json`",
        )
    return found[0]


def _invitation(client: Client, email: str) -> Record:
    found = _named(_open_invitations(client), email)
    if not found:
        raise CommandFailed(
            "invitation_not_found",
            f"No invitation of {email} is open",
            "it was accepted or revoked, or there never was one",
            "Look it up with `autexor members list`, or invite with `autexor members invite`",
        )
    return found[0]


def _named(rows: Iterable[Record], name: str) -> list[Record]:
    """The rows with this address, in whatever letters, or this id."""
    wanted = name.strip().lower()
    return [row for row in rows if wanted in (row["email"].lower(), row["id"])]
