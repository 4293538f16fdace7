"""Whether a wording can be used: it is rendered with samples, by the code that renders messages."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from workers.core.accounts import Wording
from workers.core.kinds import KINDS, Channel, MessageKind
from workers.core.payload import Locale, Payload
from workers.core.rendering import Draft, Parts, parts
from workers.core.sandbox import WordingRefused
from workers.core.stopping import EXAMPLE
from workers.core.values import PORTAL_EVENTS
from workers.core.variables import NoVariables

# Names that try to be more than names; the longest that there are.
_ODD: dict[str, Any] = {
    "garage_name": "D’Hondt & Zoon <b>\"Garage\"</b> {{ 7 }} 'NV'",
    "customer_name": "Zoë 'O’Neill' <script>alert(1)</script> & Çelik – " + "van der Straeten " * 4,
    "inviter_name": 'Łukasz <i>"Wiśniewski"</i>',
    "vehicle": "Citroën C3 & <u>more</u>",
    "days_overdue": 1,
    "gross_total": Decimal("-9999999.99"),
    "open_amount": Decimal("9999999.99"),
}


def variables_of(kind: MessageKind, channel: Channel) -> type[Payload]:
    """What a wording of this kind may name by this channel: nothing in a push, which others see."""
    return NoVariables if channel == "push" else KINDS[kind].variables


def sample(kind: MessageKind, channel: Channel, locale: Locale) -> Payload:
    """The values of a preview: the examples of the variables."""
    return _filled(variables_of(kind, channel), locale)


def preview(kind: MessageKind, channel: Channel, locale: Locale, wording: Wording) -> Parts:
    """A wording with the sample; raises WordingRefused."""
    return parts(_draft(kind, channel, locale, wording, sample(kind, channel, locale)))


def problem_of(kind: MessageKind, channel: Channel, locale: Locale, wording: Wording) -> str | None:
    """Why a wording cannot be used, by part and line; None when it can."""
    if channel not in KINDS[kind].channels:
        return "such a message is not sent by this channel"
    if (channel == "email" and not wording.subject) or (channel != "email" and wording.html is not None):
        return "a mail has a subject, and only a mail has HTML"
    for values in _samples(variables_of(kind, channel), locale):
        try:
            parts(_draft(kind, channel, locale, wording, values))
        except WordingRefused as refusal:
            return refusal.problem
        except Exception as error:  # noqa: BLE001 - whatever it is, such a wording is not used
            return type(error).__name__
    return None


def _draft(kind: MessageKind, channel: Channel, locale: Locale, wording: Wording, values: Payload) -> Draft:
    garage = str(getattr(values, "garage_name", ""))
    return Draft(kind, channel, locale, garage, wording, values, is_ours=False, opt_out_url=EXAMPLE)


def _samples(model: type[Payload], locale: Locale) -> Iterator[Payload]:
    """As usual; with all that may be absent absent; with odd names and amounts."""
    yield _filled(model, locale)
    yield _filled(model, locale, _absent(model))
    yield _filled(model, locale, {key: value for key, value in _ODD.items() if key in model.model_fields})


def _absent(model: type[Payload]) -> dict[str, Any]:
    absent: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if field.annotation is bool:
            absent[name] = False
        elif type(None) in getattr(field.annotation, "__args__", ()):
            absent[name] = None
        elif field.annotation is Decimal:
            absent[name] = Decimal(0)
    return absent


def _filled(model: type[Payload], locale: Locale, changes: dict[str, Any] | None = None) -> Payload:
    values = {name: (field.examples or [None])[0] for name, field in model.model_fields.items()}
    if "said" in values:
        values["said"] = PORTAL_EVENTS["pin_changed"][locale]
    return model.model_validate(values | (changes or {}))
