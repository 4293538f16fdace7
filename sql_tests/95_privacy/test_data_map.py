"""The map over the catalogue: nothing without a class, nothing that leads to nobody, and its registers."""

import pytest

from devstack.testing import Database
from sql_tests.cast import MARC, NOORD, OLGA, OTTO, ZUID
from sql_tests.people import call
from sql_tests.steps import change, look, refused
from workers.core.hosts import register_for

from .conftest import do

PLACE = "select place || ' ' || gap as line from private.data_map_gaps()"
BREAKS = {
    "alter table public.vehicles add column colour text": "public.vehicles.colour has no class",
    "comment on column public.vehicles.make is 'personal(hobby; subject=customer; on_erasure=erase)'":
        "public.vehicles.make names the unknown category hobby",
    "comment on column public.vehicles.make is 'personal(vehicle; subject=customer; on_erasure=keep:ever)'":
        "public.vehicles.make names the unknown rule ever",
    "comment on table public.vehicles is 'Vehicles'":
        "public.vehicles does not say its controller, retention and purpose",
    "comment on table public.vehicles is 'controller=garage; retention=a while. Vehicles'":
        "public.vehicles names the unknown retention a while",
    "comment on table public.work_order_series is 'controller=garage; retention=2 years. Numbers'":
        "public.work_order_series says how long it is kept, and nothing from when",
    "comment on table public.work_order_series is 'controller=garage; retention=garage policy. Numbers'":
        "public.work_order_series says how long it is kept, and nothing from when",
}  # fmt: skip


@pytest.mark.req("G1", "G6")
def test_the_comments_leave_nothing_open(database: Database) -> None:
    with database.connect() as connection:
        assert connection.execute(PLACE).fetchall() == []
        assert connection.execute("select private.unreachable_subjects()").fetchall() == []


@pytest.mark.req("G6")
@pytest.mark.parametrize("statement", BREAKS)
def test_what_a_comment_leaves_open_is_noticed(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement.encode())
        assert BREAKS[statement] in [row["line"] for row in connection.execute(PLACE)]
        connection.rollback()


@pytest.mark.req("G6")
def test_a_table_that_leads_to_nobody_is_noticed(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "create table public.wishes (id uuid primary key, garage_id uuid, wish text);"
            " comment on table public.wishes is 'controller=garage; retention=1 year. Wishes';"
            " comment on column public.wishes.wish is"
            " 'personal(content; subject=customer; on_erasure=erase)'"
        )
        found = connection.execute("select private.unreachable_subjects() as name").fetchall()
        assert [row["name"] for row in found] == ["public.wishes"]
        connection.rollback()


@pytest.mark.req("G6")
def test_a_new_table_is_in_every_answer_by_its_comments_alone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "create table public.wishes (garage_id uuid, id uuid primary key, customer_id uuid not null,"
            " wish text, created_at timestamptz, unique (garage_id, id),"
            " foreign key (garage_id, customer_id) references public.customers (garage_id, id));"
            " comment on table public.wishes is"
            " 'controller=garage; retention=1 year; on_erasure=delete. Wishes';"
            " comment on column public.wishes.wish is 'personal(content; subject=customer; on_erasure=erase)'"
        )
        names = {
            kind: [row["table_name"] for row in connection.execute(query)]
            for kind, query in {
                "export": "select table_name from private.compiled_tables() where export is not null",
                "erasure": "select table_name from private.erasure_steps() where deletes = 'true'",
                "retention": "select s ->> 'table_name' as table_name"
                "  from jsonb_array_elements(private.compiled_steps('retention')) s",
            }.items()
        }
        connection.rollback()
    assert all("public.wishes" in found for found in names.values())


@pytest.mark.req("G3", "S3")
def test_secrets_are_erased_with_their_rows_and_files_have_a_bucket(database: Database) -> None:
    with database.connect() as connection:
        secrets = connection.execute(
            "select distinct m.table_name, m.relation from private.data_map m"
            " where m.class = 'secret' and private.subject_condition(m.relation) is not null"
        ).fetchall()
        deleted = {
            row["table_name"]
            for row in connection.execute(
                "select table_name from private.erasure_steps() where deletes = 'true'"
            )
        }
        assert secrets and {row["table_name"] for row in secrets} <= deleted
        files = connection.execute(
            "select m.table_name, private.file_bucket(m.relation) as bucket,"
            "       private.file_bucket(m.relation) in (select id from storage.buckets) as is_there"
            "  from private.data_map m where m.column_name = 'storage_path'"
        ).fetchall()
    assert len(files) >= 3 and all(row["is_there"] for row in files), files


@pytest.mark.req("G4", "S1")
def test_the_register_of_subprocessors_and_the_hosts_that_workers_may_call_agree(database: Database) -> None:
    own = "project.supabase.co"
    called = register_for("production", f"https://{own}").hosts - {own}
    with database.connect() as connection:
        rows = connection.execute("select host from private.subprocessors where host is not null").fetchall()
    assert {row["host"] for row in rows} == called


@pytest.mark.req("G4")
def test_a_garage_sees_the_subprocessors_of_the_modules_it_has_on(fresh_database: Database) -> None:
    def in_use() -> set[str]:
        with OLGA.acting(fresh_database) as connection:
            rows = connection.execute("select name from public.subprocessors where is_in_use").fetchall()
        return {row["name"] for row in rows}

    assert {"Supabase", "Twilio SendGrid", "Expo"} <= in_use()
    change(
        fresh_database,
        "update public.garage_modules set is_enabled = false where garage_id = %s and module = 'push'",
        NOORD,
    )
    assert {"Supabase", "Twilio SendGrid"} <= in_use()
    assert not {"Expo", "Google Firebase Cloud Messaging"} & in_use()
    with OTTO.acting(fresh_database) as connection:
        (own,) = connection.execute("select distinct garage_id from public.subprocessors").fetchall()
    assert str(own["garage_id"]) == ZUID


@pytest.mark.req("G7", "G1")
def test_a_garage_determines_basis_and_purpose_and_no_other_garage_sees_it(fresh_database: Database) -> None:
    def record(who: object) -> tuple[str, str, bool]:
        with who.acting(fresh_database) as connection:  # type: ignore[attr-defined]
            row = connection.execute(
                "select basis, purpose, is_set_by_garage, tables from public.processing_records"
                " where processing = 'conversations'"
            ).fetchone()
        assert row is not None and "public.messages" in row["tables"]
        return row["basis"], row["purpose"], row["is_set_by_garage"]

    before = ("contract", "Answering customers", False)
    assert record(OLGA) == before == record(OTTO)
    do(
        fresh_database,
        "insert into public.legal_bases (garage_id, processing, basis, purpose)"
        " values (%s, 'conversations', 'consent', 'Babbelen') returning 1 as one",
        NOORD,
    )
    assert (record(OLGA), record(OTTO)) == (("consent", "Babbelen", True), before)


@pytest.mark.req("G7")
def test_a_basis_is_one_of_the_law_and_of_a_processing_there_is(fresh_database: Database) -> None:
    insert = (
        "insert into public.legal_bases (garage_id, processing, basis) values (%s, %s, %s) returning 1 as one"
    )
    for processing, basis, code, status in (
        ("conversations", "because", "basis_unknown", 422),
        ("gossip", "consent", "processing_unknown", 404),
    ):
        with refused(code, status):
            do(fresh_database, insert, NOORD, processing, basis)
    with refused("permission_missing", 403):
        do(fresh_database, insert, NOORD, "conversations", "consent", who=MARC)


@pytest.mark.req("G6")
def test_every_processing_of_personal_data_is_described(database: Database) -> None:
    assert (
        look(
            database,
            "select count(*) from private.table_map t where t.is_personal and t.controller = 'garage'"
            " and t.processing is null",
        )
        == 0
    )
    assert call(database, OLGA, "run_retention(true)") is not None
