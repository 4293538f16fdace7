"""A database of its own for one benchmark, gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack import database as databases
from devstack.config import free_port
from devstack.postgres import Cluster
from devstack.testing import Database


@contextmanager
def throw_away() -> Iterator[Database]:
    """A cluster in a temporary directory, migrated and seeded."""
    directory = Path(tempfile.mkdtemp(prefix="autexor-bench-"))
    directory.chmod(0o755)
    cluster = Cluster.at(directory / "postgres", free_port(), directory / "postgres.log")
    cluster.init()
    process = cluster.start()
    database = Database(cluster, "postgres")
    try:
        databases.bootstrap(cluster)
        databases.apply_migrations(database.conninfo())
        databases.apply_seeds(database.conninfo())
        yield database
    finally:
        cluster.stop(process)
        shutil.rmtree(directory, ignore_errors=True)
