"""Roles, grants and denials through the RPCs: who may hand out what, and that an owner stays."""

import pytest

from devstack.testing import Database
from sql_tests.cast import (
    ANON,
    CARLA,
    MARC,
    NOORD,
    OLGA,
    OTTO,
    OTTO_MEMBERSHIP,
    RITA,
    RITA_MEMBERSHIP,
    ZUID,
    Actor,
)
from sql_tests.people import (
    MARC_MEMBERSHIP,
    OLGA_MEMBERSHIP,
    RESTORE,
    call,
    hire,
    override,
    role_of,
    sign_up,
)
from sql_tests.steps import change, denied, draft, look, one, refused

pytestmark = pytest.mark.req("D3")

CHANGES = {
    "change_role": "change_role(%s, 'receptionist')",
    "grant": "grant_permission(%s, 'vehicles.read')",
    "deny": "deny_permission(%s, 'vehicles.read')",
    "reset": "reset_permission(%s, 'vehicles.read')",
    "deactivate": "deactivate_member(%s)",
    "reactivate": "reactivate_member(%s)",
}
changes = pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
NOBODY = "99999999-0000-4000-8000-000000000009"


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with everybody as in the seeds."""
    change(database, RESTORE)
    return database


def may(database: Database, actor: Actor, permission: str) -> bool:
    """Does the database let this person do this now?"""
    with actor.acting(database) as connection:
        return one(connection, "select private.garage_id_for(%s) is not null", permission) is True


def count_customers(database: Database, actor: Actor) -> int:
    with actor.acting(database) as connection:
        return int(one(connection, "select count(*) from public.customers"))


def test_a_new_role_counts_from_the_next_statement(database: Database) -> None:
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        draft(connection, CARLA)
    call(database, OLGA, "change_role(%s, 'receptionist')", MARC_MEMBERSHIP)
    with MARC.acting(database) as connection:
        assert draft(connection, CARLA)
        call(database, OLGA, "change_role(%s, 'mechanic')", MARC_MEMBERSHIP)
        with refused("permission_missing", 403):
            draft(connection, CARLA)


def test_a_grant_adds_a_denial_takes_away_and_a_reset_forgets_both(database: Database) -> None:
    seen = [may(database, RITA, "audit.read")]
    for rpc in ("grant", "deny", "grant", "reset"):
        call(database, OLGA, f"{rpc}_permission(%s, 'audit.read')", RITA_MEMBERSHIP)
        seen.append(may(database, RITA, "audit.read"))
    assert seen == [False, True, False, True, False]
    call(database, OLGA, "deny_permission(%s, 'invoices.issue')", RITA_MEMBERSHIP)
    assert not may(database, RITA, "invoices.issue")
    call(database, OLGA, "reset_permission(%s, 'invoices.issue')", RITA_MEMBERSHIP)
    assert may(database, RITA, "invoices.issue")


def test_a_deactivated_person_is_out_at_the_next_statement_and_back_with_the_same_permissions(
    database: Database,
) -> None:
    call(database, OLGA, "grant_permission(%s, 'audit.read')", RITA_MEMBERSHIP)
    with RITA.acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") == 2
        call(database, OLGA, "deactivate_member(%s)", RITA_MEMBERSHIP)
        assert one(connection, "select count(*) from public.customers") == 0
        with refused("membership_not_live", 403):
            connection.execute("select public.invite_member('a@b.be', 'mechanic')")
    call(database, OLGA, "reactivate_member(%s)", RITA_MEMBERSHIP)
    assert count_customers(database, RITA) == 2
    assert may(database, RITA, "audit.read")


@changes
def test_nobody_changes_themselves(database: Database, statement: str) -> None:
    with OLGA.acting(database) as connection, refused("own_membership", 403):
        connection.execute(f"select public.{statement}".encode(), (OLGA_MEMBERSHIP,))
    assert call(database, OLGA, statement, RITA_MEMBERSHIP)


@changes
def test_who_may_not_change_members_is_refused(database: Database, statement: str) -> None:
    for actor in (RITA, MARC):
        with actor.acting(database) as connection, refused("permission_missing", 403):
            connection.execute(f"select public.{statement}".encode(), (MARC_MEMBERSHIP,))
    for actor in (ANON, CARLA.actor):
        with actor.acting(database) as connection, denied():
            connection.execute(f"select public.{statement}".encode(), (MARC_MEMBERSHIP,))
    assert call(database, OLGA, statement, MARC_MEMBERSHIP)


@pytest.mark.req("D1", "S2")
@changes
def test_a_member_of_another_garage_and_none_are_refused_alike(database: Database, statement: str) -> None:
    for membership in (OTTO_MEMBERSHIP, NOBODY):
        with OLGA.acting(database) as connection, refused("member_not_found", 404):
            connection.execute(f"select public.{statement}".encode(), (membership,))
    at_zuid = OLGA.but("Olga naming Zuid", garage_id=ZUID)
    with at_zuid.acting(database) as connection, refused("membership_not_live", 403):
        connection.execute(f"select public.{statement}".encode(), (OTTO_MEMBERSHIP,))
    assert call(database, OLGA, statement, RITA_MEMBERSHIP)


@pytest.fixture
def keeper(database: Database) -> Actor:
    """Marc, a mechanic who may change members."""
    override(database, MARC_MEMBERSHIP, "members.write", True)
    return MARC


@pytest.mark.parametrize(
    ("given", "not_given"),
    [
        ("grant_permission(%s, 'vehicles.write')", "grant_permission(%s, 'invoices.issue')"),
        ("deny_permission(%s, 'invoices.issue')", "reset_permission(%s, 'customers.read')"),
        ("change_role(%s, 'mechanic')", "change_role(%s, 'accountant')"),
        ("change_role(%s, 'mechanic')", "change_role(%s, 'manager')"),
        ("deactivate_member(%s)", "grant_permission(%s, 'audit.read')"),
    ],
)
def test_nobody_gives_what_they_do_not_hold(
    database: Database, keeper: Actor, given: str, not_given: str
) -> None:
    override(database, RITA_MEMBERSHIP, "customers.read", False)
    with keeper.acting(database) as connection, refused("permission_not_held", 403):
        connection.execute(f"select public.{not_given}".encode(), (RITA_MEMBERSHIP,))
    assert call(database, keeper, given, RITA_MEMBERSHIP)


def test_nobody_brings_back_somebody_who_may_do_more_than_they(database: Database, keeper: Actor) -> None:
    call(database, keeper, "deactivate_member(%s)", RITA_MEMBERSHIP)
    with keeper.acting(database) as connection, refused("permission_not_held", 403):
        connection.execute("select public.reactivate_member(%s)", (RITA_MEMBERSHIP,))
    call(database, keeper, "change_role(%s, 'mechanic')", RITA_MEMBERSHIP)
    assert call(database, keeper, "reactivate_member(%s)", RITA_MEMBERSHIP)


def test_what_a_closed_module_rests_is_still_held_and_given(database: Database) -> None:
    switch = "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'invoicing'"
    change(database, switch, False, NOORD)
    call(database, OLGA, "change_role(%s, 'receptionist')", MARC_MEMBERSHIP)
    assert not may(database, MARC, "invoices.write")
    change(database, switch, True, NOORD)
    assert may(database, MARC, "invoices.write")


@changes
def test_only_an_owner_changes_an_owner(database: Database, statement: str) -> None:
    mia, membership = hire(database, sign_up(database, "mia@example.test"), NOORD, "manager")
    override(database, membership, "members.write", True)
    call(database, OLGA, "change_role(%s, 'owner')", RITA_MEMBERSHIP)
    with mia.acting(database) as connection, refused("owner_required", 403):
        connection.execute(f"select public.{statement}".encode(), (RITA_MEMBERSHIP,))
    assert call(database, OLGA, statement, RITA_MEMBERSHIP)


def test_only_an_owner_makes_an_owner(database: Database) -> None:
    mia, membership = hire(database, sign_up(database, "mia@example.test"), NOORD, "manager")
    override(database, membership, "members.write", True)
    with mia.acting(database) as connection, refused("owner_required", 403):
        connection.execute("select public.change_role(%s, 'owner')", (RITA_MEMBERSHIP,))
    with mia.acting(database) as connection, refused("owner_required", 403):
        connection.execute("select public.invite_member('ada@example.test', 'owner')")
    call(database, mia, "change_role(%s, 'manager')", RITA_MEMBERSHIP)
    call(database, OLGA, "change_role(%s, 'owner')", RITA_MEMBERSHIP)
    assert role_of(database, RITA_MEMBERSHIP) == "owner"


def test_a_permission_that_does_not_exist_is_refused(database: Database) -> None:
    for rpc in ("grant", "deny", "reset"):
        with OLGA.acting(database) as connection, refused("permission_unknown", 404):
            connection.execute(
                f"select public.{rpc}_permission(%s, 'rockets.fly')".encode(), (RITA_MEMBERSHIP,)
            )


def test_anybody_else_leaves_when_they_want(database: Database) -> None:
    call(database, MARC, "leave_garage()")
    with MARC.acting(database) as connection:
        assert one(connection, "select count(*) from public.vehicles") == 0
    assert look(database, "select count(*) from public.memberships where deactivated_at is not null") == 1


def test_a_person_of_two_garages_sees_both_and_switches(database: Database) -> None:
    hire(database, RITA, ZUID, "accountant")
    listed = "select trade_name || ' ' || role || ' ' || is_active as g from public.my_garages()"

    def garages(actor: Actor) -> list[str]:
        with actor.acting(database) as connection:
            return [row["g"] for row in connection.execute(listed.encode())]

    at_zuid = RITA.but("Rita at Zuid", garage_id=ZUID)
    assert garages(RITA) == ["Garage Noord receptionist true", "Garage Zuid accountant false"]
    assert garages(at_zuid) == ["Garage Noord receptionist false", "Garage Zuid accountant true"]
    assert garages(OLGA) == ["Garage Noord owner true"]
    call(database, RITA, "switch_garage(%s)", ZUID)
    call(database, at_zuid, "leave_garage()")
    assert garages(RITA) == ["Garage Noord receptionist true"]
    assert garages(OTTO) == ["Garage Zuid owner true"]


def test_my_garages_of_somebody_without_any_or_signed_out_are_none(database: Database) -> None:
    nina = sign_up(database, "nina@example.test")
    for actor in (
        nina,
        RITA.but("signed out", session_id=NOBODY),
        OTTO.but("on Rita's sign-in", session_id=RITA.claims["session_id"]),
        RITA.but("malformed", sub="x", session_id=["y"]),
    ):
        with actor.acting(database) as connection:
            assert one(connection, "select count(*) from public.my_garages()") == 0
    with RITA.acting(database) as connection:
        assert one(connection, "select count(*) from public.my_garages()") == 1


def test_the_list_of_permissions_says_what_holds_and_why(database: Database) -> None:
    call(database, OLGA, "grant_permission(%s, 'audit.read')", RITA_MEMBERSHIP)
    call(database, OLGA, "deny_permission(%s, 'invoices.issue')", RITA_MEMBERSHIP)
    query = (
        "select permission, source, is_held from public.member_permissions where membership_id = %s"
        " and permission in ('audit.read', 'invoices.issue', 'invoices.write') order by permission"
    )
    with MARC.acting(database) as connection:
        rows = connection.execute(query.encode(), (RITA_MEMBERSHIP,)).fetchall()
        assert [tuple(row.values()) for row in rows] == [
            ("audit.read", "grant", True),
            ("invoices.issue", "denial", False),
            ("invoices.write", "role", True),
        ]
        assert one(connection, "select count(distinct membership_id) from public.member_permissions") == 3
    held = "select array_agg(permission) from public.member_permissions where is_held and membership_id = %s"
    with OLGA.acting(database) as connection:
        listed = set(one(connection, held, RITA_MEMBERSHIP))
        names = one(connection, "select array_agg(permission) from private.known_permissions()")
    assert {name for name in names if may(database, RITA, name)} == listed


@pytest.mark.req("D11")
def test_every_change_of_a_member_is_in_the_history(database: Database) -> None:
    since = look(database, "select max(id) from audit.entries")
    for statement in CHANGES.values():
        call(database, OLGA, statement, RITA_MEMBERSHIP)
    with database.connect() as connection:
        rows = connection.execute(
            "select op, table_name, changed from audit.entries where id > %s and actor = %s order by id",
            (since, f"staff:{OLGA.claims['sub']}"),
        ).fetchall()
    assert [(row["op"], row["table_name"].removeprefix("public."), row["changed"]) for row in rows] == [
        ("I", "membership_permissions", []),
        ("D", "membership_permissions", []),
        ("I", "membership_permissions", []),
        ("D", "membership_permissions", []),
        ("U", "memberships", ["deactivated_at"]),
        ("U", "memberships", ["deactivated_at"]),
    ]
