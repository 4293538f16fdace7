"""Roles, personal grants and denials, module switches: each takes effect on the next statement."""

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests.cast import CARLA, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import change, denied, draft, issue, issued_invoice, look, one, refused

OVERRIDE = """
insert into public.membership_permissions (garage_id, membership_id, permission, is_granted)
select garage_id, id, %s, %s from public.memberships where user_id = %s
"""
SWITCH = "update public.garage_modules set is_enabled = %s where garage_id = %s and module = %s"


RESTORE = """
delete from public.membership_permissions;
delete from public.memberships where user_id = '22222222-0000-4000-8000-000000000002' and role = 'accountant';
update public.memberships set deactivated_at = null;
update public.garage_modules set is_enabled = true;
"""


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database with everybody as in the seeds."""
    change(database, RESTORE)
    return database


def may_issue(database: Database, actor: Actor) -> bool:
    issued_invoice(database, actor, CARLA)
    return True


@pytest.mark.req("D3")
def test_a_receptionist_issues_and_a_mechanic_is_refused(database: Database) -> None:
    assert may_issue(database, RITA)
    with OLGA.acting(database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.commit()
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        issue(connection, invoice_id)
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        draft(connection, CARLA)


@pytest.mark.req("D3")
def test_a_personal_grant_adds_to_the_role_and_a_denial_takes_away(database: Database) -> None:
    for permission in ("customers.read", "invoices.read", "invoices.write", "invoices.issue"):
        change(database, OVERRIDE, permission, True, MARC.claims["sub"])
    assert may_issue(database, MARC)
    change(database, OVERRIDE, "invoices.issue", False, RITA.claims["sub"])
    with RITA.acting(database) as connection:
        invoice_id = draft(connection, CARLA)
        with refused("permission_missing", 403):
            issue(connection, invoice_id)


@pytest.mark.req("D3")
def test_a_deactivated_member_is_refused_on_the_next_statement(database: Database) -> None:
    with RITA.acting(database) as connection:
        assert one(connection, "select count(*) from public.customers") == 2
        change(
            database,
            "update public.memberships set deactivated_at = now() where user_id = %s",
            RITA.claims["sub"],
        )
        assert one(connection, "select count(*) from public.customers") == 0
        with refused("membership_not_live", 403):
            draft(connection, CARLA)


@pytest.mark.req("D3")
@pytest.mark.parametrize(
    "statement",
    [
        "update public.memberships set role = 'owner'",
        "update public.memberships set deactivated_at = null",
        "delete from public.memberships where role = 'owner'",
        "insert into public.membership_permissions"
        " select garage_id, id, 'audit.read', true from public.memberships",
        "update public.membership_permissions set is_granted = true",
        "insert into private.role_permissions values ('receptionist', 'audit.read')",
    ],
)
def test_nobody_writes_memberships_or_permissions_by_hand(busy_database: Database, statement: str) -> None:
    for actor in (RITA, OLGA):
        with actor.acting(busy_database) as connection, denied():
            connection.execute(statement.encode())
    with RITA.acting(busy_database) as connection:
        assert one(connection, "select count(*) from public.memberships") == 3


@pytest.mark.req("D2")
def test_a_closed_module_refuses_and_hides_and_loses_nothing(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    with RITA.acting(database) as connection:
        invoice_id = draft(connection, CARLA)
        connection.commit()
    change(database, SWITCH, False, NOORD, "invoicing")
    with RITA.acting(database) as connection:
        assert one(connection, "select count(*) from public.invoices") == 0
        assert one(connection, "select count(*) from public.customers") == 2
        with refused("module_closed", 403):
            draft(connection, CARLA)
    with RITA.acting(database) as connection, refused("module_closed", 403):
        issue(connection, invoice_id)
    change(database, SWITCH, True, NOORD, "invoicing")
    with RITA.acting(database) as connection:
        assert one(connection, "select count(*) from public.invoices where id = %s", invoice_id) == 1
        again = issue(connection, invoice_id)
    assert again["number"] == invoice["number"] + 1
    assert (
        look(database, "select snapshot from public.invoices where id = %s", invoice["id"])
        == invoice["snapshot"]
    )


@pytest.mark.req("D2")
def test_a_module_closed_at_one_garage_is_open_at_the_other(database: Database) -> None:
    change(database, SWITCH, False, ZUID, "invoicing")
    assert may_issue(database, RITA)
    with OTTO.acting(database) as connection, refused("module_closed", 403):
        issue(connection, "99999999-0000-4000-8000-000000000009")


@pytest.mark.req("D2")
def test_an_owner_switches_modules_and_a_receptionist_is_refused(database: Database) -> None:
    switch = "update public.garage_modules set is_enabled = false where module = 'push'"
    with OLGA.acting(database) as connection:
        assert connection.execute(switch).rowcount == 1
        with refused("module_unknown", 404):
            connection.execute(
                "insert into public.garage_modules (garage_id, module) values (%s, 'rockets')", (NOORD,)
            )
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(switch)


def hook(database: Database, actor: Actor) -> object:
    event = Jsonb({"user_id": actor.claims["sub"], "claims": {"role": "authenticated"}})
    answer = look(database, "select private.custom_access_token_hook(%s)", event)
    assert answer["claims"]["role"] == "authenticated"
    return answer["claims"]["garage_id"]


@pytest.mark.req("D1", "D3")
def test_the_token_names_the_garage_selected_last_and_none_after_the_last_membership(
    database: Database,
) -> None:
    join = (
        "insert into public.memberships (garage_id, user_id, full_name, email, role, selected_at)"
        " values (%s, %s, 'Rita Claes', 'rita@garage-noord.test', 'accountant', '2025-01-01')"
    )
    change(database, join, ZUID, RITA.claims["sub"])
    assert hook(database, RITA) == NOORD
    with RITA.acting(database) as connection:
        connection.execute("select public.switch_garage(%s)", (ZUID,))
        connection.commit()
    assert hook(database, RITA) == ZUID
    with RITA.but("Rita at Zuid", garage_id=ZUID).acting(database) as connection:
        assert one(connection, "select trade_name from public.garages") == "Garage Zuid"
        assert one(connection, "select count(*) from public.customers") == 1
    change(
        database,
        "update public.memberships set deactivated_at = now() where user_id = %s",
        RITA.claims["sub"],
    )
    assert hook(database, RITA) is None


@pytest.mark.req("D1")
@pytest.mark.parametrize("garage_id", [ZUID, "99999999-0000-4000-8000-000000000009"])
def test_switching_to_a_foreign_garage_and_to_none_is_refused_alike(
    busy_database: Database, garage_id: str
) -> None:
    with RITA.acting(busy_database) as connection, refused("garage_not_found", 404):
        connection.execute("select public.switch_garage(%s)", (garage_id,))


@pytest.mark.req("D3")
@pytest.mark.parametrize(
    ("change_made", "code"),
    [
        ("vat_number = 'BE0403170702'", "vat_number_invalid"),
        ("iban = 'BE68539007547035'", "iban_invalid"),
        ("email = 'garage'", "email_invalid"),
        ("phone = '03 200 00 00'", "phone_invalid"),
        ("time_zone = 'Europe/Antwerpen'", "time_zone_unknown"),
    ],
)
def test_wrong_settings_of_a_garage_are_refused(busy_database: Database, change_made: str, code: str) -> None:
    with busy_database.connect() as connection, refused(code):
        connection.execute(f"update public.garages set {change_made} where id = '{NOORD}'".encode())
    with OLGA.acting(busy_database) as connection:
        good = "update public.garages set iban = 'BE71096123456769', phone = '+3232000001', email = 'a@b.be'"
        assert connection.execute(good).rowcount == 1


@pytest.mark.req("D3", "S4")
def test_signing_out_ends_a_token_at_the_next_statement_and_no_other_sign_in(
    fresh_database: Database,
) -> None:
    count = "select count(*) from public.customers"
    phone = "99999999-0000-4000-8000-000000000001"
    with fresh_database.connect() as connection:
        connection.execute(
            "insert into auth.sessions (id, user_id) values (%s, %s)", (phone, RITA.claims["sub"])
        )
    on_phone = RITA.but("Rita on her phone", session_id=phone)
    for actor in (RITA, on_phone):
        with actor.acting(fresh_database) as connection:
            assert one(connection, count) == 2
    change(fresh_database, "delete from auth.sessions where id = %s", phone)
    with on_phone.acting(fresh_database) as connection:
        assert one(connection, count) == 0
    with RITA.acting(fresh_database) as connection:
        assert one(connection, count) == 2
    with OTTO.but("Otto on Rita's sign-in", session_id=RITA.claims["session_id"]).acting(
        fresh_database
    ) as connection:
        assert one(connection, count) == 0
