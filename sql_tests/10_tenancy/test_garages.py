"""How a garage comes to be, and that wrong registration data is refused in words."""

import hashlib

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import ANON, CARLA, NOORD, OLGA, RITA, SERVICE_ROLE, ZUID
from sql_tests.people import call, sign_up
from sql_tests.steps import change, denied, look, one, refused

REGISTRATION = {
    "legal_name": "Garage Oost BV",
    "trade_name": "Garage Oost",
    "enterprise_number": "0403170701",
    "vat_number": "BE0403170701",
    "street": "Oostweg 1",
    "postal_code": "3500",
    "city": "Hasselt",
    "email": "info@garage-oost.test",
    "iban": "BE68539007547034",
    "owner_name": "Nina Oost",
    "owner_user_id": str(OLGA.claims["sub"]),
}
NOBODY = "99999999-0000-4000-8000-000000000009"


def create(connection: Connection, **other: object) -> str:
    """Found a garage; its id."""
    arguments = {**REGISTRATION, **other}
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    row = connection.execute(f"select (private.create_garage({named})).id".encode(), arguments).fetchone()
    assert row is not None
    return str(row["id"])


@pytest.mark.req("D1", "D2", "D3")
def test_an_operator_founds_a_garage_with_every_module_and_an_owner(fresh_database: Database) -> None:
    nina = sign_up(fresh_database, "nina@example.test")
    with fresh_database.connect() as connection:
        garage = create(connection, owner_user_id=nina.claims["sub"])
    modules = "select count(*) filter (where is_enabled) from public.garage_modules where garage_id = %s"
    assert look(fresh_database, modules, garage) == look(
        fresh_database, "select count(*) from private.modules"
    )
    at_work = nina.but("Nina at Oost", garage_id=garage)
    with at_work.acting(fresh_database) as connection:
        assert one(connection, "select trade_name from public.garages") == "Garage Oost"
        assert one(connection, "select role from public.memberships") == "owner"
        assert one(connection, "select count(*) from public.customers") == 0
    assert call(fresh_database, at_work, "invite_member('piet@example.test', 'manager')")


@pytest.mark.req("D1", "S2")
def test_nobody_else_founds_a_garage(busy_database: Database) -> None:
    for actor in (OLGA, RITA, CARLA.actor, ANON, SERVICE_ROLE):
        with actor.acting(busy_database) as connection, denied():
            create(connection)
    for role in ("worker", "edge"):
        with busy_database.connect(role) as connection, denied():
            create(connection)
    with busy_database.connect() as connection:
        assert create(connection)
        connection.rollback()


@pytest.mark.req("D1")
@pytest.mark.parametrize(
    ("field", "value", "code", "status"),
    [
        ("legal_name", "", "legal_name_invalid", 422),
        ("legal_name", None, "value_missing", 422),
        ("trade_name", "x" * 71, "trade_name_invalid", 422),
        ("trade_name", "a\x07b", "control_character", 422),
        ("enterprise_number", "0403170702", "enterprise_number_invalid", 422),
        ("vat_number", "BE0403170702", "vat_number_invalid", 422),
        ("iban", "BE68539007547035", "iban_invalid", 422),
        ("bic", "KRED", "bic_invalid", 422),
        ("email", "garage", "email_invalid", 422),
        ("phone", "011 22 33 44", "phone_invalid", 422),
        ("postal_code", "", "postal_code_invalid", 422),
        ("city", "x" * 81, "city_invalid", 422),
        ("country_code", "Belgium", "country_invalid", 422),
        ("locale", "de", "locale_unknown", 422),
        ("owner_name", "", "full_name_invalid", 422),
        ("owner_user_id", NOBODY, "user_not_found", 404),
    ],
)
def test_a_garage_with_wrong_registration_data_is_not_founded(
    busy_database: Database, field: str, value: object, code: str, status: int
) -> None:
    with busy_database.connect() as connection:
        with refused(code, status):
            create(connection, **{field: value})
        connection.rollback()
        assert create(connection)
        connection.rollback()


@pytest.mark.req("D1")
@pytest.mark.parametrize(
    ("setting", "code", "status"),
    [
        ("accent_color = 'red'", "color_invalid", 422),
        ("accent_color = '#12365C'", "color_invalid", 422),
        ("payment_days = 121", "payment_days_invalid", 422),
        ("portal_idle_minutes = 31", "idle_minutes_invalid", 422),
        ("portal_session_hours = 13", "session_hours_invalid", 422),
        ("street = ''", "street_invalid", 422),
        ("postal_code = '1234567890123'", "postal_code_invalid", 422),
        ("iban = 'BE00000000000000'", "iban_invalid", 422),
        ("locale = 'xx'", "locale_unknown", 422),
        ("logo_sha256 = 'abc'", "logo_not_found", 404),
        ("trade_name = null", "value_missing", 422),
    ],
)
def test_a_setting_that_is_wrong_is_refused_in_words(
    busy_database: Database, setting: str, code: str, status: int
) -> None:
    good = "accent_color = '#12365c', payment_days = 0, trade_name = 'L’été & 车 🚗', logo_sha256 = null"
    with OLGA.acting(busy_database) as connection:
        assert connection.execute(f"update public.garages set {good}".encode()).rowcount == 1
    with OLGA.acting(busy_database) as connection, refused(code, status):
        connection.execute(f"update public.garages set {setting}".encode())


@pytest.mark.req("D1", "S2")
def test_a_logo_is_a_small_png_of_ones_own(busy_database: Database) -> None:
    insert = "insert into public.garage_logos (garage_id, sha256, png) values (%s, %s, %s)"
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 20
    digest = hashlib.sha256(png).hexdigest()
    with OLGA.acting(busy_database) as connection:
        connection.execute(insert.encode(), (NOORD, digest, png))
        assert connection.execute(b"update public.garages set logo_sha256 = %s", (digest,)).rowcount
        for bad, code in ((b"GIF89a", "logo_invalid"), (png + b"x" * 65536, "logo_invalid")):
            with connection.transaction(force_rollback=True), refused(code):
                connection.execute(insert.encode(), (NOORD, hashlib.sha256(bad).hexdigest(), bad))
        with connection.transaction(force_rollback=True), refused("logo_hash_wrong"):
            connection.execute(insert.encode(), (NOORD, "0" * 64, png))
    theirs = look(busy_database, "select sha256 from public.garage_logos where garage_id = %s", ZUID)
    with OLGA.acting(busy_database) as connection, refused("logo_not_found", 404):
        connection.execute("update public.garages set logo_sha256 = %s", (theirs,))


@pytest.mark.req("D2")
def test_an_unknown_module_is_refused(fresh_database: Database) -> None:
    insert = "insert into public.garage_modules (garage_id, module) values (%s, %s)"
    change(fresh_database, "delete from public.garage_modules where module = 'push'")
    with OLGA.acting(fresh_database) as connection:
        assert connection.execute(insert.encode(), (NOORD, "push")).rowcount == 1
        with refused("module_unknown", 404):
            connection.execute(insert.encode(), (NOORD, "rockets"))


@pytest.mark.req("D3")
def test_one_membership_per_person_and_garage(busy_database: Database) -> None:
    join = "insert into public.memberships (garage_id, user_id, full_name, email, role) values"
    join += " (%s, %s, 'Rita Claes', %s, 'mechanic')"
    with busy_database.connect() as connection:
        with refused("already_member", 409):
            connection.execute(join.encode(), (NOORD, RITA.claims["sub"], "rita@garage-noord.test"))
        connection.rollback()
        with refused("email_invalid"):
            connection.execute(join.encode(), (ZUID, RITA.claims["sub"], "rita"))
        connection.rollback()
        connection.execute(join.encode(), (ZUID, RITA.claims["sub"], "rita@garage-noord.test"))
        connection.rollback()


def test_the_constraints_themselves_still_hold(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute("alter table public.garages disable trigger user")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("update public.garages set accent_color = 'red'")
        connection.rollback()
