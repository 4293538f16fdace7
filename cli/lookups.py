"""What several nouns look up before they act: rows as records, the garage one works at, who is who."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from supabase import Client

from cli.errors import CommandFailed

Record = dict[str, Any]


def records(data: object) -> list[Record]:
    """What the API answered, as rows."""
    return cast(list[Record], data)


def readable(data: object, permission: str) -> list[Record]:
    """The rows of a list that is never empty to who may read it. Raises CommandFailed when it is."""
    rows = records(data)
    if not rows:
        raise CommandFailed(
            "permission_missing",
            f'This needs the permission "{permission}"',
            "the API shows you nothing of it",
            "Ask an owner or manager of the garage",
        )
    return rows


def older(query: Any, row: Record, at: str) -> Any:
    """What comes after this row in a list ordered by `at` and then `id`, both descending: the next page."""
    moment = f'"{row[at]}"'
    tie = f"{at}.lt.{moment},and({at}.eq.{moment},id.lt.{row['id']})"
    # By time first: that is how rows of a garage are indexed, and one transaction has one time.
    return query.lte(at, row[at]).or_(tie)


def time_zone(client: Client, garage: Record) -> ZoneInfo:
    """The time zone of the garage. Raises CommandFailed for who may not read its settings."""
    found = client.table("garages").select("time_zone").eq("id", garage["id"]).execute()
    return ZoneInfo(readable(found.data, "garage.read")[0]["time_zone"])


def in_garage_time(moment: str, zone: ZoneInfo, precision: str = "seconds") -> str:
    """What the API says of a moment, as the clock of the garage showed it."""
    shown = datetime.fromisoformat(moment).astimezone(zone).replace(tzinfo=None)
    return shown.isoformat(" ", precision)


def active_garage(client: Client) -> Record:
    """The garage that every command is about: its id, trade_name and the caller's role there."""
    for garage in my_garages(client):
        if garage["is_active"]:
            return garage
    raise CommandFailed(
        "no_active_garage",
        "You are signed in, but at no garage",
        "your account works for none, or no longer",
        "Ask an owner to invite you, or choose one with `autexor garage switch`",
    )


def my_garages(client: Client) -> list[Record]:
    """Every garage the caller works for."""
    return records(client.rpc("my_garages").execute().data)


def customer_named(client: Client, name: str) -> Record:
    """The customer with this e-mail address or id. Raises CommandFailed for none, or more than one."""
    is_address = "@" in name
    column, value = ("email", name.strip().lower()) if is_address else ("id", name.strip())
    found = client.table("customers").select("id,full_name,email,merged_into_id").eq(column, value)
    rows = records(found.execute().data) if is_address or _is_id(value) else []
    rows = [row for row in rows if row["merged_into_id"] is None or not is_address]
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise CommandFailed(
            "customer_ambiguous",
            f"{len(rows)} customers of your garage have the address {name}",
            "families and firms share addresses",
            "Write the id of the one you mean instead",
        )
    raise CommandFailed(
        "customer_not_found",
        f"No customer of your garage is {name}",
        "neither an address nor an id of one is like that",
        "Look the customer up in the list of customers",
    )


def _is_id(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def names(client: Client) -> dict[str, str]:
    """Actors of the logs, as far as the caller may know them: `staff:<id>` to a name and a role."""
    members = records(client.table("memberships").select("user_id,full_name,role").execute().data)
    accounts = records(client.table("portal_accounts").select("id,login").execute().data)
    support = records(client.table("support_grants").select("id,operator_id,operator_email").execute().data)
    return {
        **{f"support:{row['id']}": f"{row['operator_email']} (support)" for row in support},
        **{f"operator:{row['operator_id']}": f"{row['operator_email']} (Autexor)" for row in support},
        **{f"staff:{row['user_id']}": f"{row['full_name']} ({row['role']})" for row in members},
        **{f"customer:{row['id']}": f"{row['login']} (customer)" for row in accounts},
    }
