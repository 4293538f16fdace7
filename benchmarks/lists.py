"""The lists and the search of a large garage (100,000 of a million invoices), as its receptionist asks them.

    .venv/bin/python -m benchmarks.lists [--invoices 1000000] [--plans]

Prints per question the median execution time, the rows it answered with and whether the plan reads a
table from end to end. Times come from EXPLAIN ANALYZE through the policies.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path

import psycopg

from benchmarks.policies import NOORD, RITA, fill
from devstack.config import free_port
from devstack.postgres import Cluster
from devstack.testing import Connection, Database

ROUNDS = 7
OWN_INVOICES = 100_000

# 10,000 customers with a car each; nine invoices in ten are paid, one in fifty is credited.
LARGE = f"""
set session_replication_role = replica;
alter table public.invoice_vat_totals disable trigger all;
alter table public.payments disable trigger all;
insert into public.customers (id, garage_id, full_name, email, phone, city)
select ('33333333-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, '{NOORD}',
       (array['Peeters', 'Janssens', 'Maes', 'Dubois', 'Lambert'])[n % 5 + 1] || ' ' || md5(n::text),
       md5(n::text) || '@example.test', '+324' || lpad(n::text, 8, '0'), 'Antwerpen'
  from generate_series(1, 10000) n;
insert into public.vehicles (id, garage_id, vin, make, model)
select ('44444444-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, '{NOORD}',
       'WVWZZZCDZ' || lpad(n::text, 8, '0'), 'Volkswagen', 'Golf'
  from generate_series(1, 10000) n;
insert into public.vehicle_plates (garage_id, vehicle_id, plate, valid_from)
select '{NOORD}', ('44444444-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid,
       format('1-%s-%s', chr(65 + n / 1000) || chr(65 + n / 100 % 10) || 'X',
           lpad((n % 1000)::text, 3, '0')), date '2020-01-01'
  from generate_series(1, 10000) n;
insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from)
select '{NOORD}', ('44444444-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid,
       ('33333333-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, date '2020-01-01'
  from generate_series(1, 10000) n;
insert into public.invoices (id, garage_id, customer_id, kind, credits_invoice_id, created_at, year, number,
    invoice_number, issued_at, issue_date, due_date, net_total, vat_total, gross_total,
    structured_communication, snapshot)
select ('88888888-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, '{NOORD}',
       ('33333333-0000-4000-9000-' || lpad((n % 10000 + 1)::text, 12, '0'))::uuid,
       case when n % 50 = 7 then 'credit_note' else 'invoice' end,
       case when n % 50 = 7 then ('88888888-0000-4000-9000-' || lpad((n - 1)::text, 12, '0'))::uuid end,
       day, 2026, 1000 + n, 'L2026-' || n, day, day::date, day::date + 30, 100, 21, 121,
       case when n % 50 <> 7 then '+++' || lpad(n::text, 12, '0') || '+++' end, '{{}}'
  from generate_series(1, {OWN_INVOICES}) n,
       lateral (select now() - (n % 1000) * interval '1 day' as day) d;
insert into public.invoice_vat_totals (garage_id, invoice_id, vat_rate, base, vat)
select garage_id, id, 21, 100, 21 from public.invoices
 where garage_id = '{NOORD}' and invoice_number like 'L%';
insert into public.payments (garage_id, invoice_id, amount, paid_on, method)
select garage_id, id, 121, issue_date, 'card' from public.invoices
 where garage_id = '{NOORD}' and kind = 'invoice' and number % 10 <> 0;
"""

QUESTIONS = {
    "newest 25 invoices": "select id, invoice_number from public.invoices order by created_at desc limit 25",
    "open invoices, oldest 25": "select * from public.open_invoices order by due_date limit 25",
    "open invoices, total per age": "select ageing, sum(balance) from public.open_invoices group by 1",
    "balance of one invoice": "select * from public.invoice_balances"
    " where invoice_id = '88888888-0000-4000-9000-000000000100'",
    "day totals of a month": "select * from public.day_totals where day > current_date - 31",
    "VAT of a quarter": "select * from public.vat_totals(current_date - 90, current_date)",
    "one customer's card": "select * from public.customer_cards"
    " where id = '33333333-0000-4000-9000-000000000100'",
    "search: part of a name": "select * from public.search('ambert a1')",
    "search: a common name": "select * from public.search('peeters')",
    "search: plate without dashes": "select * from public.search('1aax042')",
    "search: structured reference": "select * from public.search('000000054321')",
    "duplicates of a customer": "select * from public.find_duplicate_customers("
    "'33333333-0000-4000-9000-000000000100')",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invoices", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="Print the plans too.")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="autexor-bench-"))
    directory.chmod(0o755)
    cluster = Cluster.at(directory / "postgres", free_port(), directory / "postgres.log")
    cluster.init()
    process = cluster.start()
    try:
        run(Database(cluster, "postgres"), options.invoices - OWN_INVOICES, options.plans)
    finally:
        cluster.stop(process)
        shutil.rmtree(directory, ignore_errors=True)


def run(database: Database, others: int, with_plans: bool) -> None:
    """Fill a database and ask it everything."""
    fill(database, others)
    with psycopg.connect(database.conninfo("supabase_admin"), autocommit=True) as admin:
        with admin.transaction():
            psycopg.ClientCursor(admin).execute(LARGE.encode())
        admin.execute("vacuum analyze")
    with database.connect("postgres") as owner:
        owner.execute(
            "insert into auth.sessions (id, user_id) values (%s, %s)", (RITA["session_id"], RITA["sub"])
        )
    with database.connect("authenticator") as client:
        for name, statement in QUESTIONS.items():
            ask(client, name, statement, with_plans)


def ask(client: Connection, name: str, statement: str, with_plans: bool) -> None:
    """Ask one question several times and print what it cost."""
    times, plan = [], {}
    for _ in range(ROUNDS):
        client.execute(
            "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
            (json.dumps(RITA),),
        )
        row = client.execute(f"explain (analyze, timing off, format json) {statement}".encode()).fetchone()
        assert row is not None
        (plan,) = row["QUERY PLAN"]
        times.append(plan["Execution Time"])
        client.rollback()
    rows = plan["Plan"]["Actual Rows"]
    reads = "whole table" if '"Seq Scan"' in json.dumps(plan) else "index"
    print(f"{name:32} {statistics.median(times):9.2f} ms   {rows:7.0f} rows   {reads}", flush=True)
    if with_plans:
        print(json.dumps(plan["Plan"], indent=1))


if __name__ == "__main__":
    main()
