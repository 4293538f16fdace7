"""What the views do not show: hidden columns, what is not yet or no longer a customer's, closed modules."""

from collections.abc import Iterator

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, CARLA_AT_ZUID, KAREL, NOORD, OLGA, SERVICE_ROLE, Actor, Customer
from sql_tests.steps import denied, one

VIEWS = (
    "garage",
    "profile",
    "vehicles",
    "odometer_readings",
    "invoices",
    "invoice_lines",
    "invoice_vat_totals",
    "documents",
    "conversations",
    "messages",
    "message_photos",
)
HIDDEN = (
    "garage.payment_days",
    "garage.time_zone",
    "garage.logo_sha256",
    "profile.archived_at",
    "profile.created_at",
    "vehicles.created_at",
    "odometer_readings.source",
    "invoices.internal_note",
    "invoices.snapshot",
    "invoices.status",
    "invoices.issued_by",
    "invoices.number",
    "documents.storage_path",
    "documents.sha256",
    "conversations.customer_id",
    "conversations.assigned_to",
    "messages.author_user_id",
)
SALE = """
update public.vehicle_ownerships set valid_to = current_date - 10 where vehicle_id = %(vehicle)s;
insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from)
values (%(garage)s, %(vehicle)s, %(buyer)s, current_date - 10);
insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on)
values (%(garage)s, %(vehicle)s, 101, current_date - 11), (%(garage)s, %(vehicle)s, 102, current_date - 10),
       (%(garage)s, %(vehicle)s, 103, current_date), (%(garage)s, %(vehicle)s, 100, date '2000-01-01');
"""


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def listed(connection: Connection, query: str, **values: object) -> set[object]:
    return {next(iter(row.values())) for row in connection.execute(query.encode(), values)}


def shown(connection: Connection, actor: Actor, view: str) -> set[object]:
    key = "invoice_id" if view == "invoice_vat_totals" else "id"
    with probes.acting(connection, actor):
        return listed(connection, f"select {key}::text from portal.{view}")


@pytest.mark.req("P9")
@pytest.mark.parametrize("view", VIEWS)
def test_staff_strangers_and_operators_cannot_name_the_portals_views(
    connection: Connection, view: str
) -> None:
    assert shown(connection, CARLA.actor, view)
    for actor in (OLGA, ANON, SERVICE_ROLE):
        with denied():
            shown(connection, actor, view)
        connection.rollback()


@pytest.mark.req("P11")
def test_drafts_are_invisible_with_their_lines_and_totals(connection: Connection) -> None:
    drafts = "select count(*) from public.invoices where customer_id = %s and issued_at is null"
    assert one(connection, drafts, CARLA.customer_id) > 0
    with probes.acting(connection, CARLA.actor):
        assert one(connection, "select count(*) from portal.invoices where invoice_number is null") == 0
        orphans = "select count(*) from portal.invoice_lines where invoice_id not in"
        orphans += " (select id from portal.invoices)"
        assert one(connection, orphans) == 0


@pytest.mark.req("P9", "P11")
@pytest.mark.parametrize("column", HIDDEN)
def test_hidden_columns_answer_like_invented_ones(connection: Connection, column: str) -> None:
    view, _, name = column.partition(".")
    said = []
    for asked in (name, "invented"):
        for query in (f"select {asked} from portal.{view}", f"select 1 from portal.{view} order by {asked}"):
            with (
                pytest.raises(psycopg.errors.UndefinedColumn) as caught,
                probes.acting(connection, CARLA.actor),
            ):
                connection.execute(query.encode())
            said.append((caught.value.diag.message_primary or "").replace(asked, "…"))
    assert set(said) == {'column "…" does not exist'}


@pytest.mark.req("P11")
@pytest.mark.parametrize(
    "query",
    [
        "select internal_note from public.invoices",
        "select snapshot from public.invoices",
        "select * from public.invoices",
        "select author_user_id from public.messages",
        "select i from public.invoices i",
    ],
)
def test_the_tables_behind_the_views_are_closed(busy_database: Database, query: str) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        assert one(connection, "select count(*) from portal.invoices") > 0
        with denied():
            connection.execute(query.encode())


@pytest.mark.req("P10")
def test_a_sold_car_is_no_longer_the_sellers_and_each_sees_readings_of_their_own_time(
    connection: Connection,
) -> None:
    invoices = shown(connection, CARLA.actor, "invoices")
    assert shown(connection, CARLA.actor, "vehicles") == {CARLA.vehicle_id}
    assert shown(connection, KAREL.actor, "vehicles") == {KAREL.vehicle_id}
    for statement in SALE.strip().split(";\n"):
        values = {"vehicle": CARLA.vehicle_id, "garage": NOORD, "buyer": KAREL.customer_id}
        connection.execute(statement.encode(), values)
    assert shown(connection, CARLA.actor, "vehicles") == set()
    assert shown(connection, KAREL.actor, "vehicles") == {KAREL.vehicle_id, CARLA.vehicle_id}
    assert readings(connection, CARLA) == {101}
    assert readings(connection, KAREL) == {102, 103}
    assert shown(connection, CARLA.actor, "invoices") == invoices
    assert shown(connection, KAREL.actor, "invoices").isdisjoint(invoices)


def readings(connection: Connection, customer: Customer) -> set[int]:
    """Those of the test's own readings that a customer sees."""
    with probes.acting(connection, customer.actor):
        query = "select reading_km from portal.odometer_readings"
        query += " where vehicle_id = %(vehicle)s and reading_km < 1000"
        return {int(str(km)) for km in listed(connection, query, vehicle=CARLA.vehicle_id)}


@pytest.mark.req("P10")
def test_a_car_bought_tomorrow_is_not_yet_the_buyers(connection: Connection) -> None:
    statement = "update public.vehicle_ownerships set valid_from = private.today_at(garage_id) + %s"
    statement += " where vehicle_id = %s"
    connection.execute(statement.encode(), (1, CARLA.vehicle_id))
    assert shown(connection, CARLA.actor, "vehicles") == set()
    connection.execute(statement.encode(), (0, CARLA.vehicle_id))
    assert shown(connection, CARLA.actor, "vehicles") == {CARLA.vehicle_id}


@pytest.mark.req("P11", "P12")
@pytest.mark.parametrize(
    ("module", "closed"),
    [
        ("invoicing", {"invoices", "invoice_lines", "invoice_vat_totals", "documents"}),
        ("pdf_storage", {"documents"}),
        ("conversations", {"conversations", "messages", "message_photos"}),
        ("push", set()),
    ],
)
def test_a_switched_off_module_closes_its_views_and_no_others(
    connection: Connection, module: str, closed: set[str]
) -> None:
    switch = "update public.garage_modules set is_enabled = false where garage_id = %s and module = %s"
    connection.execute(switch.encode(), (NOORD, module))
    assert {view for view in VIEWS if not shown(connection, CARLA.actor, view)} == closed
    assert all(shown(connection, CARLA_AT_ZUID.actor, view) for view in VIEWS)
