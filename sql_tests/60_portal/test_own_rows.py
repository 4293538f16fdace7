"""What a customer sees: exactly their own rows, read-only, by name of the portal's views alone."""

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, CUSTOMERS, KAREL, RITA, Actor, Customer
from sql_tests.steps import denied, one

# What belongs to a customer, as the owner of the tables would look it up.
TRUTH = {
    "garage": "select id::text from public.garages where id = %(garage)s",
    "profile": "select id::text from public.customers where id = %(customer)s",
    "vehicles": "select vehicle_id::text from public.vehicle_ownerships where customer_id = %(customer)s",
    "odometer_readings": "select r.id::text from public.odometer_readings r join public.vehicle_ownerships o"
    " on o.vehicle_id = r.vehicle_id where o.customer_id = %(customer)s",
    "invoices": "select id::text from public.invoices"
    " where customer_id = %(customer)s and issued_at is not null",
    "invoice_lines": "select l.id::text from public.invoice_lines l"
    " join public.invoices i on i.id = l.invoice_id"
    " where i.customer_id = %(customer)s and i.issued_at is not null",
    "invoice_vat_totals": "select t.invoice_id::text from public.invoice_vat_totals t"
    " join public.invoices i on i.id = t.invoice_id where i.customer_id = %(customer)s",
    "documents": "select d.id::text from public.invoice_documents d"
    " join public.invoices i on i.id = d.invoice_id"
    " where i.customer_id = %(customer)s and d.status = 'stored'",
    "work_orders": "select id::text from public.work_orders where customer_id = %(customer)s"
    " and status not in ('estimate', 'cancelled')",
    "conversations": "select id::text from public.conversations where customer_id = %(customer)s",
    "messages": "select m.id::text from public.messages m"
    " join public.conversations c on c.id = m.conversation_id where c.customer_id = %(customer)s",
    "message_photos": "select p.id::text from public.message_photos p"
    " join public.conversations c on c.id = p.conversation_id where c.customer_id = %(customer)s",
    "devices": "select d.id::text from public.portal_devices d"
    " join public.portal_accounts a on a.id = d.account_id where a.customer_id = %(customer)s",
    "sessions": "select s.id::text from public.portal_sessions s"
    " join public.portal_accounts a on a.id = s.account_id where a.customer_id = %(customer)s",
}
KEYS = {"invoice_vat_totals": "invoice_id"}
by_customer = pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda customer: str(customer.number))


def rows(database: Database, actor: Actor, view: str) -> list[str]:
    with actor.acting(database) as connection:
        key = KEYS.get(view, "id")
        found = connection.execute(f"select {key}::text as id from portal.{view}".encode()).fetchall()
    return sorted(row["id"] for row in found)


@pytest.mark.req("P9", "P10", "P11", "P12", "D1")
@by_customer
def test_a_customer_sees_exactly_their_own_rows_in_every_view(
    busy_database: Database, customer: Customer
) -> None:
    ids = {"customer": customer.customer_id, "garage": customer.garage_id}
    with busy_database.connect() as connection:
        views = connection.execute(
            "select relname from pg_class where relnamespace = 'portal'::regnamespace and relkind = 'v'"
        ).fetchall()
        assert {row["relname"] for row in views} == set(TRUTH)
        truth = {
            view: sorted(str(next(iter(row.values()))) for row in connection.execute(query.encode(), ids))
            for view, query in TRUTH.items()
        }
    assert {view: rows(busy_database, customer.actor, view) for view in TRUTH} == truth
    assert all(truth.values())


@pytest.mark.req("P11")
def test_drafts_and_internal_notes_are_hidden(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        query = "select count(*) from public.invoices where customer_id = %s and status = 'draft'"
        assert one(connection, query, CARLA.customer_id) > 0
    hidden = ("internal_note", "snapshot", "issued_by", "status")
    for column in hidden:
        with (
            CARLA.actor.acting(busy_database) as connection,
            pytest.raises(Exception, match="does not exist"),
        ):
            connection.execute(f"select {column} from portal.invoices".encode())


@pytest.mark.req("P9", "P10", "P11", "P12")
@pytest.mark.parametrize("verb", ["insert", "update", "delete", "truncate"])
def test_a_customer_writes_no_table_and_no_view_with_any_verb(busy_database: Database, verb: str) -> None:
    with busy_database.connect() as connection:
        relations = connection.execute(
            "select format('%I.%I', c.relnamespace::regnamespace, c.relname) as name, (select a.attname::text"
            "  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = ''"
            "  order by a.attnum limit 1) as first"
            "  from pg_class c where c.relkind in ('r', 'p', 'v') and c.relnamespace::regnamespace::text"
            "    in ('public', 'portal', 'website', 'private', 'audit')"
            # What nobody at all could write says so before it asks who is there.
            "   and (c.relnamespace <> 'private'::regnamespace or c.relkind <> 'v'"
            "        or pg_relation_is_updatable(c.oid, false) > 0)"
        ).fetchall()
    assert len(relations) > 40
    statements = {
        "insert": "insert into {name} ({first}) values (null)",
        "update": "update {name} set {first} = {first}",
        "delete": "delete from {name}",
        "truncate": "truncate {name}",
    }
    with CARLA.actor.acting(busy_database) as connection:
        for row in relations:
            if verb == "truncate" and row["name"].startswith("portal."):
                continue  # a view cannot be truncated by anybody
            with denied(), connection.transaction():
                connection.execute(statements[verb].format(**row).encode())


@pytest.mark.req("D1")
def test_a_customer_cannot_name_a_table_that_is_behind_a_view(busy_database: Database) -> None:
    with CARLA.actor.acting(busy_database) as connection, denied():
        connection.execute("select id from public.invoices")
    with CARLA.actor.acting(busy_database) as connection:
        assert one(connection, "select count(*) from portal.invoices") == 1


@pytest.mark.req("D1", "P5")
def test_a_token_of_one_relation_shows_nothing_of_the_other(busy_database: Database) -> None:
    here, there = CARLA.actor, CARLA_AT_ZUID.actor
    mixed = (
        here.but("garage of the other", garage_id=there.claims["garage_id"]),
        here.but("session of the other", session_id=there.claims["session_id"]),
        here.but("account of the other", sub=there.claims["sub"]),
        here.but("Karel's account", sub=KAREL.account_id),
        here.but("no session", session_id=None),
    )
    for actor in mixed:
        assert [view for view in TRUTH if rows(busy_database, actor, view)] == []
    assert rows(busy_database, here, "profile") == [CARLA.customer_id]
