"""What the audit costs: 10,000 rows in one statement into one table, bare, audited, audited otherwise.

    .venv/bin/python -m benchmarks.audit [--rows 10000] [--rounds 15]

The three tables have the columns of an invoice, what every table of ours has (a key, an index by garage, a
foreign key to it) and no other trigger. `audited` has the triggers that
`private.audit_table` generates; `whole records` has the usual other way, one row-level trigger that keeps
the old and the new record as jsonb. The variants take turns; times are medians, of one row, too. Then: how
long sealing and verifying 100,000 entries takes, and how much room a sealed entry and its seal need.
"""

import argparse
import statistics
import time
from collections import defaultdict

import psycopg

from benchmarks.database import throw_away
from devstack.testing import Connection, Database

NOORD = "11111111-0000-4000-8000-000000000001"
VARIANTS = ("bare", "audited", "whole records")
TABLES = {variant: f"public.bench_{variant.replace(' ', '_')}" for variant in VARIANTS}
TABLE = """
create table {table} (
    id uuid primary key default gen_random_uuid(), garage_id uuid not null references public.garages (id),
    customer_id uuid not null,
    status text not null, invoice_number text, issue_date date, due_date date, note text,
    net_total numeric(12, 2) not null, vat_total numeric(12, 2) not null, gross_total numeric(12, 2) not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create index on {table} (garage_id, created_at desc);
comment on column {table}.id is 'internal';
comment on column {table}.garage_id is 'internal';
comment on column {table}.customer_id is 'internal';
comment on column {table}.status is 'internal';
comment on column {table}.invoice_number is 'personal(billing; subject=customer; on_erasure=keep:invoice)';
comment on column {table}.issue_date is 'internal';
comment on column {table}.due_date is 'internal';
comment on column {table}.note is 'personal(content; subject=customer; on_erasure=erase)';
comment on column {table}.net_total is 'internal';
comment on column {table}.vat_total is 'internal';
comment on column {table}.gross_total is 'internal';
comment on column {table}.created_at is 'internal';
comment on column {table}.updated_at is 'internal';
"""
WHOLE_RECORDS = """
create table public.bench_records (
    id bigint primary key generated always as identity, table_name text not null, op text not null,
    occurred_at timestamptz not null default now(), actor text not null, row_id uuid not null,
    old_record jsonb, new_record jsonb);
create index on public.bench_records (table_name, row_id);
create index on public.bench_records (occurred_at);
create function private.tg__bench_whole_record() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.bench_records (table_name, op, actor, row_id, old_record, new_record)
    values (tg_table_schema || '.' || tg_table_name, left(tg_op, 1), private.actor(),
        coalesce(new.id, old.id), to_jsonb(old), to_jsonb(new));
    return null;
end $$;
create trigger _800_whole_record after insert or update or delete on public.bench_whole_records
    for each row execute function private.tg__bench_whole_record();
"""
INSERT = """
insert into {table} (garage_id, customer_id, status, invoice_number, issue_date, due_date, note,
    net_total, vat_total, gross_total)
select %s, gen_random_uuid(), 'draft', 'N-' || n, date '2026-01-01' + n %% 300, date '2026-02-01' + n %% 300,
       'A note of some length about this invoice', n, n * 0.21, n * 1.21
  from generate_series(1, %s) n
"""
UPDATE = "update {table} set status = 'issued', gross_total = gross_total + 1, updated_at = now()"
KEPT = """
select (select sum(pg_total_relation_size(t.relid)) from pg_partition_tree('audit.entries') t)
           / (select count(*) from audit.entries) as entry,
       (select sum(pg_total_relation_size(t.relid)) from pg_partition_tree('audit.sealed_rows') t)
           / (select count(*) from audit.entries) as seal
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with throw_away() as database:
        _make_tables(database)
        for rows in (1, options.rows):
            _compare(database, rows, options.rounds)
        _seal(database, options.rows)


def _make_tables(database: Database) -> None:
    with database.connect() as owner:
        for table in TABLES.values():
            owner.execute(TABLE.format(table=table).encode())
        owner.execute(WHOLE_RECORDS)
        owner.execute("call private.audit_table('public.bench_audited')")


def _compare(database: Database, rows: int, rounds: int) -> None:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    with database.connect() as owner:
        for _ in range(rounds * (20 if rows == 1 else 1)):
            for variant in VARIANTS:
                _round(owner, variant, rows, times)
            if rows > 1:
                _vacuum(database)
    for verb in ("insert", "update"):
        bare = statistics.median(times["bare", verb])
        told = [
            f"{variant} {found:8.2f} ms {found / bare:5.2f}x"
            for variant in VARIANTS
            for found in [statistics.median(times[variant, verb])]
        ]
        print(f"{verb} {rows:6} rows   {'   '.join(told)}")


def _round(owner: Connection, variant: str, rows: int, times: dict[tuple[str, str], list[float]]) -> None:
    for verb, statement, values in (("insert", INSERT, (NOORD, rows)), ("update", UPDATE, ())):
        query = statement.format(table=TABLES[variant]).encode()
        started = time.perf_counter()
        owner.execute(query, values)
        times[variant, verb].append((time.perf_counter() - started) * 1000)
    owner.rollback()


def _vacuum(database: Database) -> None:
    with psycopg.connect(database.conninfo("supabase_admin"), autocommit=True) as admin:
        for table in (*TABLES.values(), "public.bench_records", "audit.entries"):
            admin.execute(f"vacuum {table}".encode())


def _seal(database: Database, rows: int) -> None:
    with database.connect(autocommit=True) as owner:
        for _ in range(100_000 // rows):
            owner.execute(INSERT.format(table=TABLES["audited"]).encode(), (NOORD, rows))
        for what, call in (
            ("seal", "select private.seal_audit(now(), 1000000)"),
            ("verify", f"select private.verify_audit('{NOORD}')"),
        ):
            started = time.perf_counter()
            found = owner.execute(call.encode()).fetchone()
            print(f"{what} {(time.perf_counter() - started) * 1000:8.0f} ms   {found}")
        print(owner.execute(KEPT).fetchone())


if __name__ == "__main__":
    main()
