"""Odometer readings: implausible ones are kept and flagged, wrong ones corrected by another reading."""

from datetime import date, timedelta

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import CARLA, KAREL, MARC, NOORD
from sql_tests.steps import denied, one, refused

pytestmark = pytest.mark.req("D5")

START = date(2026, 1, 12)  # the seeds' reading of 71,250 km


def read(connection: Connection, km: int, days: int, corrects: object = None, reason: object = None) -> str:
    """Record a reading so many days after the first one; its id."""
    return str(
        one(
            connection,
            "insert into public.odometer_readings"
            " (garage_id, vehicle_id, reading_km, read_on, corrects_id, correction_reason)"
            " values (%s, %s, %s, %s, %s, %s) returning id",
            NOORD,
            CARLA.vehicle_id,
            km,
            START + timedelta(days),
            corrects,
            reason,
        )
    )


def flags(connection: Connection) -> dict[int, str | None]:
    query = (
        "select reading_km, implausible_because from public.odometer_history"
        " where vehicle_id = %s and source = 'staff' and read_on >= %s"
    )
    rows = connection.execute(query.encode(), (CARLA.vehicle_id, START))
    return {row["reading_km"]: row["implausible_because"] for row in rows}


def test_falling_too_fast_and_future_readings_are_kept_and_flagged(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        read(connection, 73250, 2)
        read(connection, 75251, 4)
        read(connection, 75000, 10)
        read(connection, 75300, 20)
        read(connection, 75900, 20000)
        assert flags(connection) == {
            71250: None,
            73250: None,
            75251: "too_fast",
            75000: "falling",
            75300: None,
            75900: "future",
        }


def test_a_correction_keeps_the_wrong_reading_and_counts_in_its_place(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        wrong = read(connection, 712500, 30)
        read(connection, 72000, 40)
        assert flags(connection) == {71250: None, 712500: "too_fast", 72000: "falling"}
        read(connection, 71950, 30, wrong, "Een nul te veel")
        assert flags(connection) == {71250: None, 712500: None, 71950: None, 72000: None}
        corrected = "select is_corrected from public.odometer_history where id = %s"
        assert one(connection, corrected, wrong) is True
        with refused("reading_corrected_already", 409), connection.transaction():
            read(connection, 71960, 30, wrong, "Toch niet")
        with denied(), connection.transaction():
            connection.execute("update public.odometer_readings set reading_km = 1 where id = %s", (wrong,))
        with denied(), connection.transaction():
            connection.execute("delete from public.odometer_readings where id = %s", (wrong,))


def test_a_correction_names_a_reading_of_the_same_vehicle_and_its_reason(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        own = read(connection, 72000, 40)
        karels = one(
            connection,
            "select id from public.odometer_readings where vehicle_id = %s limit 1",
            KAREL.vehicle_id,
        )
        for corrects, reason, code, status in (
            (karels, "x", "reading_not_found", 404),
            (own, None, "correction_reason_missing", 422),
            (None, "x", "correction_reason_missing", 422),
            (own, "x" * 201, "correction_reason_missing", 422),
        ):
            with refused(code, status), connection.transaction():
                read(connection, 71900, 40, corrects, reason)
        read(connection, 71900, 40, own, "Verkeerd afgelezen")


@pytest.mark.req("P10")
def test_the_customer_sees_the_correction_alone(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        read(connection, 71900, 40, read(connection, 172000, 40), "Verkeerd afgelezen")
        connection.execute("reset role")
        with probes.acting(connection, CARLA.actor):
            rows = connection.execute(
                "select reading_km from portal.odometer_readings where vehicle_id = %s", (CARLA.vehicle_id,)
            ).fetchall()
    seen = {row["reading_km"] for row in rows}
    assert 71900 in seen and 172000 not in seen
