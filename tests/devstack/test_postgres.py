"""The cluster and the platform's own objects: what hosted Supabase gives, allows and refuses."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from devstack import database as databases
from devstack.binaries import account
from devstack.config import Paths, free_port
from devstack.errors import StackError
from devstack.postgres import Cluster, data_dir_for
from devstack.testing import Database

SIMPLE = "create table public.things (id int primary key);\n"


@pytest.fixture(scope="module")
def platform(postgres: Cluster) -> Database:
    """A database with the platform alone."""
    databases.create_database(postgres, "platform")
    databases.bootstrap(postgres, "platform")
    return Database(postgres, "platform")


@pytest.fixture
def empty_platform(postgres: Cluster, platform: Database, request: pytest.FixtureRequest) -> Database:
    """A copy of it for one test."""
    name = f"copy_{abs(hash(request.node.name))}"
    databases.clone(postgres, platform.name, name)
    return Database(postgres, name)


def refused(platform: Database, statement: str) -> str:
    with platform.connect() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
        conn.execute(statement.encode())
    return str(error.value)


@pytest.mark.parametrize(
    "statement",
    [
        "alter table storage.objects disable row level security",
        "create table storage.mine ()",
        "create index on storage.objects (owner)",
        "create type storage.mine as enum ('a')",
        "comment on table storage.objects is 'x'",
        "drop trigger protect_objects_delete on storage.objects",
        "revoke all on storage.objects from anon",
        "create view auth.mine as select 1",
        "create function realtime.mine() returns int language sql return 1",
        "alter publication supabase_realtime add table auth.users",
        "drop event trigger guard_platform_ddl",
        "delete from storage.objects",
    ],
)
def test_a_migration_may_not_touch_the_platforms_objects(platform: Database, statement: str) -> None:
    assert refused(platform, statement)


def test_a_migration_may_make_change_and_drop_policies_on_the_platforms_tables(platform: Database) -> None:
    with platform.connect() as conn:
        conn.execute("create policy p on storage.objects for select to authenticated using (true)")
        conn.execute("alter policy p on storage.objects using (bucket_id = 'invoices')")
        conn.execute("create policy p on storage.buckets for select to authenticated using (true)")
        conn.execute("create policy p on realtime.messages for select to authenticated using (true)")
        conn.execute("drop policy p on storage.objects")
        conn.execute("insert into storage.buckets (id, name) values ('b', 'b')")
        conn.rollback()


def test_a_migration_may_set_the_rest_apis_parameters_and_trust_new_roles(platform: Database) -> None:
    with platform.connect() as conn:
        conn.execute("alter role authenticator set pgrst.db_pre_request = 'private.pre_request'")
        conn.execute("alter role authenticator set pgrst.openapi_mode = 'disabled'")
        conn.execute("create role platform_test nologin")
        conn.execute("grant platform_test to authenticator")
        conn.execute("set local session_replication_role = replica")
        conn.rollback()


def test_migrations_run_without_superuser_rights(platform: Database) -> None:
    with platform.connect() as conn:
        row = conn.execute("select * from pg_roles where rolname = current_user").fetchone()
    assert row is not None
    assert (row["rolname"], row["rolsuper"], row["rolbypassrls"]) == ("postgres", False, True)


def test_storage_helpers_answer_as_the_real_ones(platform: Database) -> None:
    with platform.connect() as conn:
        row = conn.execute(
            "select storage.foldername('a/b/c.txt') as deep, storage.foldername('c.txt') as flat,"
            " storage.filename('a/') as nothing, storage.extension('a/b.tar.gz') as last,"
            " storage.extension('noext') as whole"
        ).fetchone()
    assert row == {"deep": ["a", "b"], "flat": [], "nothing": "", "last": "gz", "whole": "noext"}


def test_the_vault_gives_back_what_was_put_in_and_no_client_role_reaches_it(platform: Database) -> None:
    with platform.connect() as conn:
        secret_id = conn.execute("select vault.create_secret('swordfish', 'key') as id").fetchone()
        assert secret_id
        conn.execute("select vault.update_secret(%s, 'trout')", (secret_id["id"],))
        row = conn.execute("select secret, decrypted_secret from vault.decrypted_secrets").fetchone()
        conn.rollback()
    assert row and row["decrypted_secret"] == "trout" and "trout" not in row["secret"]
    with platform.as_user(role="authenticated") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select * from vault.decrypted_secrets")


def test_a_broadcast_from_the_database_becomes_a_message(platform: Database) -> None:
    with platform.connect() as conn:
        conn.execute("""select realtime.send('{"a": 1}', 'changed', 'room')""")
        row = conn.execute(
            "select topic, event, extension, private, payload from realtime.messages"
        ).fetchone()
        conn.rollback()
    assert row and row["payload"].pop("id")
    assert row == {
        "topic": "room",
        "event": "changed",
        "extension": "broadcast",
        "private": True,
        "payload": {"a": 1},
    }


def test_a_queue_works_for_the_role_of_migrations(platform: Database) -> None:
    with platform.connect() as conn:
        conn.execute("select pgmq.create('parcels')")
        conn.execute("select pgmq.send('parcels', '{\"n\": 1}')")
        row = conn.execute("select message from pgmq.read('parcels', 30, 1)").fetchone()
        conn.rollback()
    assert row == {"message": {"n": 1}}


def test_migrations_are_recorded_as_the_cli_does_and_run_once(
    empty_platform: Database, tmp_path: Path
) -> None:
    (tmp_path / "20260101000000_things.sql").write_text(SIMPLE)
    conninfo = empty_platform.conninfo()
    assert databases.apply_migrations(conninfo, tmp_path) == ["20260101000000_things"]
    (tmp_path / "20260102000000_more.sql").write_text("alter table public.things add column name text;")
    assert databases.apply_migrations(conninfo, tmp_path) == ["20260102000000_more"]
    with empty_platform.connect() as conn:
        rows = conn.execute("select * from supabase_migrations.schema_migrations order by version").fetchall()
    assert [(row["version"], row["name"]) for row in rows] == [
        ("20260101000000", "things"),
        ("20260102000000", "more"),
    ]
    assert rows[0]["statements"] == [SIMPLE]


def test_a_seed_file_runs_once_and_again_when_it_changed(empty_platform: Database, tmp_path: Path) -> None:
    conninfo = empty_platform.conninfo()
    file = tmp_path / "10_numbers.sql"
    file.write_text(
        "create table if not exists public.numbers (n int); insert into public.numbers values (1);"
    )
    assert databases.apply_seeds(conninfo, tmp_path) == ["10_numbers"]
    assert databases.apply_seeds(conninfo, tmp_path) == []
    file.write_text("insert into public.numbers values (2);")
    assert databases.apply_seeds(conninfo, tmp_path) == ["10_numbers"]
    with empty_platform.connect() as conn:
        rows = conn.execute("select n from public.numbers order by n").fetchall()
    assert [row["n"] for row in rows] == [1, 2]


def test_a_failing_migration_names_its_line_and_leaves_nothing(
    empty_platform: Database, tmp_path: Path
) -> None:
    (tmp_path / "20260101000000_things.sql").write_text(SIMPLE + "\nalter table public.nothing add x int;")
    with pytest.raises(StackError) as error:
        databases.apply_migrations(empty_platform.conninfo(), tmp_path)
    assert "20260101000000_things.sql failed" in error.value.what
    with empty_platform.connect() as conn:
        row = conn.execute("select to_regclass('public.things') as found").fetchone()
    assert row == {"found": None}


def test_a_user_of_a_test_has_the_claims_of_a_token(platform: Database) -> None:
    sub = "22222222-0000-4000-8000-000000000001"
    with platform.as_user(sub, garage_id="g") as conn:
        row = conn.execute(
            "select current_user::text as me, auth.uid()::text as uid, auth.role() as role,"
            " auth.jwt() ->> 'garage_id' as garage"
        ).fetchone()
    assert row == {"me": "authenticated", "uid": sub, "role": "authenticated", "garage": "g"}


@pytest.fixture
def make_cluster(scratch: Path) -> Callable[[str], Cluster]:
    """A factory of clusters of one's own."""

    def make(name: str) -> Cluster:
        return Cluster.at(scratch / name, free_port(), scratch / f"{name}.log")

    return make


@pytest.mark.slow
def test_a_cluster_starts_again_after_kill_9(make_cluster: Callable[[str], Cluster]) -> None:
    cluster = make_cluster("killed one")
    cluster.init()
    first = cluster.start()
    first.kill()
    first.wait()
    second = cluster.start()
    psycopg.connect(cluster.conninfo()).close()
    cluster.stop(second)
    cluster.destroy()


@pytest.mark.slow
def test_a_server_that_outlived_its_supervisor_is_ended_first(make_cluster: Callable[[str], Cluster]) -> None:
    cluster = make_cluster("orphan")
    cluster.init()
    orphan = cluster.start()
    successor = cluster.start()
    assert orphan.wait(10) is not None
    psycopg.connect(cluster.conninfo()).close()
    cluster.stop(successor)
    cluster.destroy()


def test_data_of_another_major_version_is_refused_in_plain_words(
    make_cluster: Callable[[str], Cluster],
) -> None:
    cluster = make_cluster("old data")
    cluster.data_dir.mkdir()
    (cluster.data_dir / "PG_VERSION").write_text("13\n")
    with pytest.raises(StackError, match="was made by PostgreSQL 13") as error:
        cluster.init()
    assert "stack reset" in error.value.fix


def test_data_lies_elsewhere_when_the_stacks_directory_is_closed_to_postgres(scratch: Path) -> None:
    closed, open_ = scratch / "closed", scratch / "open"
    closed.mkdir(mode=0o700)
    open_.mkdir(mode=0o755)
    assert data_dir_for(Paths(open_)) == open_ / "postgres"
    inside = data_dir_for(Paths(closed)).is_relative_to(closed)
    assert inside is not account().is_other


def test_an_unusable_postgres_is_refused_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEVSTACK_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(StackError, match="No usable PostgreSQL"):
        Cluster.at(tmp_path / "data", free_port(), tmp_path / "log")
