"""One wrong policy is never enough: with either lock broken on any table, the stranger still sees nothing."""

from collections.abc import Iterator

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA_AT_ZUID, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.probes import Table

pytestmark = pytest.mark.req("D1", "S2")

STRANGERS = (OTTO, CARLA_AT_ZUID.actor, ANON, RITA.but("Rita naming Zuid", garage_id=ZUID))
FILES = Table("storage.objects", "storage", "objects", "split_part(name, '/', 1)", ["name"], [], [])
MUTANTS = {
    "the policies that are there say true": """
        do $$ declare p record; begin
            for p in select polname, polcmd from pg_policy
                      where polrelid = '{0}'::regclass and polpermissive loop
                execute format('alter policy %I on {0} %s', p.polname, case p.polcmd
                    when 'a' then 'with check (true)' when 'w' then 'using (true) with check (true)'
                    else 'using (true)' end);
            end loop;
        end $$""",
    "another policy opens everything to everybody": """
        create policy open_to_all on {0} for all to public using (true) with check (true);
        grant select, insert, update, delete on {0} to anon, authenticated, portal""",
    "a policy asks whether there is any garage at all": """
        create policy open_to_some on {0} for all to public
            using ((select private.garage_id()) is not null) with check (true);
        grant select, insert, update, delete on {0} to anon, authenticated, portal""",
    "the floor is gone": "drop policy tenant_floor on {0}",
}
OPENED = "another policy opens everything to everybody"


@pytest.fixture(scope="module")
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        probes.disable_triggers(connection, probes.tenant_tables(connection))
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def tables(connection: Connection) -> list[Table]:
    return [*probes.tenant_tables(connection), FILES]


def mutate(connection: Connection, table: Table, mutant: str) -> None:
    statement = MUTANTS[mutant].format(table.name)
    if table is FILES:
        statement = statement.split("grant")[0]  # the platform has granted everything already
    connection.execute(statement.encode())


def garages_seen(connection: Connection, actor: Actor, table: Table) -> set[str]:
    return set(probes.seen(connection, actor, table) or {})


@pytest.mark.parametrize("mutant", MUTANTS)
def test_no_broken_lock_shows_a_stranger_a_row(
    connection: Connection, tables: list[Table], mutant: str
) -> None:
    for table in tables:
        connection.execute("savepoint whole")
        mutate(connection, table, mutant)
        for stranger in STRANGERS:
            own = {ZUID} if stranger in (OTTO, CARLA_AT_ZUID.actor) else set()
            assert garages_seen(connection, stranger, table) <= own, f"{table.name}: {stranger.name}"
        connection.execute("rollback to savepoint whole")


@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name != "the floor is gone"])
def test_no_opened_policy_lets_a_stranger_write(
    connection: Connection, tables: list[Table], mutant: str
) -> None:
    for table in tables[:-1]:
        connection.execute("savepoint whole")
        mutate(connection, table, mutant)
        for stranger in STRANGERS:
            insert = probes.insert_copy(connection, stranger, table, NOORD)
            assert probes.tried(connection, stranger, table, insert, NOORD) == probes.REFUSED, insert
            for statement in (f"delete from {table.name}", probes.update_all(connection, stranger, table)):
                probes.tried(connection, stranger, table, statement, NOORD)
        give_away = f"update {table.name} set {table.tenant} = '{NOORD}'"
        assert probes.tried(connection, OTTO, table, give_away, NOORD) in (0, probes.REFUSED), give_away
        connection.execute("rollback to savepoint whole")


def test_with_both_locks_broken_the_stranger_would_see_everything(
    connection: Connection, tables: list[Table]
) -> None:
    for table in tables:
        if table.schema == "private" or table.schema == "audit":
            continue
        connection.execute("savepoint whole")
        mutate(connection, table, OPENED)
        mutate(connection, table, "the floor is gone")
        assert {NOORD, ZUID} <= garages_seen(connection, OTTO, table), table.name
        connection.execute("rollback to savepoint whole")


def test_the_owner_still_sees_their_own_rows_behind_an_opened_policy(
    connection: Connection, tables: list[Table]
) -> None:
    for table in tables:
        connection.execute("savepoint whole")
        mutate(connection, table, OPENED)
        if table.schema != "audit":
            assert garages_seen(connection, OLGA, table) == {NOORD}, table.name
        connection.execute("rollback to savepoint whole")
