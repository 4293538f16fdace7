"""One shape for every log line: `event.dotted_name key=value …`, ids and counts only."""

from __future__ import annotations


def event(name: str, **fields: object) -> str:
    """The log line of one event; a value with spaces is quoted, None is left out."""
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items() if value is not None)])


def _value(value: object) -> str:
    text = " ".join(str(value).split())
    return f'"{text}"' if " " in text or not text else text
