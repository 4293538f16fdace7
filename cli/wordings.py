"""Templates as the command line handles them: from files, as rows, tried with sample data."""

import sys
from pathlib import Path

from cli.errors import CommandFailed, Misuse
from cli.lookups import Record
from workers.core.accounts import Wording
from workers.core.checking import preview
from workers.core.gsm import measure
from workers.core.kinds import GARAGE_KINDS, Channel, MessageKind
from workers.core.payload import LOCALES, Locale
from workers.core.sandbox import WordingRefused
from workers.core.shipped import shipped


def all_shipped() -> list[Record]:
    """Every template that ships, as a row."""
    return [
        shipped_row(kind, channel, locale)
        for kind, about in GARAGE_KINDS.items()
        for channel in about.channels
        for locale in LOCALES
    ]


def shipped_row(kind: MessageKind, channel: Channel, locale: Locale) -> Record:
    """A template that ships, as a row of the table."""
    wording = shipped(kind, channel, locale)
    return {
        **{"id": None, "kind": kind, "channel": channel, "locale": locale, "version": wording.version},
        **{"status": "shipped", "problem": None, "subject": wording.subject, "body_text": wording.text},
        **{"body_html": wording.html, "content_sid": None, "created_at": None},
    }


def wording_of(row: Record) -> Wording:
    """A row's wording."""
    return Wording(
        version=row["version"],
        subject=row["subject"],
        text=row["body_text"],
        html=row["body_html"],
        content_sid=row["content_sid"],
    )


def parameters(kind: MessageKind, channel: Channel, locale: Locale, wording: Wording) -> Record:
    """What `save_message_template` wants."""
    return {
        **{"kind": kind, "channel": channel, "locale": locale, "body_text": wording.text},
        **{"subject": wording.subject, "body_html": wording.html, "content_sid": wording.content_sid},
    }


def read_wording(text: str, subject: str | None, html: str | None, content_sid: str | None) -> Wording:
    """A wording from files; raises Misuse."""
    body = _source(text)
    markup = None if html is None else _source(html)
    return Wording(version=1, subject=subject, text=body, html=markup, content_sid=content_sid)


def _source(name: str) -> str:
    try:
        source = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(
            "template_unreadable",
            f"The file {name} cannot be read",
            error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8",
            "Name a text file, or - for stdin",
        ) from None
    return source.strip("\n")


def previewed(kind: MessageKind, channel: Channel, locale: Locale, wording: Wording) -> Record:
    """A wording with sample data, and how long it is by SMS; raises CommandFailed."""
    try:
        said = preview(kind, channel, locale, wording)
    except WordingRefused as refusal:
        raise refused(refusal.problem) from None
    size = measure(said.text) if channel == "sms" else None
    return {
        **{"kind": kind, "channel": channel, "locale": locale, "subject": said.subject or None},
        **{"text": said.text, "html": said.html or None},
        "encoding": size.encoding if size else None,
        "characters": size.characters if size else len(said.text),
        "segments": size.segments if size else None,
        "not_in_gsm": list(size.foreign) if size else None,
        "content_text": said.content_text,
        "variables": dict(said.variables) or None,
    }


def refused(problem: str) -> CommandFailed:
    """The failure that says why a template cannot be used."""
    return CommandFailed(
        "template_refused",
        "This template cannot be used",
        problem,
        "Correct it; docs/templates.md has all names",
    )


def refuse_unsent(kind: MessageKind, channel: Channel) -> None:
    """Raises Misuse for what no garage words, and for a channel that such a message is not sent by."""
    if kind not in GARAGE_KINDS:
        raise Misuse(
            "words_are_ours",
            f"{kind} is not in the words of a garage",
            "in this message Autexor itself speaks",
            "See `autexor templates list --all` for the kinds",
        )
    if channel not in GARAGE_KINDS[kind].channels:
        raise Misuse(
            "channel_not_of_kind",
            f"{kind} is not sent by {channel}",
            f"it goes by {', '.join(GARAGE_KINDS[kind].channels)}",
            "Choose one of these with --channel",
        )
