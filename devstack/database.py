"""Filling a cluster: the platform's own objects, our migrations, the demo seeds, copies for tests."""

import hashlib
from pathlib import Path

import psycopg
from psycopg import sql

from devstack.config import DB_PASSWORD, ROOT, SUPERUSER
from devstack.errors import StackError
from devstack.postgres import Cluster

PLATFORM = Path(__file__).parent / "platform"
MIGRATIONS = ROOT / "supabase" / "migrations"
SEEDS = ROOT / "seeds"
SERVICE_ROLES = ("worker", "edge")

LEDGER = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text not null primary key,
    statements text[],
    name text
);
create table if not exists supabase_migrations.seed_files (
    path text not null primary key,
    hash text not null
);
"""


def bootstrap(cluster: Cluster, database: str = "postgres") -> None:
    """Make the database what a fresh Supabase project is. Does nothing when it already is one.

    Raises StackError when it was made by another version of the platform files.
    """
    files = sorted(PLATFORM.glob("*.sql"))
    fingerprint = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    with psycopg.connect(cluster.conninfo(SUPERUSER, database)) as connection:
        found = connection.execute("select obj_description(to_regnamespace('_devstack'))").fetchone()
        if found and found[0]:
            _expect_fingerprint(str(found[0]), fingerprint)
            return
        for file in files:
            _run_file(connection, file)
        owner = sql.SQL("alter database {} owner to postgres").format(sql.Identifier(database))
        connection.execute(owner)
        _install_pgmq(connection)
        note = sql.SQL("comment on schema _devstack is {}").format(fingerprint)
        connection.execute(note)


def apply_migrations(conninfo: str, directory: Path = MIGRATIONS) -> list[str]:
    """Run the migrations not yet recorded, in order, each in one transaction; returns their names.

    `conninfo` is that of role `postgres`. The ledger is the Supabase CLI's. Raises StackError, naming
    file and position, when one fails; those before it stay applied.
    """
    applied = []
    with psycopg.connect(conninfo) as connection:
        connection.execute(LEDGER)
        connection.commit()
        rows = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
        known = {row[0] for row in rows}
        for file in sorted(directory.glob("[0-9]*_*.sql")):
            version, _, name = file.stem.partition("_")
            if version in known:
                continue
            _run_file(connection, file)
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements)"
                " values (%s, %s, %s)",
                (version, name, [file.read_text()]),
            )
            connection.commit()
            applied.append(file.stem)
    return applied


def apply_seeds(conninfo: str, directory: Path = SEEDS) -> list[str]:
    """Run every new or changed `NN_subject.sql` in order, each in one transaction, as role `postgres`.

    Returns their names. A row that was removed since stays removed: as the Supabase CLI does, a file that
    ran is not run again.
    """
    applied = []
    with psycopg.connect(conninfo) as connection:
        connection.execute(LEDGER)
        known = set(connection.execute("select path, hash from supabase_migrations.seed_files").fetchall())
        for file in sorted(directory.glob("[0-9]*_*.sql")):
            entry = (file.name, hashlib.sha256(file.read_bytes()).hexdigest())
            if entry in known:
                continue
            _run_file(connection, file)
            connection.execute(
                "insert into supabase_migrations.seed_files values (%s, %s)"
                " on conflict (path) do update set hash = excluded.hash",
                entry,
            )
            connection.commit()
            applied.append(file.stem)
    return applied


def set_service_passwords(cluster: Cluster) -> None:
    """Let the roles of the worker and the edge log in, which on a real project an operator does."""
    with psycopg.connect(cluster.conninfo()) as connection:
        for role in SERVICE_ROLES:
            found = connection.execute("select to_regrole(%s) is not null", (role,)).fetchone()
            if found and found[0]:
                alter = sql.SQL("alter role {} login password {}")
                connection.execute(alter.format(sql.Identifier(role), DB_PASSWORD))


def create_database(cluster: Cluster, name: str) -> None:
    """An empty database."""
    _administer(cluster, sql.SQL("create database {}").format(sql.Identifier(name)))


def clone(cluster: Cluster, template: str, name: str) -> None:
    """A copy of a database nobody is connected to: a tenth of a second instead of all migrations."""
    statement = "create database {} template {} owner postgres strategy file_copy"
    _administer(cluster, sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template)))


def drop_database(cluster: Cluster, name: str) -> None:
    """Remove a database and everybody's sessions in it."""
    _administer(cluster, sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _administer(cluster: Cluster, statement: sql.Composed) -> None:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(statement)


def _install_pgmq(connection: psycopg.Connection) -> None:
    """pgmq's own SQL, owned by postgres; on Supabase it is an extension."""
    # Here, because only a first start needs it.
    from pgmq.install import get_embedded_install_sql

    connection.execute("set local role postgres")
    connection.execute(get_embedded_install_sql().encode())
    connection.execute("reset role")


def _run_file(connection: psycopg.Connection, file: Path) -> None:
    text = file.read_text()
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        raise StackError(
            f"{file.name} failed{_place(text, error)}: {error.diag.message_primary or error}",
            why=" ".join(filter(None, (error.diag.message_detail, error.diag.context))),
            fix=error.diag.message_hint or "nothing of this file was kept; correct it and try again",
            code="sql_file_failed",
        ) from error


def _place(text: str, error: psycopg.Error) -> str:
    position = error.diag.statement_position
    return f" at line {text[: int(position)].count(chr(10)) + 1}" if position else ""


def _expect_fingerprint(found: str, expected: str) -> None:
    if found != expected:
        raise StackError(
            "The stack's data was made by another version of devstack/platform",
            why=f"it carries {found}, this version is {expected}",
            fix="empty it with `autexor stack reset`",
            code="platform_changed",
        )
