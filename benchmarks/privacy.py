"""How long exporting and erasing ten years of a customer take, and what the third lock costs.

    .venv/bin/python -m benchmarks.privacy [--others 100000]

Ten years of a good customer: an invoice a month with three lines, document, e-mail and payment, its work
order with tasks, lines and two photos, and a message a week; beside it the invoices of a thousand others.
The third lock is measured on the garage's newest invoices and on its lines: without it, with it, and with it
while a customer is restricted.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.database import throw_away
from devstack.testing import SIGN_EVERYBODY_IN, Connection, Database, become
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA

ROUNDS = 31
OFF = """
do $$ declare t record; begin
    for t in select distinct tgrelid::regclass as name from pg_trigger g join pg_class c on c.oid = g.tgrelid
              where not tgisinternal and c.relnamespace::regnamespace::text in ('public', 'private',
    'storage')
    loop execute format('alter table %s {how} trigger user', t.name); end loop;
end $$
"""
HISTORY = f"""
create temporary table months as
select n, gen_random_uuid() as invoice, gen_random_uuid() as work_order, gen_random_uuid() as document,
       now() - n * interval '1 month' as at
  from generate_series(1, 120) n;
insert into public.invoices (id, garage_id, customer_id, vehicle_id, odometer_km, created_at, year, number,
    invoice_number, issued_at, issue_date, due_date, net_total, vat_total, gross_total,
    structured_communication, snapshot, internal_note)
select invoice, '{NOORD}', '{CARLA.customer_id}', '{CARLA.vehicle_id}', 1000 * n, at, 2000, n, 'H' || n, at,
       at::date, at::date, 100, 21, 121, 'H' || n, '{{"customer": {{"name": "Carla"}}}}', 'Betaalt laat'
  from months;
insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity, unit_price,
    vat_rate)
select '{NOORD}', invoice, p, 'Onderhoud', 1, 33, 21 from months, generate_series(1, 3) p;
insert into public.invoice_documents (id, garage_id, invoice_id, status)
select document, '{NOORD}', invoice, 'failed' from months;
insert into public.communications (garage_id, customer_id, invoice_id, document_id, template, locale,
    recipient,
    subject, body_text, body_html, status, created_at)
select '{NOORD}', '{CARLA.customer_id}', invoice, document, 'invoice_issued', 'nl', 'carla@example.test',
       'Factuur', repeat('tekst ', 100), repeat('<p>tekst</p>', 100), 'sent', at from months;
insert into public.delivery_attempts (garage_id, communication_id, attempt, outcome, started_at)
select garage_id, id, 1, 'done',
    created_at from public.communications where customer_id = '{CARLA.customer_id}';
insert into public.payments (garage_id, invoice_id, amount, paid_on, method)
select '{NOORD}', invoice, 121, at::date, 'card' from months;
insert into public.work_orders (id, garage_id, year, number, customer_id, vehicle_id, complaint, created_at)
select work_order, '{NOORD}', 2000, n, '{CARLA.customer_id}', '{CARLA.vehicle_id}', 'Piept', at from months;
insert into public.work_order_tasks (garage_id, work_order_id, position, title)
select '{NOORD}', work_order, p, 'Remmen' from months, generate_series(1, 2) p;
insert into public.work_order_lines (garage_id, work_order_id, kind, position, description, quantity,
    unit_price,
    vat_rate)
select '{NOORD}', work_order, 'part', p, 'Remblok', 1, 33, 21 from months, generate_series(1, 3) p;
insert into public.work_order_photos (garage_id, work_order_id, content_type)
select '{NOORD}', work_order, 'image/jpeg' from months, generate_series(1, 2);
insert into storage.objects (bucket_id, name)
select 'work_order_photos', storage_path from public.work_order_photos;
insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on, source)
select '{NOORD}', '{CARLA.vehicle_id}', 1000 * n, at::date, 'staff' from months where at > '2021-03-15';
insert into public.conversations (id, garage_id, customer_id)
values ('aaaaaaaa-0000-4000-8000-000000000001', '{NOORD}', '{CARLA.customer_id}');
insert into public.messages (garage_id, conversation_id, sender, body, created_at)
select '{NOORD}', 'aaaaaaaa-0000-4000-8000-000000000001', case n % 2 when 0 then 'garage' else 'customer' end,
       'Is hij klaar?', now() - n * interval '1 week' from generate_series(1, 520) n;
"""
OTHERS = f"""
insert into public.customers (id, garage_id, full_name, locale)
select ('33333333-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, '{NOORD}', 'Klant ' || n, 'nl'
  from generate_series(1, 1000) n;
insert into public.invoices (id, garage_id, customer_id, created_at, year, number, invoice_number, issued_at,
    issue_date, due_date, net_total, vat_total, gross_total, structured_communication, snapshot)
select gen_random_uuid(), '{NOORD}', ('33333333-0000-4000-9000-' || lpad((n %% 1000 + 1)::text, 12,
    '0'))::uuid,
       at, 2001, n, 'O' || n, at, at::date, at::date, 100, 21, 121, 'O' || n, '{{}}'
  from generate_series(1, %(others)s) n, lateral (select now() - n * interval '1 minute' as at) t;
insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity, unit_price,
    vat_rate)
select garage_id, id, 1, 'Onderhoud', 1, 100, 21 from public.invoices where year = 2001;
"""
LISTS = {
    "newest 25 invoices": "select id, invoice_number from public.invoices"
    " order by created_at desc, id limit 25",
    "lines of one invoice": "select id from public.invoice_lines where invoice_id ="
    " (select id from public.invoices where invoice_number = 'O77')",
    "all lines counted": "select count(*) from public.invoice_lines",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", type=int, default=100_000)
    others = parser.parse_args().others
    with throw_away() as database:
        fill(database, others)
        measure_locks(database)
        measure_rights(database)


def fill(database: Database, others: int) -> None:
    with database.connect("supabase_admin") as admin:
        admin.execute(SIGN_EVERYBODY_IN)
        admin.execute(OFF.format(how="disable").encode())
        admin.execute("set search_path = pg_catalog")
        admin.execute(HISTORY.encode())
        admin.execute((OTHERS % {"others": others}).encode())
        admin.execute(OFF.format(how="enable").encode())
    with database.connect("supabase_admin", autocommit=True) as admin:
        admin.execute("vacuum analyze")


@contextmanager
def olga(database: Database) -> Iterator[Connection]:
    with database.connect("authenticator") as connection:
        become(connection, OLGA.claims)
        yield connection


def measure_locks(database: Database) -> None:
    with_lock = medians(database)
    restrict(database, KAREL.customer_id)
    restricted = medians(database)
    restrict(database, CARLA.customer_id)
    heavily = medians(database)
    with database.connect("supabase_admin") as admin:
        admin.execute("update public.customer_restrictions set lifted_at = now(), lift_reason = 'klaar'")
        for table in ("public.invoices", "public.invoice_lines"):
            admin.execute(f"drop policy restriction on {table}".encode())
    without = medians(database)
    for name in LISTS:
        print(
            f"{name:24} without the lock {without[name]:8.3f} ms, with {with_lock[name]:8.3f} ms,"
            " one restricted"
            f" {restricted[name]:8.3f} ms, one with ten years restricted {heavily[name]:8.3f} ms"
        )


def medians(database: Database) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in LISTS}
    with olga(database) as connection:
        for _ in range(ROUNDS):
            for name, query in LISTS.items():
                row: Any = connection.execute(f"explain (analyze, format json) {query}".encode()).fetchone()
                found[name].append(row["QUERY PLAN"][0]["Execution Time"])
        connection.rollback()
    return {name: statistics.median(times) for name, times in found.items()}


def restrict(database: Database, customer_id: str) -> None:
    request = ask(database, customer_id, "restriction")
    with olga(database) as connection:
        connection.execute("select public.execute_restriction(%s)", (request,))
        connection.commit()


def ask(database: Database, customer_id: str, kind: str) -> str:
    with olga(database) as connection:
        row: Any = connection.execute(
            "select id from public.receive_rights_request(%s, %s)", (customer_id, kind)
        ).fetchone()
        connection.execute("select public.verify_rights_identity(%s, 'id_card')", (row["id"],))
        connection.commit()
    return str(row["id"])


def measure_rights(database: Database) -> None:
    request = ask(database, CARLA.customer_id, "erasure")
    with olga(database) as connection:
        started = time.monotonic()
        row: Any = connection.execute("select public.rights_export(%s) as about", (request,)).fetchone()
        rows = size = 0
        for table in row["about"]["tables"]:
            for first in range(0, table["rows"], 500):
                page = connection.execute(
                    "select r from public.rights_export_rows(%s, %s, %s, 500) r",
                    (request, table["table"], first),
                ).fetchall()
                rows += len(page)
                size += sum(len(json.dumps(one["r"])) for one in page)
        connection.commit()
        files = len(row["about"]["files"])
        print(
            f"export: {rows} rows, {size} bytes of JSON, {files} files in {time.monotonic() - started:.2f} s"
        )
    with olga(database) as connection:
        started = time.monotonic()
        plan: Any = connection.execute("select public.erasure_plan(%s) as plan", (request,)).fetchone()
        connection.commit()
        print(f"plan: {len(plan['plan']['steps'])} rows in {time.monotonic() - started:.2f} s")
    with olga(database) as connection:
        started = time.monotonic()
        connection.execute("select public.execute_erasure(%s, %s)", (request, plan["plan"]["sha256"]))
        connection.commit()
        print(f"erasure, in one transaction: {time.monotonic() - started:.2f} s; files follow by the worker")
    with database.connect() as owner:
        started = time.monotonic()
        owner.execute("select private.apply_retention(now(), true, array[%s]::uuid[])", (NOORD,))
        print(f"retention of the garage, dry run: {time.monotonic() - started:.2f} s")


if __name__ == "__main__":
    main()
