"""History by month: nothing was lost on the way there, months come ahead and go when their time is over."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from devstack import database as databases
from devstack.postgres import Cluster
from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, RITA, ZUID
from sql_tests.steps import change, issued_invoice, look, one, refused

pytestmark = pytest.mark.req("D11")

FIRST = "20261128120000_history_by_month"
MONTHS = "select coalesce(array_agg(month order by month), '{}')::text[] from private.months_of(%s)"
ENTRY = """
insert into audit.entries (garage_id, occurred_at, table_name, row_id, op, actor, changed, changes)
values (%s, %s, 'public.garages', 'x', 'U', 'postgres', '{payment_days}', '{}') returning id
"""
LOOK = "insert into audit.access_entries (garage_id, occurred_at, event, actor) values (%s, %s, 'login', 'x')"
# Tables of a garage whose changes are not audited, and why.
NOT_AUDITED = {
    "audit.entries", "audit.access_entries", "audit.chains", "audit.seals", "audit.sealed_rows",  # history
    "private.document_grants", "private.invitation_tokens", "private.login_attempts",  # live for a minute,
    "private.portal_challenges", "private.portal_mails", "private.portal_refresh_tokens",  # hashes of secrets
    "private.send_paces", "private.erasing", "audit.client_errors",  # a pace, a transaction, counts
}  # fmt: skip


@pytest.fixture
def fresh(clone_database: Callable[[], Database]) -> Database:
    return clone_database()


def rows(connection: Connection, log: str) -> str:
    return str(one(connection, f"select md5(string_agg(t::text, '|' order by id)) from {log} t"))


def test_every_table_of_a_garage_is_audited(busy_database: Database) -> None:
    query = """
    select c.oid::regclass::text as name from pg_class c
     where c.relkind in ('r', 'p') and not c.relispartition
       and c.relnamespace::regnamespace::text in ('public', 'private', 'audit')
       and (c.relname = 'garages' or exists (select from pg_attribute a
            where a.attrelid = c.oid and a.attname = 'garage_id' and not a.attisdropped))
       and (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgenabled = 'A'
              and t.tgname in ('_800_audit_insert', '_800_audit_update', '_800_audit_delete',
                  '_800_audit_truncate')) <> 4
    """
    with busy_database.connect() as connection:
        connection.execute("set local search_path = pg_catalog")
        assert {row["name"] for row in connection.execute(query)} == NOT_AUDITED
        connection.execute("alter table public.vehicles disable trigger _800_audit_delete")
        assert "public.vehicles" in {row["name"] for row in connection.execute(query)}
        connection.rollback()


def test_what_was_there_before_the_months_is_there_after_them(
    postgres: Cluster, scratch: Path, template_database: str
) -> None:
    before = scratch / "migrations before the months"
    before.mkdir()
    for file in databases.MIGRATIONS.glob("*.sql"):
        if file.stem < FIRST:
            shutil.copy(file, before)
    databases.create_database(postgres, "before_the_months")
    database = Database(postgres, "before_the_months")
    databases.bootstrap(postgres, database.name)
    databases.apply_migrations(database.conninfo(), before)
    databases.apply_seeds(database.conninfo())
    change(database, ENTRY, ZUID, "2024-02-29 23:59:59.999999+00")
    change(database, LOOK, NOORD, "2025-03-01 00:30:00+01")
    with database.connect() as connection:
        told = [rows(connection, log) for log in ("audit.entries", "audit.access_entries")]
        last = one(connection, "select last_value from audit.entries_id_seq")
    databases.apply_migrations(database.conninfo())
    with database.connect() as connection:
        assert [rows(connection, log) for log in ("audit.entries", "audit.access_entries")] == told
        assert one(connection, "select nextval('audit.entries_id_seq')") == last + 1
        assert one(connection, "select count(*) from audit.entries_2024_02") == 1
        assert one(connection, "select count(*) from audit.access_entries_2025_02") == 1
        assert one(connection, "select count(*) from audit.entries_default") == 0
        assert connection.execute("select * from private.broken_guards()").fetchall() == []
    databases.drop_database(postgres, database.name)


def test_months_are_made_ahead_as_time_goes(fresh: Database) -> None:
    with fresh.connect() as connection:
        # The migrations may have run in an earlier month.
        connection.execute("select private.keep_audit_partitions(now())")
        before = one(connection, MONTHS, "audit.entries")
        assert one(connection, "select private.keep_audit_partitions(now())")["months_made"] == 0
        made = one(connection, "select private.keep_audit_partitions('2060-01-31 23:30:00+00')")
        assert made["months_made"] == 3 * 7
        after = one(connection, MONTHS, "audit.entries")
        assert [month for month in after if month not in before] == [f"2060-0{n}-01" for n in range(1, 8)]
        assert connection.execute("select * from private.broken_guards()").fetchall() == []
        connection.rollback()


def test_an_entry_that_no_month_awaits_is_kept_and_moved_into_its_own(fresh: Database) -> None:
    with fresh.connect() as connection:
        entry = one(connection, ENTRY, NOORD, "2031-05-15")
        change_made = connection.execute("select * from audit.entries where id = %s", (entry,)).fetchone()
        assert one(connection, "select tableoid::regclass::text from audit.entries_default") is not None
        connection.execute("select private.keep_audit_partitions(now())")
        place = "select tableoid::regclass::text from audit.entries where id = %s"
        assert one(connection, place, entry) == "audit.entries_2031_05"
        moved = connection.execute("select * from audit.entries where id = %s", (entry,)).fetchone()
        assert moved == change_made
        assert one(connection, ENTRY, NOORD, "2032-05-15") > entry  # and the default is there again
        assert connection.execute("select * from private.broken_guards()").fetchall() == []
        connection.rollback()


@pytest.mark.parametrize("verb", ["update {} set actor = actor", "delete from {}", "truncate {}"])
def test_naming_a_month_passes_by_no_guard(fresh: Database, verb: str) -> None:
    with fresh.connect() as connection:
        months = one(connection, "select array_agg(name) from private.months_of('audit.entries')")
    for month in months:
        with fresh.connect() as connection, refused("history_is_append_only", 409):
            connection.execute("set local session_replication_role = replica")
            connection.execute(verb.format(month).encode())


def test_a_month_without_its_guard_is_told(fresh: Database) -> None:
    with fresh.connect() as connection:
        connection.execute("drop trigger _900_append_only on audit.entries_default")
        connection.execute("alter table audit.seals disable trigger _900_append_only")
        found = connection.execute("select * from private.broken_guards()").fetchall()
        assert [tuple(row.values()) for row in found] == [
            ("audit.entries_default", "_900_append_only", "missing"),
            ("audit.seals", "_900_append_only", "disabled"),
        ]
        connection.rollback()


def old_history(database: Database) -> None:
    """A busy month ten years before the end of 2036, and one that is a month younger than the bound."""
    for month in ("2025-12-01", "2026-01-01"):
        change(database, "select private.add_month('audit.entries', %s)", month)
        change(database, "select private.add_month('audit.sealed_rows', %s)", month)
    for at in ("2025-12-31 23:00:00+00", "2025-12-05", "2026-01-01"):
        change(database, ENTRY, NOORD, at)
    issued_invoice(database, RITA, CARLA)
    look(database, "select private.seal_audit(now())")


@pytest.mark.req("G5")
def test_a_month_goes_ten_years_after_its_calendar_year_and_leaves_a_tombstone(fresh: Database) -> None:
    old_history(fresh)
    verify = "select row(is_intact, problem, sealed_entries) from private.verify_audit(%s)"
    with fresh.connect() as connection:
        total = one(connection, "select count(*) from audit.entries where garage_id = %s", NOORD)
        assert one(connection, verify, NOORD) == ("t", None, str(total))
        connection.execute("select private.keep_audit_partitions('2035-12-31 23:59:59+00')")
        assert one(connection, "select count(*) from audit.entries where garage_id = %s", NOORD) == total
        connection.execute("select private.keep_audit_partitions('2036-01-01 00:00:00+00')")
        left = one(connection, "select count(*) from audit.entries where garage_id = %s", NOORD)
        assert left == total - 2
        stones = connection.execute(
            "select number, month::text, entry_count from audit.seals where kind = 'tombstone'"
        ).fetchall()
        last = one(connection, "select max(number) from audit.seals where garage_id = %s", NOORD)
        assert [tuple(row.values()) for row in stones] == [(last, "2025-12-01", 2)]
        assert one(connection, verify, NOORD) == ("t", None, str(total))
        connection.commit()
    with OLGA.acting(fresh) as connection:
        assert one(connection, "select count(*) from public.audit_seals where kind = 'tombstone'") == 1


def test_a_tombstone_buries_only_what_was_sealed_and_nothing_rises_from_it(fresh: Database) -> None:
    old_history(fresh)
    change(fresh, "select private.keep_audit_partitions('2036-01-01')")
    problem = "select problem from private.verify_audit(%s)"
    with psycopg.connect(fresh.conninfo("supabase_admin")) as admin:
        admin.execute(ENTRY, (NOORD, "2025-12-05"))
        assert admin.execute(problem, (NOORD,)).fetchone() == ("entry_inserted",)
        admin.rollback()
        admin.execute("alter table audit.seals disable trigger user")
        admin.execute("update audit.seals set entry_count = 1 where kind = 'tombstone'")
        assert admin.execute(problem, (NOORD,)).fetchone() == ("seal_altered",)
        admin.rollback()
        admin.execute("drop table audit.entries_2026_01, audit.sealed_rows_2026_01")
        assert admin.execute(problem, (NOORD,)).fetchone() == ("seal_altered",)  # dropped without a tombstone
        admin.rollback()


def test_a_month_with_entries_that_are_not_sealed_stays(fresh: Database) -> None:
    old_history(fresh)
    change(fresh, ENTRY, NOORD, "2025-12-06")
    with fresh.connect() as connection:
        assert one(connection, "select private.drop_months('2036-01-01')") >= 0
        assert "2025-12-01" in one(connection, MONTHS, "audit.entries")
        connection.rollback()
    look(fresh, "select private.seal_audit(now())")
    with fresh.connect() as connection:
        connection.execute("select private.drop_months('2036-01-01')")
        assert "2025-12-01" not in one(connection, MONTHS, "audit.entries")
        connection.rollback()


@pytest.mark.req("D12", "G5")
def test_looks_go_a_year_after_their_month(fresh: Database) -> None:
    change(fresh, "select private.add_month('audit.access_entries', '2025-02-01')")
    change(fresh, LOOK, NOORD, "2025-02-28")
    for at, is_there in (("2026-02-28 23:59:59+00", True), ("2026-03-01 00:00:00+00", False)):
        with fresh.connect() as connection:
            connection.execute("select private.keep_audit_partitions(%s)", (at,))
            assert ("2025-02-01" in one(connection, MONTHS, "audit.access_entries")) is is_there
            connection.rollback()


def test_housekeeping_seals_and_makes_months(fresh: Database) -> None:
    issued_invoice(fresh, RITA, KAREL)
    change(fresh, "select private.keep_audit_partitions(now())")
    with fresh.connect("worker") as connection:
        done = one(connection, "select private.housekeep()")
        connection.commit()
    assert (done["audit_sealed"] > 0, done["months_made"], done["months_dropped"]) == (True, 0, 0)
    assert look(fresh, "select is_intact from private.verify_audit(%s)", NOORD) is True
