"""Fixtures shared by all tests: a cluster, copies of the migrated and seeded database, a whole stack."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from devstack import database as databases
from devstack.config import ROOT, Settings, free_port
from devstack.postgres import Cluster
from devstack.stack import Stack, running
from devstack.testing import Database, migrated_template


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A temporary directory that the account PostgreSQL runs as can enter."""
    directory = Path(tempfile.mkdtemp(prefix="autexor test "))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[Cluster]:
    """A running cluster."""
    cluster = Cluster.at(scratch / "postgres", free_port(), scratch / "postgres.log")
    cluster.init()
    process = cluster.start()
    yield cluster
    cluster.stop(process)


@pytest.fixture(scope="session")
def template_database(postgres: Cluster) -> str:
    """A database with the platform, all migrations and seeds, its staff signed in; nobody connects to it."""
    return migrated_template(postgres)


@pytest.fixture(scope="session")
def clone_database(postgres: Cluster, template_database: str) -> Callable[[], Database]:
    """A factory of further copies of the template."""
    numbers = count(1)

    def clone() -> Database:
        name = f"test_{next(numbers)}"
        databases.clone(postgres, template_database, name)
        return Database(postgres, name)

    return clone


@pytest.fixture(scope="module")
def database(clone_database: Callable[[], Database]) -> Iterator[Database]:
    """This module's own copy of the migrated and seeded database."""
    copy = clone_database()
    yield copy
    databases.drop_database(copy.cluster, copy.name)


@pytest.fixture(scope="session")
def supabase_cli() -> Path:
    """Supabase's command line: the packaged program (linux x64), else the one on the PATH."""
    packaged = ROOT / "node_modules" / "@supabase" / "cli-linux-x64" / "bin" / "supabase"
    found = packaged if packaged.exists() else shutil.which("supabase")
    if found is None:
        pytest.skip("Supabase's command line is packaged for linux x64 only, and none is on the PATH")
    return Path(found)


@pytest.fixture(scope="session")
def stack(scratch: Path) -> Iterator[Stack]:
    """A whole stack in a directory and on a port of its own, migrated and seeded, without a worker."""
    settings = Settings(data_dir=scratch / "stack", port=free_port())
    with running(settings, has_worker=False) as running_stack:
        yield running_stack
