"""What row-level security costs on a million invoices: the same query by hand and through the policies.

    .venv/bin/python -m benchmarks.policies [--invoices 1000000]

Prints, per query, the median execution time of both and their ratio, and whether the plan walks an
index. Times come from EXPLAIN ANALYZE in one session, the two variants taking turns.
"""

import argparse
import json
import statistics

import psycopg

from benchmarks.database import throw_away
from devstack.testing import Connection, Database

GARAGES = 500
ROUNDS = 31
NOORD = "11111111-0000-4000-8000-000000000001"
RITA = {
    "role": "authenticated",
    "sub": "22222222-0000-4000-8000-000000000002",
    "garage_id": NOORD,
    "session_id": "2b222222-0000-4000-8000-000000000002",
    "aud": "authenticated",
}
CARLA = "33333333-0000-4000-8000-000000000001"

FILL = """
set session_replication_role = replica;
alter table public.invoices disable trigger all;
insert into public.garages (id, legal_name, trade_name, enterprise_number, vat_number, street, postal_code,
    city, email, iban)
select ('11111111-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, 'Garage ' || n, 'Garage ' || n,
       '0403170701', 'BE0403170701', 'Straat 1', '1000', 'Brussel', 'info@example.test', 'BE68539007547034'
  from generate_series(1, %(garages)s - 2) n;
insert into public.customers (garage_id, full_name, locale)
select g.id, 'Customer ' || n, 'nl' from public.garages g, generate_series(1, 100) n;
insert into public.invoices (garage_id, customer_id, created_at, year, number, invoice_number, issued_at,
    issue_date, due_date, net_total, vat_total, gross_total, structured_communication, snapshot)
select c.garage_id, c.id, at, 2025, (c.place * 100000 + n)::int, format('B%%s-%%s', c.place, n),
       at, at::date, at::date + 30, 100, 21, 121,
       format('%%s/%%s', c.place, n), '{}'
  from (select garage_id, id, row_number() over (partition by garage_id order by id) as place
          from public.customers) c,
       generate_series(1, %(per_customer)s) n,
       lateral (
        select timestamptz '2025-01-01' + (n * 131 + c.place * 17) %% 500000 * interval '1 minute' as at) t;
"""

QUERIES = {
    "staff: newest 25 invoices": (
        RITA,
        "select id, invoice_number, gross_total from public.invoices {where}"
        " order by created_at desc, id limit 25",
        f"where garage_id = '{NOORD}'",
    ),
    "staff: one customer's invoices": (
        RITA,
        "select id, invoice_number from public.invoices where customer_id = "
        f"'{CARLA}' {{where}} order by issue_date desc limit 25",
        f"and garage_id = '{NOORD}'",
    ),
    "portal: own newest 25 invoices": (
        None,
        "select id, invoice_number, gross_total from portal.invoices {where}"
        " order by issue_date desc limit 25",
        f"where garage_id = '{NOORD}' and customer_id = '{CARLA}'",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=int, default=1_000_000)
    invoices = parser.parse_args().invoices
    with throw_away() as database:
        run(database, invoices)


def run(database: Database, invoices: int) -> None:
    fill(database, invoices)
    with database.connect("postgres") as owner:
        owner.execute(
            "insert into auth.sessions (id, user_id) values (%s, %s)", (RITA["session_id"], RITA["sub"])
        )
        portal = open_portal_session(owner)
    for name, (claims, statement, by_hand) in QUERIES.items():
        compare(database, name, claims or portal, statement, by_hand)


def fill(database: Database, invoices: int) -> None:
    per_customer = invoices // (GARAGES * 100)
    with psycopg.connect(database.conninfo("supabase_admin"), autocommit=True) as admin:
        with admin.transaction():
            cursor = psycopg.ClientCursor(admin)
            cursor.execute(FILL, {"garages": GARAGES, "per_customer": per_customer})
        admin.execute("vacuum analyze public.invoices")
        admin.execute("vacuum analyze public.customers")


def open_portal_session(owner: Connection) -> dict[str, str]:
    """A live session of Carla's; the claims of its token."""
    row = owner.execute(
        "insert into public.portal_sessions (garage_id, account_id, device_id, idle_expires_at, expires_at)"
        " select garage_id, account_id, id, now() + interval '1 hour', now() + interval '1 hour'"
        " from public.portal_devices where id = '66666666-0000-4000-8000-000000000001'"
        " returning id, garage_id, account_id"
    ).fetchone()
    assert row is not None
    return {
        "role": "portal",
        "sub": str(row["account_id"]),
        "session_id": str(row["id"]),
        "garage_id": str(row["garage_id"]),
    }


def compare(database: Database, name: str, claims: dict[str, str], statement: str, by_hand: str) -> None:
    times: dict[str, list[float]] = {"policies": [], "by hand": []}
    plan = ""
    with database.connect("postgres") as owner, database.connect("authenticator") as client:
        for _ in range(ROUNDS):
            client.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (claims["role"], json.dumps(claims)),
            )
            milliseconds, plan = explain(client, statement.format(where=""))
            times["policies"].append(milliseconds)
            client.rollback()
            milliseconds, _ = explain(owner, statement.format(where=by_hand))
            times["by hand"].append(milliseconds)
    policies, hand = statistics.median(times["policies"]), statistics.median(times["by hand"])
    walks = "index" if "Index" in plan and "Seq Scan on invoices" not in plan else "SEQUENTIAL SCAN"
    print(
        f"{name:34} by hand {hand:7.3f} ms   policies {policies:7.3f} ms   {policies / hand:5.2f}x   {walks}"
    )


def explain(connection: Connection, statement: str) -> tuple[float, str]:
    rows = connection.execute(f"explain (analyze, format json) {statement}").fetchone()
    assert rows is not None
    plan = rows["QUERY PLAN"][0]
    return plan["Execution Time"] + plan["Planning Time"], json.dumps(plan)


if __name__ == "__main__":
    main()
