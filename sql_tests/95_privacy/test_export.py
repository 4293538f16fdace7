"""What an export holds: everything of the person, in columns that are theirs, and nothing of others."""

import json

import pytest

from devstack.config import SUPERUSER
from devstack.testing import Database
from sql_tests import canaries
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.people import call
from sql_tests.steps import change, look, refused

from .conftest import Row, ask

pytestmark = pytest.mark.req("G2", "G3")
STAFF = (OLGA, RITA, MARC, OTTO)


def exported(database: Database, request: Row) -> dict[str, list[Row]]:
    """All rows of an export by table, in pages of three."""
    about = call(database, OLGA, "rights_export(%s)", request["id"])
    found: dict[str, list[Row]] = {"": [about]}
    for table in about["tables"]:
        rows: list[Row] = []
        while True:
            with OLGA.acting(database) as connection:
                page = connection.execute(
                    "select r from public.rights_export_rows(%s, %s, %s, 3) r",
                    (request["id"], table["table"], len(rows)),
                ).fetchall()
            rows += [row["r"] for row in page]
            if len(page) < 3:
                break
        assert len(rows) == table["rows"]
        found[table["table"]] = rows
    return found


def test_everything_of_the_person_is_in_it_and_secrets_and_others_are_not(at_work: Database) -> None:
    request = ask(at_work, "access")
    with at_work.connect(SUPERUSER) as connection:
        classes = {
            (row["table_name"], row["column_name"]): row["class"]
            for row in connection.execute("select table_name, column_name, class from private.data_map")
        }
        mine, _ = canaries.plant(connection, CARLA)
        connection.commit()
    text = json.dumps(exported(at_work, request)).upper()
    for canary in mine:
        is_secret = classes[canary.table, canary.column] == "secret"
        assert (canary.text in text) is not is_secret, canary
    assert any(classes[c.table, c.column] == "secret" for c in mine)


def test_nothing_of_another_customer_or_of_who_works_there_is_in_it(at_work: Database) -> None:
    request = ask(at_work, "access")
    with at_work.connect(SUPERUSER) as connection:
        others, _ = canaries.plant(connection, KAREL)
        connection.commit()
    text = json.dumps(exported(at_work, request), default=str)
    assert not [canary for canary in others if canary.text in text.upper()]
    assert CARLA.customer_id in text and KAREL.customer_id not in text
    assert not [actor.name for actor in STAFF if str(actor.claims["sub"]) in text]
    assert look(at_work, "select count(*) from public.messages where author_user_id is not null") > 0


def test_who_of_the_staff_did_it_is_in_no_column(at_work: Database) -> None:
    staff = """
        select c.relnamespace::regnamespace || '.' || c.relname as "table", a.attname::text as "column"
          from pg_constraint k join pg_class c on c.oid = k.conrelid
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
         where k.contype = 'f' and k.confrelid in ('public.memberships'::regclass, 'auth.users'::regclass)
           and a.attname <> 'garage_id'
    """
    with at_work.connect() as connection:
        columns = {(row["table"], row["column"]) for row in connection.execute(staff)}
        members = {str(row["id"]) for row in connection.execute("select id from public.memberships")}
    change(
        at_work,
        "update public.work_orders set assigned_to = (select id from public.memberships"
        " where garage_id = %s and role = 'mechanic' and deactivated_at is null limit 1)"
        " where garage_id = %s and customer_id = %s and status not in ('invoiced', 'cancelled')",
        NOORD,
        NOORD,
        CARLA.customer_id,
    )
    found = exported(at_work, ask(at_work, "access"))
    assert ("public.rights_requests", "verified_by") in columns
    assert "id_card" in [row["verified_how"] for row in found["public.rights_requests"]]
    assert not {(table, column) for table, rows in found.items() for row in rows for column in row} & columns
    assert not [member for member in members if member in json.dumps(found)]


def test_a_sold_car_is_named_without_what_is_its_new_owners(at_work: Database) -> None:
    change(
        at_work,
        "update public.vehicle_ownerships set valid_to = current_date - 100 where vehicle_id = %s",
        CARLA.vehicle_id,
    )
    change(
        at_work,
        "insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from)"
        " values (%s, %s, %s, current_date - 100)",
        NOORD,
        CARLA.vehicle_id,
        KAREL.customer_id,
    )
    change(
        at_work,
        "update public.vehicle_plates set valid_to = current_date - 100 where vehicle_id = %s",
        CARLA.vehicle_id,
    )
    change(
        at_work,
        "insert into public.vehicle_plates (garage_id, vehicle_id, plate, valid_from)"
        " values (%s, %s, '2-NEW-222', current_date - 100)",
        NOORD,
        CARLA.vehicle_id,
    )
    for days, kilometres in ((101, 61111), (100, 62222)):
        change(
            at_work,
            "insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on)"
            " values (%s, %s, %s, current_date - %s::int)",
            NOORD,
            CARLA.vehicle_id,
            kilometres,
            days,
        )
    found = exported(at_work, ask(at_work, "access"))
    (car,) = found["public.vehicles"]
    assert (car["make"], "attest_717_reference" in car) == ("Volkswagen", False)
    assert [row["plate"] for row in found["public.vehicle_plates"]] == ["1-ABC-234"]
    readings = [row["reading_km"] for row in found["public.odometer_readings"]]
    assert 61111 in readings and 62222 not in readings
    sold_on = str(look(at_work, "select current_date - 100"))
    assert all(row["read_on"] < sold_on for row in found["public.odometer_readings"])
    karel = exported(at_work, ask(at_work, "access", KAREL))
    assert "2-NEW-222" in [row["plate"] for row in karel["public.vehicle_plates"]]
    readings = [row["reading_km"] for row in karel["public.odometer_readings"]]
    assert 62222 in readings and 61111 not in readings


def test_a_merged_duplicate_is_the_same_person(at_work: Database) -> None:
    with OLGA.acting(at_work) as connection:
        row = connection.execute(
            "insert into public.customers (garage_id, full_name, email, locale)"
            " values (%s, 'Carla V.', 'cv@example.test', 'nl') returning id",
            (NOORD,),
        ).fetchone()
        assert row is not None
        connection.execute("select public.merge_customers(%s, %s)", (CARLA.customer_id, row["id"]))
        connection.commit()
    found = exported(at_work, ask(at_work, "access"))
    assert {c["full_name"] for c in found["public.customers"]} == {"Carla Verstraete", "Carla V."}


@pytest.mark.req("D12", "G8")
@pytest.mark.parametrize("first_row", [0, 1])
def test_rows_are_not_had_without_a_line_in_the_access_log(at_work: Database, first_row: int) -> None:
    request = ask(at_work, "access")
    logged = (
        "select count(*) from audit.access_entries"
        " where event = 'export_made' and subject_id = %s and actor = %s"
    )
    mine = (CARLA.customer_id, f"staff:{OLGA.claims['sub']}")
    assert look(at_work, logged, *mine) == 0
    for table in ("public.vehicles", "public.invoices"):
        with OLGA.acting(at_work) as connection:
            connection.execute(
                "select public.rights_export_rows(%s, %s, %s)", (request["id"], table, first_row)
            )
            connection.commit()
    assert look(at_work, logged, *mine) == 1, "once for all its pages"


@pytest.mark.req("D12", "G8")
def test_an_export_is_logged_and_its_evidence_is_a_hash_and_numbers(at_work: Database) -> None:
    request = ask(at_work, "portability")
    exported(at_work, request)
    logged = (
        "select count(*) from audit.access_entries"
        " where event = 'export_made' and subject_id = %s and actor = %s"
    )
    assert look(at_work, logged, CARLA.customer_id, f"staff:{OLGA.claims['sub']}") == 1
    finish = "finish_rights_export(%s, %s, %s)"
    for sha256, counts in (("nope", "{}"), ("a" * 64, '{"name": "Carla"}'), ("a" * 64, "[]")):
        with refused("evidence_invalid"):
            call(at_work, OLGA, finish, request["id"], sha256, counts)
    call(at_work, OLGA, finish, request["id"], "a" * 64, '{"rows": 7}')
    row = look(at_work, "select to_jsonb(r) from public.rights_requests r where id = %s", request["id"])
    assert (row["status"], row["evidence"]["export"]["counts"]) == ("done", {"rows": 7})
    with refused("rights_request_settled", 409):
        call(at_work, OLGA, "rights_export(%s)", request["id"])


def test_only_tables_about_persons_are_exported(at_work: Database) -> None:
    request = ask(at_work, "access")
    for table in ("auth.users", "public.garages", "private.subprocessors", "nothing"):
        with refused("table_not_exportable", 404):
            call(at_work, OLGA, "rights_export_rows(%s, %s)", request["id"], table)
