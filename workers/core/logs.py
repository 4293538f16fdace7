"""One shape for every log line: `event.dotted_name key=value …`, ids and counts only."""

from __future__ import annotations

import traceback


def event(name: str, **fields: object) -> str:
    """The log line of one event; a value with spaces is quoted, None is left out."""
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items() if value is not None)])


def crash(error: Exception) -> dict[str, str]:
    """What may be logged of an exception nobody foresaw: its class and where; its text may be personal."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return {"error": type(error).__name__, "at": f"{where.filename.rpartition('/')[2]}:{where.lineno}"}


def _value(value: object) -> str:
    text = " ".join(str(value).split())
    return f'"{text}"' if " " in text or not text else text
