"""From a wording and what is known of a message to its parts: one way for what ships and what is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from workers.core.accounts import Wording
from workers.core.filters import one_line
from workers.core.fragments import rebuilt
from workers.core.gsm import plain
from workers.core.kinds import KINDS, Channel, MessageKind
from workers.core.payload import Locale, Payload
from workers.core.sandbox import WordingRefused, check_plain, placeholders, render
from workers.core.shipped import layout
from workers.core.stopping import footer

LONGEST_SUBJECT = 200
LONGEST_TEXT = 30_000
# Twilio refuses more with its error 21617.
LONGEST_SHORT_TEXT = 1_600
# What the lock screens of phones still show.
LONGEST_PUSH_TITLE, LONGEST_PUSH_BODY = 65, 178

_OWN_ADDRESSES = ("portal_url", "link", "invitation_url")
_NAMES = ("garage_name", "customer_name", "inviter_name", "vehicle", "plate")
_STOP = re.compile(r"\bSTOP\b")
# What mail programs make into a link.
_LINK = re.compile(r"://|www\.|mailto:|\.[a-z]{2,}[/?#:@]|@[\w-]+\.", re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """A rendered message; `variables` and `content_text` are of WhatsApp's approved template."""

    subject: str
    text: str
    html: str
    variables: Mapping[str, str] = field(default_factory=dict)
    content_text: str | None = None


@dataclass(frozen=True)
class Draft:
    """What is to be rendered; `is_ours` is the wording that ships, which cannot be refused."""

    kind: MessageKind
    channel: Channel
    locale: Locale
    garage_name: str
    wording: Wording
    values: Payload
    is_ours: bool
    opt_out_url: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """The values by name, each a single line, and the language."""
        values = {key: one_line(value) if isinstance(value, str) else value for key, value in self.values}
        return {**values, "locale": self.locale}

    @property
    def names(self) -> frozenset[str]:
        """What the wording may name."""
        return frozenset(type(self.values).model_fields)

    @property
    def stop(self) -> str | None:
        """How to get no more of these."""
        return footer(self.kind, self.channel, self.locale, one_line(self.garage_name), self.opt_out_url)


def parts(draft: Draft) -> Parts:
    """The parts of a message, its footer included; raises WordingRefused."""
    told = draft.told
    if KINDS[draft.kind].is_about_access and not draft.is_ours:
        _keep_secret(draft)
    with _part("subject"):
        subject = _subject(draft, told)
    with _part("text"):
        text = _text(draft, told)
        content, variables = _content(draft, told)
        # What WhatsApp approved goes out as it is.
        needs_stop = content is None and draft.stop is not None and draft.stop not in text
    with _part("html"):
        html = _html(draft, told, text, subject) if draft.channel == "email" else ""
    text = _with_footer(text, draft.stop if needs_stop else None, draft.channel)
    return Parts(subject, text, html, variables, content)


def _subject(draft: Draft, told: dict[str, Any]) -> str:
    if draft.channel not in ("email", "push"):
        return ""
    said = one_line(" ".join(render(draft.wording.subject or "", told, draft.names).split()))
    longest = LONGEST_SUBJECT if draft.channel == "email" else LONGEST_PUSH_TITLE
    _measure(said, longest, draft.is_ours)
    return said


def _text(draft: Draft, told: dict[str, Any]) -> str:
    said = _tidy(render(draft.wording.text, told, draft.names))
    if draft.channel == "sms":
        said = plain(said)
    longest = {"email": LONGEST_TEXT, "push": LONGEST_PUSH_BODY}.get(draft.channel, LONGEST_SHORT_TEXT)
    _measure(said, longest - len(draft.stop or "") - 4, draft.is_ours)
    _must_say(draft, told, said)
    return said


def _measure(said: str, longest: int, is_ours: bool) -> None:
    if is_ours:
        return
    if not said:
        raise WordingRefused("it says nothing")
    if len(said) > longest:
        raise WordingRefused(f"what it says is longer than {longest} characters")


def _must_say(draft: Draft, told: dict[str, Any], said: str) -> None:
    needed = KINDS[draft.kind].must_say
    if needed and not draft.is_ours and told[needed] not in said:
        raise WordingRefused(f"without {needed} this message is of no use")


def _with_footer(text: str, stop: str | None, channel: Channel) -> str:
    if stop:
        text += f"\n\n--\n{stop}" if channel == "email" else f"\n{stop}"
    return text + "\n" if channel == "email" else text


def _content(draft: Draft, told: dict[str, Any]) -> tuple[str | None, Mapping[str, str]]:
    """The text of WhatsApp's approved template, and what goes into its numbered places."""
    if draft.wording.content_sid is None:
        return None, {}
    content, said = placeholders(draft.wording.text, told, draft.names)
    # Not these very words: what was approved a year ago stays good.
    if draft.stop and not _STOP.search(content):
        raise WordingRefused(f'an approved template must say how to stop, for example "{draft.stop}"')
    return _tidy(content), {str(n): one_line(value) or "-" for n, value in enumerate(said, 1)}


def _html(draft: Draft, told: dict[str, Any], text: str, subject: str) -> str:
    own = _own_addresses(told)
    if draft.wording.html is None:
        inner = _paragraphs(text, own)
    else:
        inner = render(draft.wording.html, told, draft.names, is_html=True).strip()
        if not draft.is_ours:
            inner = rebuilt(inner, own, only_own=KINDS[draft.kind].is_about_access)
            _must_say(draft, {key: escape(value) for key, value in told.items()}, inner)
    values = {"locale": draft.locale, "title": subject, "garage_name": one_line(draft.garage_name)}
    return layout().render(content=Markup(inner), footer=_footer_html(draft), **values).strip() + "\n"


def _footer_html(draft: Draft) -> Markup:
    if draft.stop is None:
        return Markup("")
    why, label, address = draft.stop.split("\n")
    return Markup('{} <a href="{}" style="color:#5b6773">{}</a>').format(why, address, label)


def _own_addresses(told: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(told[name] for name in _OWN_ADDRESSES if name in told)


def _paragraphs(text: str, own: tuple[str, ...]) -> str:
    """A mail's text as HTML: a paragraph for each block of lines, our addresses as links."""
    said = str(escape(text))
    for address in dict.fromkeys(own):
        shown = str(escape(address))
        said = said.replace(shown, f'<a href="{shown}">{shown}</a>')
    return "\n".join(f"<p>{block.replace(chr(10), '<br>')}</p>" for block in said.split("\n\n"))


def _keep_secret(draft: Draft) -> None:
    """A wording must carry the link or code of a message about access nowhere but to whom it is for.

    It says the same to everybody, so that it can be looked at with names that are not like addresses. Its
    subject, which many see, has neither link nor code.
    """
    told = {key: "X" if key in _NAMES else value for key, value in draft.told.items()}
    secret = {"link", "code", "invitation_url"}
    for part, source, names in (
        ("subject", draft.wording.subject, draft.names - secret),
        ("text", draft.wording.text, draft.names),
        ("html", draft.wording.html, draft.names),
    ):
        is_html = part == "html"
        with _part(part):
            check_plain(source or "", names, is_html=is_html)
            said = render(source or "", told, names, is_html=is_html)
            for address in _own_addresses(told):
                said = said.replace(str(escape(address)) if is_html else address, " ")
            if _LINK.search(said):
                raise WordingRefused("a message about access leads nowhere but to its own link")


def _tidy(text: str) -> str:
    """Lines without trailing space, controls or more than one empty line between them."""
    kept = "".join(
        c for c in text.replace("\t", " ") if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs")
    )
    lines = "\n".join(line.rstrip() for line in kept.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


@contextmanager
def _part(name: str) -> Iterator[None]:
    """Name the part in what is refused inside."""
    try:
        yield
    except WordingRefused as refusal:
        refusal.part = refusal.part or name
        raise
