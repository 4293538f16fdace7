"""`autexor providers`: the accounts a garage sends by, and how much it sends by a channel."""

import re
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed, Misuse
from cli.lookups import Record, active_garage, records
from cli.output import JsonFlag, QuietFlag, emit, progress

app = typer.Typer(no_args_is_help=True, help="Set up the accounts your garage sends by, and their limits.")

ACCOUNT = (
    "id,channel,provider,sender_address,sender_name,host,port,security,username,account_sid,secret_tail,"
    "is_active,test_status,test_reason,tested_at,created_at"
)
SHOWN = ("channel", "provider", "sender_address", "secret_tail", "test_status", "test_reason")
LIMITS = ("channel", "daily_limit", "recipient_daily_limit", "quiet_from", "quiet_until")
QUIET_HOURS = re.compile(r"(\d{1,2}:\d{2})-(\d{1,2}:\d{2})")
PATIENCE_SECONDS = 60


class Sending(StrEnum):
    """By what an account sends."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"


class Limited(StrEnum):
    """What can be limited."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    PUSH = "push"


class Provider(StrEnum):
    """Who sends."""

    SENDGRID = "sendgrid"
    SMTP = "smtp"
    TWILIO = "twilio"


Channel = Annotated[Sending, typer.Argument(help="By what it sends.")]
WebhookKey = Annotated[str | None, typer.Option(help="SendGrid's public key for its event webhook.")]
From = Annotated[
    str, typer.Option("--from", help="The sender: an e-mail address, a number (+32…) or MG… at Twilio.")
]


@app.command("list")
def list_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the accounts in use; keys are never shown, but for their last characters."""
    rows = _accounts(sign_in_from_environment())
    emit(rows, as_json=as_json, quiet=quiet, columns=SHOWN)


@app.command("set")
def set_command(
    channel: Channel,
    provider: Annotated[Provider, typer.Argument(help="Who sends.")],
    sender: From,
    name: Annotated[str | None, typer.Option(help="The sender's name; else your trade name.")] = None,
    host: Annotated[str | None, typer.Option(help="Of a mail server.")] = None,
    port: Annotated[int | None, typer.Option(help="Of a mail server: 465 or 587.")] = None,
    security: Annotated[str | None, typer.Option(help="Of a mail server: tls or starttls.")] = None,
    username: Annotated[str | None, typer.Option(help="Of a mail server.")] = None,
    account_sid: Annotated[str | None, typer.Option(help="Of Twilio: AC….")] = None,
    webhook_key: WebhookKey = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Send by this account from now on; the key is asked for, or read from stdin, never an argument."""
    client = sign_in_from_environment()
    values = {
        "channel": channel.value,
        "provider": provider.value,
        "secret": _secret(),
        "sender_address": sender,
        "sender_name": name,
        "host": host,
        "port": port,
        "security": security,
        "username": username,
        "account_sid": account_sid,
        "webhook_public_key": webhook_key,
    }
    client.rpc("set_provider_account", values).execute()
    emit(_in_use(client, channel), as_json=as_json, quiet=quiet, columns=SHOWN)


@app.command("rotate")
def rotate_command(
    channel: Channel, webhook_key: WebhookKey = None, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Give the account in use a new key; it is asked for, or read from stdin. Its id stays."""
    client = sign_in_from_environment()
    account = _in_use(client, channel)
    values = {
        "provider_account_id": account["id"],
        "secret": _secret(),
        "webhook_public_key": webhook_key,
    }
    client.rpc("replace_provider_secret", values).execute()
    emit(_in_use(client, channel), as_json=as_json, quiet=quiet, columns=SHOWN)


@app.command("remove")
def remove_command(
    channel: Channel, yes: YesFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Take the account out of use and forget its key; mails then go by Autexor's account, texts stop."""
    client = sign_in_from_environment()
    account, garage = _in_use(client, channel), active_garage(client)
    confirm(f"Stop sending {channel.value} by {account['provider']} for {garage['trade_name']}?", yes)
    client.rpc("remove_provider_account", {"provider_account_id": account["id"]}).execute()
    emit({**account, "is_active": False}, as_json=as_json, quiet=quiet, columns=(*SHOWN[:3], "is_active"))


@app.command("test")
def test_command(
    channel: Channel,
    recipient: Annotated[str, typer.Argument(help="Where to: your own address or number.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Send a test message by the account in use, and wait for what becomes of it."""
    client = sign_in_from_environment()
    account = _in_use(client, channel)
    values = {"provider_account_id": account["id"], "recipient": recipient}
    communication = str(client.rpc("test_provider_account", values).execute().data)
    with progress("Waiting for the provider"):
        status, reason = _outcome(client, communication)
    if status not in ("sent", "delivered", "read"):
        raise CommandFailed(
            "provider_test_failed",
            f"The test by {account['provider']} did not go out: {status}",
            reason or "no worker took it within a minute",
            "Check key, sender and settings, then `autexor providers rotate` or `set`",
        )
    emit(_in_use(client, channel), as_json=as_json, quiet=quiet, columns=SHOWN)


@app.command("limits")
def limits_command(
    channel: Annotated[Limited | None, typer.Argument(help="What to limit; none lists all.")] = None,
    daily: Annotated[int | None, typer.Option(help="Messages a day.")] = None,
    per_recipient: Annotated[int | None, typer.Option(help="Messages a day to one address.")] = None,
    quiet_hours: Annotated[
        str | None, typer.Option(help='Garage time, for example 21:00-08:00; "" for none.')
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show how much is sent by a channel and when it keeps quiet, or change it."""
    client = sign_in_from_environment()
    table = client.table("channel_settings")
    changes = _changes(daily, per_recipient, quiet_hours)
    if channel is None:
        if changes:
            raise Misuse("channel_missing", "Nothing was changed", "no channel is named", "Name one: email")
        rows = records(table.select(",".join(LIMITS)).order("channel").execute().data)
    else:
        key = {"garage_id": active_garage(client)["id"], "channel": channel.value}
        if changes and not records(table.update(changes).match(key).execute().data):
            table.insert({**key, **changes}).execute()
        rows = records(table.select(",".join(LIMITS)).match(key).execute().data)
    emit(rows, as_json=as_json, quiet=quiet, id_field="channel", columns=LIMITS)


def _changes(daily: int | None, per_recipient: int | None, quiet_hours: str | None) -> Record:
    changes: Record = {"daily_limit": daily, "recipient_daily_limit": per_recipient}
    changes = {name: value for name, value in changes.items() if value is not None}
    if quiet_hours is not None:
        match = QUIET_HOURS.fullmatch(quiet_hours.strip())
        if quiet_hours.strip() and match is None:
            raise Misuse(
                "quiet_hours_invalid",
                "Nothing was changed",
                f'"{quiet_hours}" is no time of day to another',
                "Write it as 21:00-08:00",
            )
        start, end = match.groups() if match else (None, None)
        changes |= {"quiet_from": start, "quiet_until": end}
    return changes


def _secret() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Key", hide_input=True, err=True)).strip()
    secret = sys.stdin.readline().strip()
    if not secret:
        raise Misuse(
            "secret_missing",
            "Nothing was changed",
            "no key came by stdin",
            "Pipe it in, or run this on a terminal",
        )
    return secret


def _accounts(client: Client) -> list[Record]:
    found = client.table("provider_accounts").select(ACCOUNT).eq("is_active", True).order("channel").execute()
    return records(found.data)


def _in_use(client: Client, channel: Sending) -> Record:
    for account in _accounts(client):
        if account["channel"] == channel.value:
            return account
    raise CommandFailed(
        "provider_account_not_found",
        f"No account for {channel.value} is in use",
        "your garage has none, or you lack the permission providers.read",
        f"Set one up with `autexor providers set {channel.value}`",
    )


def _outcome(client: Client, communication_id: str) -> tuple[str, str | None]:
    """The status of a communication once it left the queue, and why; `queued` after a minute."""
    query = client.table("communications").select("status,last_error").eq("id", communication_id)
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = records(query.execute().data)[0]
        if row["status"] not in ("queued", "sending") or row["last_error"] or time.monotonic() > ends:
            return row["status"], row["last_error"]
        time.sleep(0.3)
