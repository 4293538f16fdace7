"""Plates over time: they follow the person, and a vehicle bears one at a time."""

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.steps import draft, issue, one, refused

pytestmark = pytest.mark.req("D5")

NOW = "select v.plate from public.vehicles v where v.id = %s"


def register(connection: Connection, vehicle_id: str, plate: str, day: str | None = None) -> str:
    return str(one(connection, "select plate from public.register_plate(%s, %s, %s)", vehicle_id, plate, day))


def history(connection: Connection, vehicle_id: str) -> list[tuple[str, str, str | None]]:
    query = (
        "select plate, valid_from::text, valid_to::text from public.vehicle_plates"
        " where vehicle_id = %s order by valid_from"
    )
    return [tuple(row.values()) for row in connection.execute(query.encode(), (vehicle_id,))]


def test_a_plate_moves_to_the_next_vehicle_and_both_remember_it(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        register(connection, KAREL.vehicle_id, " 1-abc-234 ", "2026-05-01")
        assert history(connection, CARLA.vehicle_id) == [("1-ABC-234", "2021-03-15", "2026-05-01")]
        assert history(connection, KAREL.vehicle_id) == [
            ("1-KJN-567", "2022-06-01", "2026-05-01"),
            ("1-ABC-234", "2026-05-01", None),
        ]
        assert one(connection, NOW, CARLA.vehicle_id) is None
        assert one(connection, NOW, KAREL.vehicle_id) == "1-ABC-234"


@pytest.mark.parametrize(
    ("plate", "day", "code", "status"),
    [
        ("", None, "plate_invalid", 422),
        ("1-ÀBC-234", None, "plate_invalid", 422),
        ("1234567890123456", None, "plate_invalid", 422),
        ("1-NEW-111", "2100-01-01", "date_in_future", 422),
        ("1-NEW-111", "2021-03-15", "plate_overlaps", 409),
        ("1-NEW-111", "2010-01-01", "plate_overlaps", 409),
        ("1 KJN 567", "2021-06-01", "plate_overlaps", 409),
    ],
)
def test_a_wrong_plate_is_refused_and_the_old_one_stays(
    busy_database: Database, plate: str, day: str | None, code: str, status: int
) -> None:
    with RITA.acting(busy_database) as connection:
        with refused(code, status), connection.transaction():
            register(connection, CARLA.vehicle_id, plate, day)
        assert one(connection, NOW, CARLA.vehicle_id) == "1-ABC-234"
        assert register(connection, CARLA.vehicle_id, "1-new-111", "2022-01-01") == "1-NEW-111"


@pytest.mark.req("D1")
def test_a_vehicle_of_another_garage_gets_no_plate_and_its_plate_is_no_obstacle(
    busy_database: Database,
) -> None:
    with RITA.acting(busy_database) as connection:
        with refused("vehicle_not_found", 404), connection.transaction():
            register(connection, CARLA_AT_ZUID.vehicle_id, "1-NEW-111")
        assert register(connection, CARLA.vehicle_id, "2-CAR-890", "2026-01-01") == "2-CAR-890"
    with OTTO.acting(busy_database) as connection:
        assert one(connection, NOW, CARLA_AT_ZUID.vehicle_id) == "2-CAR-890"


@pytest.mark.req("D7")
def test_an_invoice_prints_the_plate_of_the_day_of_supply(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        register(connection, CARLA.vehicle_id, "1-NEW-111", "2026-05-01")
        for day, plate in (("2026-04-30", "1-ABC-234"), ("2026-05-01", "1-NEW-111")):
            invoice_id = draft(connection, CARLA)
            connection.execute(
                "update public.invoices set revision = revision + 1, supply_date = %s where id = %s",
                (day, invoice_id),
            )
            assert issue(connection, invoice_id)["snapshot"]["vehicle"]["plate"] == plate


def test_a_sale_ends_one_ownership_and_begins_the_next(busy_database: Database) -> None:
    transfer = "select customer_id from public.transfer_vehicle(%s, %s, %s)"
    with OLGA.acting(busy_database) as connection:
        for arguments, code, status in (
            ((CARLA_AT_ZUID.vehicle_id, KAREL.customer_id, None), "vehicle_not_found", 404),
            ((CARLA.vehicle_id, CARLA_AT_ZUID.customer_id, None), "customer_not_found", 404),
            ((CARLA.vehicle_id, KAREL.customer_id, "2100-01-01"), "date_in_future", 422),
            ((CARLA.vehicle_id, KAREL.customer_id, "2020-01-01"), "ownership_overlaps", 409),
        ):
            with refused(code, status), connection.transaction():
                connection.execute(transfer, arguments)
        connection.execute(transfer, (CARLA.vehicle_id, KAREL.customer_id, "2026-06-01"))
        rows = connection.execute(
            "select customer_id::text, valid_to::text from public.vehicle_ownerships"
            " where vehicle_id = %s and garage_id = %s order by valid_from",
            (CARLA.vehicle_id, NOORD),
        ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (CARLA.customer_id, "2026-06-01"),
        (KAREL.customer_id, None),
    ]


@pytest.mark.parametrize(
    ("vin", "warning"),
    [
        ("1M8GDM9AXKP042788", None),
        ("1M8GDM9A1KP042788", "check_digit"),
        ("11111111111111111", None),
        ("WVWZZZCDZMW123456", "check_digit"),
    ],
)
def test_a_check_digit_that_is_off_is_a_warning_and_no_refusal(
    busy_database: Database, vin: str, warning: str | None
) -> None:
    add = "insert into public.vehicles (garage_id, vin, make, model) values (%s, %s, 'X', 'Y')"
    with MARC.acting(busy_database) as connection:
        if vin != "WVWZZZCDZMW123456":
            connection.execute(add, (NOORD, vin))
        found = one(connection, "select public.vin_warning(v) from public.vehicles v where v.vin = %s", vin)
    assert found == warning


@pytest.mark.req("P10")
def test_a_customer_sees_the_plates_of_their_own_time_and_none_of_an_earlier_owner(
    busy_database: Database,
) -> None:
    borne = "select plate from public.vehicle_plates where vehicle_id = %s order by plate"
    with busy_database.connect() as connection:
        connection.execute(
            "insert into public.vehicle_plates (garage_id, vehicle_id, plate, valid_from, valid_to)"
            " select garage_id, vehicle_id, '0-OLD-111', valid_from - 900, valid_from - 500"
            " from public.vehicle_ownerships where vehicle_id = %s order by valid_from limit 1",
            (CARLA.vehicle_id,),
        )
        # No view shows them all, and the schema is closed: what would be seen if one did.
        connection.execute("grant usage on schema public to portal")
        with probes.acting(connection, RITA):
            staff = [row["plate"] for row in connection.execute(borne, (CARLA.vehicle_id,))]
        with probes.acting(connection, CARLA.actor):
            own = [row["plate"] for row in connection.execute(borne, (CARLA.vehicle_id,))]
        connection.rollback()
    assert "0-OLD-111" in staff and "1-ABC-234" in staff
    assert own == [plate for plate in staff if plate != "0-OLD-111"] != []
