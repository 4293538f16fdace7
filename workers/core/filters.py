"""What a template can do with a value, in the language of the message."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from jinja2.runtime import Context
from jinja2.utils import pass_context
from markupsafe import Markup, escape

from workers.core import money
from workers.core.payload import Locale

LONGEST_VALUE = 4_000
_FACT = Markup(
    '<p style="margin:0 0 8px;padding-left:14px;border-left:3px solid #12365c">'
    '<span style="color:#5b6773">{label}</span><br><strong>{value}</strong></p>'
)
_BUTTON = Markup(
    '<p style="margin:20px 0"><a href="{url}" style="display:inline-block;padding:12px 20px;'
    "border-radius:6px;background-color:#12365c;color:#ffffff;text-decoration:none;"
    'font-weight:bold">{label}</a><br>'
    '<span style="font-size:14px;color:#5b6773">{url}</span></p>'
)


class TooLong(ValueError):
    """A value grew beyond what a message can hold."""


def shown(value: object, locale: Locale) -> Any:
    """A value as it is read: amounts, dates and moments in the language; nothing for None."""
    match value:
        case None:
            return ""
        case bool():
            return {"nl": ("nee", "ja"), "fr": ("non", "oui"), "en": ("no", "yes")}[locale][value]
        case Decimal():
            return money.amount(value, locale)
        case datetime():
            return money.long_moment(value, locale)
        case date():
            return money.long_date(value, locale)
        case str() if len(value) > LONGEST_VALUE:
            raise TooLong
        case _:
            return value


def one_line(text: str) -> str:
    """A value that cannot begin a line, a header or a text that runs the other way."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text if not _is_hidden(c))
    return "".join(kept).strip()[:LONGEST_VALUE]


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cs", "Cn", "Co") or character in _BIDI


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _localised(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter `(value, locale, *arguments)` that leaves nothing as nothing."""

    @pass_context
    def apply(context: Context, value: object, *arguments: object) -> Any:
        return "" if value is None else function(value, context["locale"], *arguments)

    return apply


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return _localised(lambda value, locale, *arguments: function(_text(value, locale), *arguments))


def _text(value: object, locale: Locale) -> str:
    found = shown(value, locale)
    return found if isinstance(found, str) else str(found)


def _money(value: object, locale: Locale) -> str:
    if not isinstance(value, Decimal | int) or isinstance(value, bool):
        raise TypeError("not an amount")
    return money.amount(Decimal(value), locale)


def _date(value: object, locale: Locale, style: str = "long") -> str:
    if not isinstance(value, date):
        raise TypeError("not a date")
    match style:
        case "long":
            return money.long_date(value, locale)
        case "short":
            return money.short_date(value)
        case "weekday":
            return format_date(value, "full", locale=money.CLDR[locale])
    raise ValueError("not a style of dates")


def _time(value: object, locale: Locale) -> str:
    if not isinstance(value, datetime):
        raise TypeError("not a moment")
    return f"{value:%H:%M}"


@pass_context
def _default(context: Context, value: object, other: object) -> object:
    return other if value is None or value == "" else value


@pass_context
def _fact(context: Context, value: object, label: object) -> Markup:
    locale = context["locale"]
    return _FACT.format(label=escape(shown(label, locale)), value=escape(shown(value, locale)))


@pass_context
def _button(context: Context, url: object, label: object) -> Markup:
    if not isinstance(url, str) or isinstance(url, Markup):
        raise TypeError("not an address")
    return _BUTTON.format(
        url=escape(shown(url, context["locale"])), label=escape(shown(label, context["locale"]))
    )


FILTERS: dict[str, Callable[..., Any]] = {
    "money": _localised(_money),
    "date": _localised(_date),
    "time": _localised(_time),
    "iban": _plain(money.iban_groups),
    "upper": _plain(str.upper),
    "lower": _plain(str.lower),
    "default": _default,
}
HTML_FILTERS: dict[str, Callable[..., Any]] = {"fact": _fact, "button": _button}
# What each is for, as docs/templates.md says it.
ABOUT_FILTERS: dict[str, tuple[str, str]] = {
    "money": ("An amount of euros; amounts are shown so anyway", "{{ gross_total|money }}"),
    "date": (
        'A date: "long" (as dates are shown anyway), "short" or "weekday"',
        '{{ due_date|date("weekday") }}',
    ),
    "time": ("The time of a moment", "{{ at|time }}"),
    "iban": ("An account number in groups of four", "{{ iban|iban }}"),
    "upper": ("In capitals", "{{ plate|upper }}"),
    "lower": ("In small letters", "{{ plate|lower }}"),
    "default": ("What to say when there is nothing", '{{ plate|default("–") }}'),
    "fact": ("Html: a value under its label", '{{ due_date|fact("Te betalen") }}'),
    "button": ("Html: a button that leads to an address", '{{ portal_url|button("Naar het portaal") }}'),
}
