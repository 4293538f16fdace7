"""Log lines: text for people, one JSON object a line for machines, never what a message says."""

import json
import logging

from workers.core.logs import JsonLines, event


def line(message: object, **more: object) -> dict[str, object]:
    values = {
        "name": "workers.loop",
        "levelno": logging.INFO,
        "levelname": "INFO",
        "msg": message,
        "args": (),
    }
    record = logging.makeLogRecord(values | more)
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_an_event_is_a_line_of_words_and_an_object() -> None:
    said = event("job.recorded", queue="send", attempt=2, reason=None, at="here and there")
    assert said == 'job.recorded queue=send attempt=2 at="here and there"'
    found = line(said)
    assert found | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "workers.loop",
        "event": "job.recorded",
        "queue": "send",
        "attempt": 2,
        "at": "here and there",
    }
    assert str(found["time"]).endswith("+00:00")


def test_a_line_never_breaks_in_two() -> None:
    record = logging.makeLogRecord({"msg": event("x", reason="a\nb\u2028c"), "args": ()})
    (line_of_it,) = JsonLines().format(record).splitlines()
    assert json.loads(line_of_it)["reason"] == "a\nb\u2028c"


def test_what_a_library_says_is_an_event_of_its_own() -> None:
    found = line("error connecting in %r", name="psycopg.pool", args=("pool-1",))
    assert (found["event"], found["message"]) == ("log", "error connecting in 'pool-1'")


def test_of_an_exception_only_class_and_place_are_told() -> None:
    try:
        raise ValueError("carla@example.test")
    except ValueError as error:
        found = line(event("x"), exc_info=(type(error), error, error.__traceback__))
    assert found["error"] == "ValueError"
    assert str(found["at"]).startswith("test_logs.py:")
    assert "carla" not in str(found)
