"""The wording that ships, from `workers/templates/messages`: in the dialect that garages write, too."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Template

from workers.core.accounts import Wording
from workers.core.kinds import KINDS, Channel, MessageKind
from workers.core.payload import Locale
from workers.core.templating import template

_HEADER = "Subject: "


@cache
def shipped(kind: MessageKind, channel: Channel, locale: Locale) -> Wording:
    """The wording that is used where a garage has none of its own; its version is that of the kind."""
    subject, text = None, _source(kind, locale, channel)
    if text.startswith(_HEADER):
        first, text = text.split("\n\n", 1)
        subject = first.removeprefix(_HEADER)
    html = _source(kind, locale, "html") if channel == "email" else None
    return Wording(version=KINDS[kind].shipped, subject=subject, text=text, html=html, content_sid=None)


def layout() -> Template:
    """The document around the HTML of a mail."""
    return template("messages/layout.html.j2")


def _source(kind: MessageKind, locale: Locale, part: str) -> str:
    path = files("workers") / "templates" / "messages" / f"{kind}.{locale}.{part}.j2"
    return path.read_text(encoding="utf-8")
