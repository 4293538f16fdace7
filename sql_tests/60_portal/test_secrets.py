"""A customer writes nothing by hand, and nobody reads a secret."""

from collections.abc import Iterator

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, KAREL, MARC, OLGA, RITA, SERVICE_ROLE, Actor
from sql_tests.steps import denied, look, one, refused, reserve

RELATIONS = """
select format('%I.%I', n.nspname, c.relname) as name,
       (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
           and not a.attisdropped and a.attgenerated = '' and a.attidentity = '' limit 1) as "column"
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('public', 'portal', 'website', 'private', 'audit', 'pgmq', 'auth', 'vault')
   and c.relkind in ('r', 'p', 'v')
   -- What nobody at all could write says so before it asks who is there.
   and (n.nspname <> 'private' or c.relkind <> 'v' or pg_relation_is_updatable(c.oid, false) > 0)
 order by 1
"""
SECRETS = """
select format('%I.%I', n.nspname, c.relname) as "table", a.attname as "column"
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
 where n.nspname in ('public', 'private', 'audit') and a.attnum > 0
   and col_description(c.oid, a.attnum) ~ '^secret'
"""
GOOD_TOKEN = "ExponentPushToken[carla-at-noord-2]"
DEVICES = "select count(*) from public.push_devices where portal_device_id = %s and expo_token = %s"


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        yield connection
        connection.rollback()


def writes(connection: Connection) -> list[str]:
    """Every way to write to every relation there is."""
    found = []
    for row in connection.execute(RELATIONS).fetchall():
        name, column = row["name"], row["column"]
        found += [f"insert into {name} default values", f"delete from {name}"]
        found += [f"update {name} set {column} = {column}", f"update {name} set {column} = null where false"]
        found += [f"select * from {name} for update"]
        found += [] if name.startswith("portal.") else [f"truncate {name}"]
    return found


@pytest.mark.req("P9", "P10", "P11")
def test_a_customer_is_refused_every_write_on_every_table_and_view(connection: Connection) -> None:
    statements = writes(connection)
    assert len(statements) > 200
    permitted = [statement for statement in statements if not is_denied(connection, CARLA.actor, statement)]
    assert permitted == []


def is_denied(connection: Connection, actor: Actor, statement: str) -> bool:
    try:
        with probes.acting(connection, actor):
            connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error:
        return False
    return False


@pytest.mark.req("P9")
def test_the_same_writes_succeed_by_those_who_may(connection: Connection) -> None:
    assert not is_denied(connection, RITA, "update public.customers set phone = '+32470999999'")
    assert is_denied(connection, CARLA.actor, "update portal.profile set phone = '+32470999999'")
    everybody = one(connection, "select count(*) from public.customers")
    assert connection.execute("update portal.profile set phone = '+32470999999'").rowcount == everybody


@pytest.mark.req("P3", "P4")
def test_no_role_of_the_api_reads_a_secret(connection: Connection) -> None:
    secrets = connection.execute(SECRETS).fetchall()
    assert {row["column"] for row in secrets} >= {"password_hash", "pin_hash", "token_sha256", "expo_token"}
    for actor in (ANON, OLGA, CARLA.actor, SERVICE_ROLE):
        for row in secrets:
            query = f"select {row['column']} from {row['table']}"
            assert is_denied(connection, actor, query), (actor.name, query)
    for role in ("worker", "edge"):
        for row in secrets:
            asked = (role, row["table"], row["column"])
            assert not one(connection, "select has_column_privilege(%s, %s, %s, 'select')", *asked), asked


@pytest.mark.req("P6")
def test_staff_see_devices_without_their_secrets(connection: Connection) -> None:
    with probes.acting(connection, RITA):
        assert one(connection, "select count(label) from public.portal_devices") == 2
        assert one(connection, "select count(retired_at) from public.push_devices") == 0
    for column in ("install_sha256", "fingerprint_sha256"):
        assert is_denied(connection, RITA, f"select {column} from public.portal_devices")
    assert is_denied(connection, RITA, "select * from public.portal_devices")
    with probes.acting(connection, MARC):
        assert one(connection, "select count(label) from public.portal_devices") == 0


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "actor", [ANON, OLGA, CARLA.actor, SERVICE_ROLE], ids=["anon", "staff", "customer", "service_role"]
)
def test_hashes_are_handed_to_the_edge_alone(calm: Database, actor: Actor) -> None:
    assert str(reserve(calm, CARLA)["password_hash"]).startswith("$argon2id$")
    with actor.acting(calm) as connection, denied():
        connection.execute(
            "select private.portal_login_reserve(%s, %s, 'd', 'f', '192.0.2.1', 't')",
            (CARLA.garage_id, CARLA.login),
        )


@pytest.mark.req("P3")
def test_the_worker_is_not_handed_hashes_either(calm: Database) -> None:
    with calm.connect("worker") as connection, denied():
        connection.execute(
            "select private.portal_login_reserve(%s, %s, 'd', 'f', '192.0.2.1', 't')",
            (CARLA.garage_id, CARLA.login),
        )


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "ExponentPushToken[]",
        "ExponentPushToken[short]",
        f"ExponentPushToken[{'x' * 101}]",
        "ExponentPushToken[carla at noord]",
        "exponentpushtoken[carla-at-noord-2]",
        f" {GOOD_TOKEN}",
        f"{GOOD_TOKEN}\n",
        f"{GOOD_TOKEN}{GOOD_TOKEN}",
        "carla-at-noord-2",
        "https://example.test/push",
    ],
)
def test_what_is_no_push_token_is_refused(busy_database: Database, token: str | None) -> None:
    with CARLA.actor.acting(busy_database) as connection:
        connection.execute("select portal.register_push_token(%s)", (GOOD_TOKEN,))
        with refused("push_token_invalid"):
            connection.execute("select portal.register_push_token(%s)", (token,))


@pytest.mark.req("P6")
def test_a_push_token_belongs_to_the_device_of_the_session(fresh_session: tuple[Database, Actor]) -> None:
    database, carla = fresh_session
    before = look(database, "select count(*) from public.push_devices")
    for token in ("ExpoPushToken[first-token-of-carla]", GOOD_TOKEN):
        with carla.acting(database) as connection:
            connection.execute("select portal.register_push_token(%s)", (token,))
            connection.commit()
    assert look(database, DEVICES, CARLA.portal_device_id, GOOD_TOKEN) == 1
    assert look(database, DEVICES, KAREL.portal_device_id, GOOD_TOKEN) == 0
    assert look(database, "select count(*) from public.push_devices") == before


def test_registering_again_revives_a_retired_token(fresh_session: tuple[Database, Actor]) -> None:
    database, carla = fresh_session
    with database.connect() as connection:
        connection.execute("update public.push_devices set retired_at = now()")
    with carla.acting(database) as connection:
        connection.execute("select portal.register_push_token(%s)", (GOOD_TOKEN,))
        connection.commit()
    query = "select retired_at is null from public.push_devices where portal_device_id = %s"
    assert look(database, query, CARLA.portal_device_id)


@pytest.mark.req("P14")
def test_a_phone_that_changes_hands_tells_its_former_owner_nothing(
    fresh_session: tuple[Database, Actor],
) -> None:
    database, carla = fresh_session
    with database.connect() as connection:
        connection.execute(
            "insert into public.push_devices (garage_id, portal_device_id, expo_token) values (%s, %s, %s)"
            " on conflict (garage_id, portal_device_id) do update set expo_token = excluded.expo_token",
            (KAREL.garage_id, KAREL.portal_device_id, GOOD_TOKEN),
        )
    with carla.acting(database) as connection:
        connection.execute("select portal.register_push_token(%s)", (GOOD_TOKEN,))
        connection.commit()
    live = "select retired_at is null from public.push_devices where portal_device_id = %s"
    assert look(database, live, CARLA.portal_device_id)
    assert not look(database, live, KAREL.portal_device_id)
