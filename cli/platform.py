"""The platform's own database, for those who run it: as the role `worker`, with the worker's own setting."""

import os
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cli.errors import CommandFailed, Misuse

WORKERS = "select * from private.worker_status()"
QUEUES = "select * from private.queue_metrics()"
POISONED = "select * from private.poisoned()"


def ask(query: str) -> list[dict[str, Any]]:
    """The rows of one query at AUTEXOR_DATABASE_URL. Raises Misuse without it, CommandFailed when refused."""
    url = os.environ.get("AUTEXOR_DATABASE_URL")
    if not url:
        raise Misuse(
            "setting_missing",
            "AUTEXOR_DATABASE_URL is not set",
            "this is about the platform, so it asks the database as a worker does, not as a garage",
            'Use the worker\'s settings, or `eval "$(autexor stack env)"` for the local stack',
        )
    try:
        with psycopg.connect(
            url, row_factory=dict_row, connect_timeout=10, prepare_threshold=None
        ) as database:
            return database.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        # The driver's own words name the address and may quote the setting.
        raise CommandFailed(
            "database_unreachable",
            "The database does not answer as it should",
            error.sqlstate or type(error).__name__,
            "Check AUTEXOR_DATABASE_URL: the role `worker`, and a database that runs",
        ) from None
