"""A garage keeps an owner who can change it and its people, also when two are removed at once."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import NOORD, OLGA, RITA, RITA_MEMBERSHIP, Actor
from sql_tests.people import OLGA_MEMBERSHIP, RESTORE, call, override
from sql_tests.steps import change, look, one, refused

pytestmark = pytest.mark.req("D3")

UNMADE = {
    "demoted": "change_role(%s, 'mechanic')",
    "deactivated": "deactivate_member(%s)",
    "denied the people": "deny_permission(%s, 'members.write')",
    "denied the garage": "deny_permission(%s, 'garage.write')",
}
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
OWNERS = """
select count(*) from public.memberships
 where garage_id = %s and role = 'owner' and deactivated_at is null
"""


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database, Olga and Rita being the owners of Noord."""
    change(database, RESTORE)
    change(database, "update public.memberships set role = 'owner' where id = %s", RITA_MEMBERSHIP)
    return database


def test_one_of_two_owners_leaves_and_the_other_stays(database: Database) -> None:
    call(database, OLGA, "leave_garage()")
    with OLGA.acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") == 0
        with refused("membership_not_live", 403):
            connection.execute("select public.leave_garage()")
    with RITA.acting(database) as connection, refused("last_owner", 409):
        connection.execute("select public.leave_garage()")


@pytest.mark.parametrize("statement", UNMADE.values(), ids=UNMADE)
def test_the_last_owner_who_may_do_everything_is_not_unmade(database: Database, statement: str) -> None:
    override(database, RITA_MEMBERSHIP, "garage.write", False)
    with RITA.acting(database) as connection, refused("last_owner", 409):
        connection.execute(f"select public.{statement}".encode(), (OLGA_MEMBERSHIP,))
    with OLGA.acting(database) as connection, refused("last_owner", 409):
        connection.execute("select public.leave_garage()")
    change(database, "delete from public.membership_permissions")
    assert call(database, RITA, statement, OLGA_MEMBERSHIP)


def leaving(actor: Actor) -> tuple[Actor, str, tuple[str, ...]]:
    """What somebody does to leave."""
    return actor, "select public.leave_garage()", ()


def removing(actor: Actor, membership_id: str, statement: str) -> tuple[Actor, str, tuple[str, ...]]:
    """What somebody does to remove another."""
    return actor, f"select public.{statement}", (membership_id,)


RACES = {
    "both leave": (leaving(OLGA), leaving(RITA), "PT409"),
    "each removes the other": (
        removing(OLGA, RITA_MEMBERSHIP, "deactivate_member(%s)"),
        removing(RITA, OLGA_MEMBERSHIP, "deactivate_member(%s)"),
        "PT403",
    ),
    "each demotes the other": (
        removing(OLGA, RITA_MEMBERSHIP, "change_role(%s, 'mechanic')"),
        removing(RITA, OLGA_MEMBERSHIP, "change_role(%s, 'mechanic')"),
        "PT403",
    ),
    "one leaves and is replaced by nobody": (
        leaving(OLGA),
        removing(RITA, OLGA_MEMBERSHIP, "deny_permission(%s, 'garage.write')"),
        None,
    ),
    "one leaves while the other is denied the garage": (
        removing(OLGA, RITA_MEMBERSHIP, "deny_permission(%s, 'garage.write')"),
        removing(RITA, OLGA_MEMBERSHIP, "deny_permission(%s, 'garage.write')"),
        "PT409",
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_of_two_removals_at_once_the_second_finds_what_the_first_left(database: Database, race: str) -> None:
    (first, did, whom), (second, does, whose), expected = RACES[race]

    def act_second() -> str | None:
        try:
            with second.acting(database) as connection:
                connection.execute(does.encode(), whose)
                connection.commit()
        except psycopg.Error as error:
            return error.sqlstate
        return None

    with ThreadPoolExecutor(1) as pool, first.acting(database) as connection:
        connection.execute(did.encode(), whom)
        late = pool.submit(act_second)
        wait_for_lock(database, late)
        connection.commit()
        assert late.result(timeout=30) == expected
    assert look(database, OWNERS, NOORD) >= 1
    with OLGA.acting(database) as olga, RITA.acting(database) as rita:
        assert may_run_the_garage(olga) or may_run_the_garage(rita)


def may_run_the_garage(connection: psycopg.Connection[dict[str, object]]) -> bool:
    query = (
        "select num_nulls(private.garage_id_for('members.write'), private.garage_id_for('garage.write')) = 0"
    )
    return bool(one(connection, query))


def wait_for_lock(database: Database, late: "Future[str | None]") -> None:
    """Until the other transaction waits for this one: it has not slipped by."""
    for _ in range(500):
        if look(database, WAITING):
            return
        assert not late.done(), "did not wait"
        time.sleep(0.02)
    raise AssertionError("never waited")


def test_many_removals_at_once_leave_one_owner_and_no_deadlock(database: Database) -> None:
    def leave(actor: Actor) -> str | None:
        try:
            call(database, actor, "leave_garage()")
        except psycopg.Error as error:
            return error.sqlstate
        return None

    attempts: list[Callable[[], str | None]] = [lambda a=a: leave(a) for a in (OLGA, RITA) * 4]  # type: ignore[misc]
    with ThreadPoolExecutor(4) as pool:
        answers = [done.result() for done in [pool.submit(attempt) for attempt in attempts]]
    assert answers.count(None) == 1
    assert set(answers) == {None, "PT409", "PT403"} or set(answers) == {None, "PT409"}
    assert look(database, OWNERS, NOORD) == 1
