"""`autexor templates`: what a garage's messages say, in its own words or those that ship."""

import time
from typing import Annotated, Any

import typer
from supabase import Client

from cli.asking import YesFlag, confirm
from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, readable, records
from cli.output import JsonFlag, QuietFlag, emit, emit_words, progress, tell
from cli.template_options import (
    ChannelOption,
    ContentSidOption,
    HtmlOption,
    KindArgument,
    LocaleOption,
    PartOption,
    ShippedFlag,
    SubjectOption,
    TextOption,
)
from cli.wordings import (
    all_shipped,
    parameters,
    previewed,
    read_wording,
    refuse_unsent,
    refused,
    shipped_row,
    wording_of,
)
from workers.core.checking import problem_of
from workers.core.kinds import Channel, MessageKind
from workers.core.payload import Locale
from workers.core.shipped import shipped

app = typer.Typer(no_args_is_help=True, help="Write, try and look at what your messages say.")

LISTED = ("kind", "channel", "locale", "status", "version", "problem", "created_at")
FIELDS = "id,kind,channel,locale,version,status,problem,subject,body_text,body_html,content_sid,created_at"
WAIT_SECONDS = 30.0


@app.command("list")
def list_command(
    all_: Annotated[bool, typer.Option("--all", help="Those that ship, too, and older versions.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List your templates: the one in use, and newer ones that wait or were refused."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    rows = [_told(row) for row in _saved(client)]
    if all_:
        taken = {(r["kind"], r["channel"], r["locale"]) for r in rows if r["status"] == "live"}
        rows += [_told(row) for row in all_shipped() if _key(row) not in taken]
    else:
        rows = [row for row in rows if row["status"] != "retired"]
    rows.sort(key=lambda row: (*_key(row), -(row["version"] or 0)))
    emit(rows, as_json=as_json, quiet=quiet, columns=LISTED, title=garage["trade_name"])


@app.command("show")
def show_command(
    kind: KindArgument,
    channel: ChannelOption = "email",
    locale: LocaleOption = "nl",
    version: Annotated[int | None, typer.Option(help="One of your versions; else the one in use.")] = None,
    part: PartOption = None,
    is_shipped: ShippedFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the source of a template: yours, else the one that ships, to begin with."""
    refuse_unsent(kind, channel)
    row = shipped_row(kind, channel, locale) if is_shipped else _used(kind, channel, locale, version)
    if as_json:
        emit(row, as_json=True)
    elif part:
        emit_words(str(row["subject" if part == "subject" else f"body_{part}"] or ""))
    else:
        origin = "ships" if row["status"] == "shipped" else "yours"
        tell(f"{kind}, {channel}, {locale}: version {row['version']} ({origin}, {row['status']})")
        _say(row["subject"], row["body_text"], row["body_html"])


@app.command("preview")
def preview_command(
    kind: KindArgument,
    channel: ChannelOption = "email",
    locale: LocaleOption = "nl",
    text: TextOption = None,
    subject: SubjectOption = None,
    html: HtmlOption = None,
    content_sid: ContentSidOption = None,
    part: PartOption = None,
    is_shipped: ShippedFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show a message with sample data: of files, else of the template in use.

    Of an SMS it tells the encoding and how many segments are charged.
    """
    refuse_unsent(kind, channel)
    if text is not None:
        wording = read_wording(text, subject, html, content_sid)
    elif is_shipped:
        wording = shipped(kind, channel, locale)
    else:
        wording = wording_of(_used(kind, channel, locale, None))
    row = previewed(kind, channel, locale, wording)
    if as_json:
        emit(row, as_json=True)
    elif part:
        emit_words(str(row[part] or ""))
    else:
        _say(row["subject"], row["text"], None)
        _tell_size(row)


@app.command("save")
def save_command(
    kind: KindArgument,
    text: Annotated[str, typer.Option("--text", help="A file with the text; - is stdin.")],
    channel: ChannelOption = "email",
    locale: LocaleOption = "nl",
    subject: SubjectOption = None,
    html: HtmlOption = None,
    content_sid: ContentSidOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the verdict.")] = WAIT_SECONDS,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Save a new version; it is used once a worker has tried it.

    It is tried here first: what cannot be used is not even sent.
    """
    refuse_unsent(kind, channel)
    wording = read_wording(text, subject, html, content_sid)
    problem = problem_of(kind, channel, locale, wording)
    if problem:
        raise refused(problem)
    client = sign_in_from_environment()
    saved = client.rpc("save_message_template", parameters(kind, channel, locale, wording)).execute()
    row = _verdict(client, _first(saved.data), wait)
    if row["status"] == "refused":
        raise refused(str(row["problem"]))
    emit(row, as_json=as_json, quiet=quiet, columns=LISTED)
    if row["status"] == "unchecked" and not as_json and not quiet:
        tell("No worker has tried it yet: it is used as soon as one has. See `autexor templates list`.")


@app.command("retire")
def retire_command(
    kind: KindArgument,
    channel: ChannelOption = "email",
    locale: LocaleOption = "nl",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Go back to the words that ship."""
    client = sign_in_from_environment()
    garage = active_garage(client)
    confirm(f"Let {garage['trade_name']} say {kind} ({channel}, {locale}) in the words that ship?", yes)
    named = {"kind": kind, "channel": channel, "locale": locale}
    count = client.rpc("retire_message_template", named).execute().data
    emit({**named, "retired": count}, as_json=as_json, quiet=quiet, id_field="kind")


def _saved(client: Client) -> list[Record]:
    found = client.table("message_templates").select(FIELDS).order("created_at", desc=True).execute()
    return records(found.data)


def _used(kind: MessageKind, channel: Channel, locale: Locale, version: int | None) -> Record:
    """The garage's live template or the version asked for, else what ships."""
    client = sign_in_from_environment()
    readable([active_garage(client)], "garage.read")
    asked = client.table("message_templates").select(FIELDS)
    asked = asked.eq("kind", kind).eq("channel", channel).eq("locale", locale)
    asked = asked.eq("status", "live") if version is None else asked.eq("version", version)
    found = records(asked.execute().data)
    if not found and version is not None:
        raise CommandFailed(
            "template_version_not_found",
            f"There is no version {version} of {kind} ({channel}, {locale})",
            "your garage has not saved it",
            "See `autexor templates list --all`",
        )
    return found[0] if found else shipped_row(kind, channel, locale)


def _key(row: Record) -> tuple[str, str, str]:
    return str(row["kind"]), str(row["channel"]), str(row["locale"])


def _told(row: Record) -> Record:
    return {name: row[name] for name in ("id", *LISTED)}


def _say(subject: Any, text: Any, html: Any) -> None:
    if subject:
        emit_words(f"Subject: {subject}\n")
    emit_words(str(text).rstrip("\n"))
    if html:
        emit_words(f"\n{html}")


def _tell_size(row: Record) -> None:
    if row["segments"] is not None:
        tell(f"{row['encoding']}, {row['characters']} characters, {row['segments']} segment(s).")
    if row["not_in_gsm"]:
        tell(f"Not in GSM-7, so that 70 characters fit instead of 160: {' '.join(row['not_in_gsm'])}")
    if row["content_text"]:
        tell(f"The approved template at Twilio has to say:\n{row['content_text']}")


def _first(data: object) -> Record:
    rows = data if isinstance(data, list) else [data]
    return records(rows)[0]


def _verdict(client: Client, saved: Record, seconds: float) -> Record:
    """The saved version once a worker has tried it, or as it is when the time is over."""
    until = time.monotonic() + seconds
    row = saved
    with progress("A worker tries it"):
        while row["status"] == "unchecked" and time.monotonic() < until:
            time.sleep(0.5)
            found = client.table("message_templates").select(FIELDS).eq("id", saved["id"]).execute()
            row = records(found.data)[0]
    return {**{name: row[name] for name in ("id", *LISTED)}}
