"""One shape for every log line: `event.dotted_name key=value …`, ids and counts only; or one JSON object."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Event(str):
    """The line of one event, which still knows its parts."""

    __slots__ = ("fields", "name")
    name: str
    fields: Mapping[str, object]


def event(name: str, **fields: object) -> Event:
    """The log line of one event; a value with spaces is quoted, None is left out."""
    known = {key: value for key, value in fields.items() if value is not None}
    line = Event(" ".join([name, *(f"{key}={_value(value)}" for key, value in known.items())]))
    line.name, line.fields = name, known
    return line


def crash(error: BaseException) -> dict[str, str]:
    """What may be logged of an exception nobody foresaw: its class and where; its text may be personal."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__name__, "at": at}


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, event and its fields.

    What a library says is the field `message` of the event `log`; of an exception only its class and place
    are told.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, Event):
            line |= {"event": record.msg.name} | {key: _plain(x) for key, x in record.msg.fields.items()}
        else:
            line |= {"event": "log", "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            line |= crash(record.exc_info[1])
        return json.dumps(line)  # ASCII: no reader sees a break in U+2028 and the like


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float) else str(value)


def _value(value: object) -> str:
    text = " ".join(str(value).split())
    return f'"{text}"' if " " in text or not text else text
