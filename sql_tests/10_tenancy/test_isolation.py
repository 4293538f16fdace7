"""Every tenant table x everybody x every verb: nothing of another garage is ever seen or changed."""

from collections.abc import Iterator

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import (
    ANON,
    CARLA,
    CARLA_AT_ZUID,
    KAREL,
    MARC,
    NOORD,
    OLGA,
    OTTO,
    RITA,
    SERVICE_ROLE,
    ZUID,
    Actor,
)
from sql_tests.probes import REFUSED, Table

pytestmark = pytest.mark.req("D1", "S2")

# Tokens that name a garage their holder is nothing in: all of them must be as good as none.
SPOOFS = (
    RITA.but("Rita naming Zuid", garage_id=ZUID),
    OTTO.but("Otto naming Noord", garage_id=NOORD),
    OTTO.but(
        "Otto with metadata",
        garage_id=None,
        user_metadata={"garage_id": NOORD},
        app_metadata={"garage_id": NOORD},
    ),
    RITA.but("nobody", sub="99999999-0000-4000-8000-000000000009"),
    RITA.but("malformed", sub="' or true --", garage_id=["x"]),
    CARLA.actor.but("Carla naming Zuid", garage_id=ZUID),
    CARLA.actor.but("Carla in Karel's session", session_id=KAREL.session_id),
    CARLA.actor.but("Carla as staff", role="authenticated"),
    OTTO.but("Otto as customer", role="portal"),
    Actor("portal without claims", {"role": "portal"}),
    Actor("staff without claims", {"role": "authenticated"}),
)
OF_NO_GARAGE = (ANON, SERVICE_ROLE, *SPOOFS)
OF_NOORD = (OLGA, RITA, MARC, CARLA.actor, KAREL.actor)
OF_ZUID = (OTTO, CARLA_AT_ZUID.actor)
EVERYBODY = (
    *((actor, None) for actor in OF_NO_GARAGE),
    *((actor, NOORD) for actor in OF_NOORD),
    *((actor, ZUID) for actor in OF_ZUID),
)
everybody = pytest.mark.parametrize(("actor", "garage_id"), EVERYBODY, ids=[a.name for a, _ in EVERYBODY])
# Closed to every token: members read history through views, and secrets are read by functions alone.
CLOSED_SCHEMAS = ("private", "audit")


@pytest.fixture(scope="module")
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        probes.disable_triggers(connection, probes.tenant_tables(connection))
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def tables(connection: Connection) -> list[Table]:
    return probes.tenant_tables(connection)


@pytest.fixture(scope="module")
def readable(connection: Connection, tables: list[Table]) -> list[Table]:
    return tables + probes.tenant_views(connection)


def strangers_to(garage_id: str | None) -> list[str]:
    return [other for other in (NOORD, ZUID) if other != garage_id]


def test_every_tenant_table_has_rows_of_both_garages(connection: Connection, tables: list[Table]) -> None:
    assert len(tables) >= 28
    for table in tables:
        query = f"select array_agg(distinct {table.tenant}::text) as g from {table.name}"
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        assert {NOORD, ZUID} <= set(row["g"] or []), table.name


@everybody
def test_nobody_sees_rows_of_another_garage(
    connection: Connection, readable: list[Table], actor: Actor, garage_id: str | None
) -> None:
    for table in readable:
        assert set(probes.seen(connection, actor, table) or {}) <= {garage_id}, table.name


def test_owners_see_all_rows_of_their_garage_and_nobody_the_closed_tables(
    connection: Connection, readable: list[Table]
) -> None:
    for table in readable:
        query = f"select {table.tenant}::text as garage, count(*)::int as n from {table.name} group by 1"
        truth = {row["garage"]: row["n"] for row in connection.execute(query.encode())}
        is_closed = table.schema in CLOSED_SCHEMAS
        for actor, garage_id in ((OLGA, NOORD), (OTTO, ZUID)):
            expected = None if is_closed else {garage_id: truth[garage_id]}
            assert probes.seen(connection, actor, table) == expected, table.name


@everybody
def test_nobody_writes_into_another_garage(
    connection: Connection, tables: list[Table], actor: Actor, garage_id: str | None
) -> None:
    for table in tables:
        for other in strangers_to(garage_id):
            insert = probes.insert_copy(connection, actor, table, other)
            assert probes.tried(connection, actor, table, insert, other) == REFUSED, insert


@everybody
def test_nobody_changes_deletes_or_takes_rows_of_another_garage(
    connection: Connection, tables: list[Table], actor: Actor, garage_id: str | None
) -> None:
    for table in tables:
        for other in strangers_to(garage_id):
            for statement in (
                probes.update_all(connection, actor, table),
                f"{probes.update_all(connection, actor, table)} where {table.tenant} = '{other}'",
                f"delete from {table.name}",
                f"delete from {table.name} where {table.tenant} = '{other}'",
            ):
                done = probes.tried(connection, actor, table, statement, other)
                assert done in (0, REFUSED) or (garage_id is not None and " where " not in statement), (
                    statement
                )


@everybody
def test_nobody_gives_rows_away_or_truncates(
    connection: Connection, tables: list[Table], actor: Actor, garage_id: str | None
) -> None:
    for table in tables:
        for statement in (
            f"update {table.name} set {table.tenant} = '{strangers_to(garage_id)[0]}'",
            f"truncate {table.name} cascade",
        ):
            assert probes.tried(connection, actor, table, statement, NOORD) == REFUSED, statement


def test_owners_can_write_where_a_policy_lets_them(connection: Connection, tables: list[Table]) -> None:
    """The positive control of the refusals above: the very same statements, in one's own garage."""
    writable = {"insert": set[str](), "update": set[str](), "delete": set[str]()}
    for table in tables:
        statements = {
            "insert": probes.insert_copy(connection, OLGA, table, NOORD),
            "update": probes.update_all(connection, OLGA, table),
            "delete": f"delete from {table.name}",
        }
        for verb, statement in statements.items():
            done = probes.tried(connection, OLGA, table, statement, ZUID)
            if done != REFUSED:
                assert done, statement
                writable[verb].add(table.name.removeprefix("public."))
    assert writable == {
        "insert": {
            "conversations", "customer_opt_outs", "customers", "garage_logos", "garage_modules",
            "invoice_lines", "invoices", "message_photos", "messages", "odometer_readings",
            "payments", "vehicle_ownerships", "vehicles", "work_order_lines", "work_order_photos",
            "work_order_tasks", "work_orders",
        },
        "update": {
            "conversations", "customers", "garage_modules", "garages", "invoice_lines", "invoices",
            "portal_accounts", "portal_devices", "portal_sessions", "vehicle_ownerships", "vehicles",
            "work_order_lines", "work_order_tasks", "work_orders",
        },
        "delete": {
            "customer_opt_outs", "invoice_lines", "invoices", "work_order_lines", "work_order_photos",
            "work_order_tasks",
        },
    }  # fmt: skip


@pytest.mark.req("D3")
def test_a_deactivated_member_sees_nothing_from_the_next_statement_on(
    connection: Connection, readable: list[Table]
) -> None:
    connection.execute("savepoint live")
    before = [probes.seen(connection, RITA, table) for table in readable]
    connection.execute(
        "update public.memberships set deactivated_at = now() where user_id = %s", (RITA.claims["sub"],)
    )
    after = [probes.seen(connection, RITA, table) for table in readable]
    connection.execute("rollback to savepoint live")
    assert sum(1 for rows in before if rows) > 15
    assert not any(after)
