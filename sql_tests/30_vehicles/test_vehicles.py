"""Vehicles: identification numbers, and owners who change."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, RITA, Customer
from sql_tests.steps import one, refused


def add(
    connection: Connection, vin: str | None, registered: str | None = None, garage_id: str = NOORD
) -> str:
    return str(
        one(
            connection,
            "insert into public.vehicles (garage_id, vin, make, model, first_registered_on)"
            " values (%s, %s, 'Citroën', '2CV', %s) returning vin",
            garage_id,
            vin,
            registered,
        )
    )


@pytest.mark.req("D5")
@pytest.mark.parametrize(
    ("vin", "registered", "kept"),
    [
        ("wvwzzz1jz3w386752", None, "WVWZZZ1JZ3W386752"),
        ("WVW-ZZZ 1JZ3W386753", "2020-01-01", "WVWZZZ1JZ3W386753"),
        ("AZ12345", "1972-06-01", "AZ12345"),
    ],
)
def test_a_good_vin_is_kept_in_one_form(
    busy_database: Database, vin: str, registered: str | None, kept: str
) -> None:
    with MARC.acting(busy_database) as connection:
        assert add(connection, vin, registered) == kept


@pytest.mark.req("D5")
@pytest.mark.parametrize(
    ("vin", "registered", "code"),
    [
        ("WVWZZZ1JZ3W38675", None, "vin_too_short"),
        ("WVWZZZ1JZ3W38675", "2020-01-01", "vin_too_short"),
        ("WVWZZZ1JZ3W3867521", None, "vin_invalid"),
        ("WVWZZZ1JZ3W38675O", None, "vin_invalid"),
        ("WVWZZZ1JZ3W38675I", None, "vin_invalid"),
        ("AZ12", "1972-06-01", "vin_invalid"),
        ("", None, "vin_invalid"),
    ],
)
def test_a_wrong_vin_is_refused_and_nothing_is_written(
    busy_database: Database, vin: str, registered: str | None, code: str
) -> None:
    with MARC.acting(busy_database) as connection, refused(code):
        add(connection, vin, registered)
    with MARC.acting(busy_database) as connection:
        assert one(connection, "select count(*) from public.vehicles where make = 'Citroën'") == 0


def seen(database: Database, owner: Customer) -> tuple[list[str], list[int]]:
    """The cars a customer sees on the portal, and the odometer readings of the car that is sold."""
    with owner.actor.acting(database) as connection:
        cars = connection.execute("select id::text from portal.vehicles order by 1").fetchall()
        readings = connection.execute(
            "select reading_km from portal.odometer_readings where vehicle_id = %s order by read_on",
            (CARLA.vehicle_id,),
        ).fetchall()
    return [row["id"] for row in cars], [row["reading_km"] for row in readings]


@pytest.mark.req("P10", "D5")
def test_a_sold_car_moves_to_its_new_owner_who_sees_no_readings_from_before(fresh_database: Database) -> None:
    session = (
        "insert into public.portal_sessions"
        " (id, garage_id, account_id, device_id, idle_expires_at, expires_at)"
        " values (%s, %s, %s, %s, now() + interval '1 hour', now() + interval '1 hour')"
    )
    with fresh_database.connect() as connection:
        for who in (CARLA, KAREL):
            connection.execute(session, (who.session_id, who.garage_id, who.account_id, who.portal_device_id))
    assert seen(fresh_database, CARLA) == ([CARLA.vehicle_id], [71250])
    assert seen(fresh_database, KAREL) == ([KAREL.vehicle_id], [])
    with MARC.acting(fresh_database) as connection:
        connection.execute(
            "update public.vehicle_ownerships set valid_to = date '2026-06-01' where vehicle_id = %s",
            (CARLA.vehicle_id,),
        )
        connection.execute(
            "insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from)"
            " values (%s, %s, %s, date '2026-06-01')",
            (NOORD, CARLA.vehicle_id, KAREL.customer_id),
        )
        connection.execute(
            "insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on)"
            " values (%s, %s, 80000, date '2026-07-01')",
            (NOORD, CARLA.vehicle_id),
        )
        connection.commit()
    assert seen(fresh_database, CARLA) == ([], [71250])
    assert seen(fresh_database, KAREL) == ([CARLA.vehicle_id, KAREL.vehicle_id], [80000])


@pytest.mark.req("D5")
def test_a_vehicle_has_one_owner_at_a_time(busy_database: Database) -> None:
    own = (
        "insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from, valid_to)"
        " values (%s, %s, %s, %s, %s)"
    )
    with RITA.acting(busy_database) as connection:
        karels = (NOORD, CARLA.vehicle_id, KAREL.customer_id)
        with refused("ownership_overlaps", 409), connection.transaction():
            connection.execute(own, (*karels, "2000-01-01", "2100-01-01"))
        connection.execute(own, (*karels, "2000-01-01", "2001-01-01"))
