"""`python -m devstack.catalogue`: what a freshly migrated database answers to some queries.

Reads `{"name": "select …"}` as JSON on stdin and writes `{"name": [rows]}` on stdout. The database is a
cluster of its own in a temporary directory, gone afterwards.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from devstack import database as databases
from devstack.config import free_port
from devstack.postgres import Cluster

Rows = list[dict[str, Any]]


def ask(queries: Mapping[str, str]) -> dict[str, Rows]:
    """The answers, from a database with the platform and all migrations, and no rows but theirs."""
    directory = Path(tempfile.mkdtemp(prefix="autexor-catalogue-"))
    directory.chmod(0o755)
    cluster = Cluster.at(directory / "postgres", free_port(), directory / "postgres.log")
    try:
        cluster.init()
        process = cluster.start()
        try:
            databases.bootstrap(cluster)
            owner = cluster.conninfo("postgres")
            databases.apply_migrations(owner)
            with psycopg.connect(owner, row_factory=dict_row) as connection:
                connection.execute("set search_path = pg_catalog")
                return {
                    name: connection.execute(query.encode()).fetchall() for name, query in queries.items()
                }
        finally:
            cluster.stop(process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    json.dump(ask(json.load(sys.stdin)), sys.stdout, default=str)
