"""The queue in PostgreSQL, as the role `worker`: it may call a few functions and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from workers.core.errors import JobSuperseded, QueueUnavailable, RecordRefused
from workers.core.jobs import QueueName
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater, Unknown
from workers.ports import Claimed, Heartbeat, QueueMetrics, Subject

_SUPERSEDED = "PT409"
_BROKEN_RULE = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError)
_WAIT_SECONDS = 10.0
# The pool's pauses between attempts double; after this long it gives up, and the next call begins anew.
_RECONNECT_SECONDS = 10.0
# Housekeeping and heartbeats, and the metrics.
_BESIDE_THE_LANES = 2
# Autocommit: a claim must be committed before anything goes out; each function is its own transaction.
# No prepared statements and no startup options: a transaction pooler keeps neither. How long a statement
# may take is a setting of the role.
_CONNECTION = {
    "autocommit": True,
    "row_factory": dict_row,
    "application_name": "autexor-worker",
    "connect_timeout": 10,
    "prepare_threshold": None,
}


def _named_queries() -> dict[str, str]:
    text = files("workers.adapters").joinpath("queries.sql").read_text("utf-8")
    parts = text.split("-- name: ")[1:]
    return {name.strip(): body.strip() for name, _, body in (part.partition("\n") for part in parts)}


class PostgresQueue:
    """Claims, finishes and housekeeping; QueueUnavailable stands for whatever else the database says.

    There is a connection for each of `lanes`, made when needed.
    """

    def __init__(self, database_url: str, lanes: int = 3) -> None:
        self._queries = _named_queries()
        self._pool: ConnectionPool[psycopg.Connection[DictRow]] = ConnectionPool(
            database_url,
            min_size=1,
            max_size=lanes + _BESIDE_THE_LANES,
            reconnect_timeout=_RECONNECT_SECONDS,
            kwargs=_CONNECTION,
            check=ConnectionPool.check_connection,
            open=False,
        )

    def open(self) -> None:
        """Begin to connect, without waiting: the database may be away at start."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def claim(self, queue: QueueName, visibility_seconds: int) -> Claimed | None:
        """The next message, held for so many seconds, or None when there is none."""
        row = self._one("claim", {"queue": queue, "visibility_seconds": visibility_seconds})
        return None if row is None else Claimed(msg_id=row["msg_id"], payload=row["job"])

    def finish(self, queue: QueueName, msg_id: int, subject: Subject, outcome: Outcome) -> str:
        """Record what became of a job and return its row's status.

        Raises JobSuperseded for a late finish, RecordRefused for one that breaks a rule of the database.
        """
        values = {"queue": queue, "msg_id": msg_id, "subject_id": subject.id, "attempt": subject.attempt}
        try:
            row = self._one("finish", values | _recorded(outcome))
        except QueueUnavailable as error:
            if isinstance(error.__cause__, _BROKEN_RULE):
                raise RecordRefused(error.reason) from error
            raise
        return str(row["status"]) if row else ""

    def set_aside(self, queue: QueueName, msg_id: int, reason: str) -> bool:
        """Put a message away for good; False when it is no longer held."""
        row = self._one("set_aside", {"queue": queue, "msg_id": msg_id, "reason": reason})
        return bool(row and row["is_mine"])

    def beat(self, heartbeat: Heartbeat, seconds_running: float) -> None:
        """Say that this process runs."""
        values = {"worker_id": heartbeat.id, "host": heartbeat.host, "pid": heartbeat.pid}
        lanes = Jsonb(dict(heartbeat.lanes))
        told = {"version": heartbeat.version, "lanes": lanes, "seconds_running": seconds_running}
        self._one("beat", values | told)

    def leave(self, heartbeat: Heartbeat) -> None:
        """Say that this process has stopped in order."""
        self._one("leave", {"worker_id": heartbeat.id})

    def metrics(self) -> Sequence[QueueMetrics]:
        """How every queue stands."""
        return [QueueMetrics(**row) for row in self._all("metrics", {})]

    def housekeep(self) -> Mapping[str, Any]:
        """The clean-up; how many rows went, per table."""
        row = self._one("housekeep", {})
        return dict(row["counts"]) if row else {}

    def _one(self, query: str, values: Mapping[str, Any]) -> DictRow | None:
        return next(iter(self._all(query, values)), None)

    def _all(self, query: str, values: Mapping[str, Any]) -> list[DictRow]:
        try:
            with self._pool.connection(timeout=_WAIT_SECONDS) as connection:
                return connection.execute(self._queries[query].encode(), values).fetchall()
        except psycopg.Error as error:
            if error.sqlstate == _SUPERSEDED:
                raise JobSuperseded("job_superseded") from error
            raise QueueUnavailable(error.sqlstate or type(error).__name__) from error


def _recorded(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Done(result):
            return _words("done", None, 0, result)
        case RetryLater(reason, delay):
            return _words("retry", reason, delay, {})
        case GiveUp(reason, result):
            return _words("give_up", reason, 0, result)
        case Unknown(reason, result):
            return _words("unknown", reason, 0, result)


def _words(outcome: str, reason: str | None, delay: int, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"outcome": outcome, "reason": reason, "delay_seconds": delay, "result": Jsonb(dict(result))}
