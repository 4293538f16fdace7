"""Work orders: a status machine, tasks and lines that freeze with it, and one step to the invoice."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import (
    CARLA,
    CARLA_AT_ZUID,
    KAREL,
    MARC,
    NOORD,
    OLGA,
    OTTO,
    OTTO_MEMBERSHIP,
    RITA,
    RITA_MEMBERSHIP,
)
from sql_tests.steps import change, denied, issue, look, one, refused, sign_in, work_order

pytestmark = pytest.mark.req("D6")

STATUSES = ("estimate", "planned", "in_progress", "waiting", "ready", "invoiced", "cancelled")
ALLOWED = {
    "estimate": {"planned", "in_progress", "cancelled"},
    "planned": {"estimate", "in_progress", "cancelled"},
    "in_progress": {"waiting", "ready", "cancelled"},
    "waiting": {"in_progress", "ready", "cancelled"},
    "ready": {"in_progress", "cancelled"},
    "invoiced": set[str](),
    "cancelled": {"estimate", "planned"},
}
# How a new work order gets to a status.
WAYS = {
    "waiting": ("in_progress", "waiting"),
    "ready": ("in_progress", "ready"),
    "invoiced": ("in_progress", "ready"),
    "cancelled": ("planned", "cancelled"),
}


def put(connection: Connection, order_id: str, **values: object) -> None:
    """Change a work order, with the next revision."""
    assignments = ", ".join(f"{name} = %({name})s" for name in values)
    connection.execute(
        f"update public.work_orders set revision = revision + 1, {assignments} where id = %(id)s".encode(),
        {**values, "id": order_id},
    )


def invoiced(connection: Connection, order_id: str) -> str:
    return str(one(connection, "select id from public.invoice_work_order(%s)", order_id))


def brought_to(connection: Connection, status: str) -> str:
    first, *later = WAYS.get(status, (status,))
    order_id = work_order(connection, CARLA, first)
    for step in later:
        put(connection, order_id, status=step)
    if status == "invoiced":
        invoiced(connection, order_id)
    return order_id


@pytest.mark.parametrize("status", STATUSES)
def test_a_work_order_goes_where_the_status_machine_lets_it(busy_database: Database, status: str) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, status)
        reached = set()
        for target in set(STATUSES) - {status}:
            with connection.transaction(force_rollback=True):
                try:
                    put(connection, order_id, status=target)
                except psycopg.Error as error:
                    allowed = ("status_change_not_allowed", "work_order_not_invoiced")
                    assert error.diag.message_detail in allowed, target
                else:
                    reached.add(target)
        assert reached == ALLOWED[status]


@pytest.mark.parametrize("status", ["waiting", "ready", "invoiced", "cancelled"])
def test_a_new_work_order_is_not_far_along_already(busy_database: Database, status: str) -> None:
    with MARC.acting(busy_database) as connection:
        with refused("status_change_not_allowed", 409), connection.transaction():
            work_order(connection, CARLA, status)
        work_order(connection, CARLA, "planned")


def test_every_change_of_status_is_written_down_with_who_made_it(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, "invoiced")
        events = connection.execute(
            "select from_status, to_status, actor from public.work_order_events"
            " where work_order_id = %s order by created_at",
            (order_id,),
        ).fetchall()
        with denied(), connection.transaction():
            connection.execute("delete from public.work_order_events where work_order_id = %s", (order_id,))
    steps = [(None, "in_progress"), ("in_progress", "ready"), ("ready", "invoiced")]
    assert [(e["from_status"], e["to_status"]) for e in events] == steps
    assert {e["actor"] for e in events} == {f"staff:{RITA.claims['sub']}"}


def test_references_count_up_per_garage(fresh_database: Database) -> None:
    reference = "select reference from public.work_orders where id = %s"
    with RITA.acting(fresh_database) as connection:
        found = [one(connection, reference, work_order(connection, CARLA)) for _ in range(2)]
    year = look(fresh_database, "select extract(year from private.today_at(%s))::int", NOORD)
    assert found == [f"WO{year}-00001", f"WO{year}-00002"]
    with OTTO.acting(fresh_database) as connection:
        assert one(connection, reference, work_order(connection, CARLA_AT_ZUID)) == f"WO{year}-00001"


@pytest.mark.req("D7")
def test_one_step_makes_the_draft_invoice_of_what_was_done(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, "ready")
        put(connection, order_id, customer_note="Nieuwe schijven zijn nodig tegen de lente.")
        invoice_id = invoiced(connection, order_id)
        drafted = connection.execute("select * from public.invoices where id = %s", (invoice_id,)).fetchone()
        assert drafted is not None
        assert (str(drafted["customer_id"]), drafted["odometer_km"]) == (CARLA.customer_id, 84600)
        assert (drafted["note"], drafted["status"]) == ("Nieuwe schijven zijn nodig tegen de lente.", "draft")
        invoice = issue(connection, invoice_id)
        assert invoice["net_total"] == Decimal("84.17")
        state = "select status, invoice_id::text from public.work_orders where id = %s"
        row = connection.execute(state.encode(), (order_id,)).fetchone()
        assert row == {"status": "invoiced", "invoice_id": invoice_id}
        with refused("work_order_already_invoiced", 409), connection.transaction():
            invoiced(connection, order_id)


def test_a_discarded_draft_makes_the_work_order_ready_again(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, "ready")
        first = invoiced(connection, order_id)
        connection.execute("delete from public.invoices where id = %s", (first,))
        assert one(connection, "select status from public.work_orders where id = %s", order_id) == "ready"
        assert invoiced(connection, order_id) != first


@pytest.mark.parametrize("status", ["estimate", "planned", "in_progress", "waiting", "cancelled"])
def test_only_finished_work_is_invoiced(busy_database: Database, status: str) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, status)
        with refused("work_order_not_ready", 409):
            invoiced(connection, order_id)


def test_nothing_is_invoiced_where_nothing_was_done(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        order_id = brought_to(connection, "ready")
        connection.execute("delete from public.work_order_lines where work_order_id = %s", (order_id,))
        with refused("work_order_without_lines", 409):
            invoiced(connection, order_id)


def test_of_two_who_invoice_at_once_one_makes_the_draft(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        order_id = brought_to(connection, "ready")
        connection.commit()

    def attempt(actor: int) -> bool:
        with (RITA, OLGA)[actor % 2].acting(fresh_database) as connection:
            try:
                invoiced(connection, order_id)
            except psycopg.Error as error:
                assert error.diag.message_detail == "work_order_already_invoiced"
                return False
            connection.commit()
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    assert look(fresh_database, "select count(*) from public.invoices") == 1


@pytest.mark.parametrize("status", ["invoiced", "cancelled"])
def test_a_closed_work_order_no_longer_changes(busy_database: Database, status: str) -> None:
    with RITA.acting(busy_database) as connection:
        closed, live = brought_to(connection, status), brought_to(connection, "in_progress")
        for statement in (
            "update public.work_orders set revision = revision + 1, complaint = 'x' where id = %s",
            "update public.work_order_tasks set revision = revision + 1, is_done = true"
            " where work_order_id = %s",
            "delete from public.work_order_lines where work_order_id = %s",
            "update public.work_order_lines set revision = revision + 1, quantity = 9"
            " where work_order_id = %s",
            "delete from public.work_order_tasks where work_order_id = %s",
        ):
            with refused("work_order_is_closed", 409), connection.transaction():
                connection.execute(statement.encode(), (closed,))
            with connection.transaction(force_rollback=True):
                assert connection.execute(statement.encode(), (live,)).rowcount == 1


@pytest.mark.parametrize(
    ("values", "code", "status"),
    [
        ({"complaint": " "}, "complaint_invalid", 422),
        ({"complaint": "x" * 2001}, "complaint_invalid", 422),
        ({"complaint": "a\x07"}, "control_character", 422),
        ({"odometer_in_km": -1}, "odometer_invalid", 422),
        ({"internal_note": "x" * 4001}, "note_too_long", 422),
        ({"planned_at": "2026-05-02", "expected_ready_at": "2026-05-01"}, "work_order_times_invalid", 422),
        ({"planned_at": "infinity"}, "work_order_times_invalid", 422),
        ({"customer_id": CARLA_AT_ZUID.customer_id}, "customer_not_found", 404),
        ({"vehicle_id": CARLA_AT_ZUID.vehicle_id}, "vehicle_not_found", 404),
        ({"assigned_to": OTTO_MEMBERSHIP}, "member_not_found", 404),
        ({"status": "done"}, "status_change_not_allowed", 409),
    ],
)
def test_a_wrong_value_is_refused_clearly(
    busy_database: Database, values: dict[str, object], code: str, status: int
) -> None:
    with MARC.acting(busy_database) as connection:
        order_id = work_order(connection, CARLA)
        with refused(code, status), connection.transaction():
            put(connection, order_id, **values)
        put(connection, order_id, complaint="l'été 🚗", assigned_to=RITA_MEMBERSHIP, planned_at="2026-05-01")


def test_work_is_given_to_colleagues_who_still_work_here(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        order_id = work_order(connection, CARLA)
        put(connection, order_id, assigned_to=RITA_MEMBERSHIP)
        connection.commit()
    change(
        fresh_database, "update public.memberships set deactivated_at = now() where id = %s", RITA_MEMBERSHIP
    )
    with MARC.acting(fresh_database) as connection:
        put(connection, order_id, complaint="Nog iets")
        other = work_order(connection, KAREL)
        with refused("member_not_active", 409):
            put(connection, other, assigned_to=RITA_MEMBERSHIP)


def test_what_a_colleague_finished_is_invoiced_after_they_left(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        order_id = brought_to(connection, "ready")
        put(connection, order_id, assigned_to=RITA_MEMBERSHIP)
        connection.commit()
    change(
        fresh_database, "update public.memberships set deactivated_at = now() where id = %s", RITA_MEMBERSHIP
    )
    with OLGA.acting(fresh_database) as connection:
        assert invoiced(connection, order_id)


@pytest.mark.parametrize(
    "save",
    [
        "update public.work_orders set revision = %s, complaint = 'x' where id = %s",
        "update public.work_order_lines set revision = %s, unit_price = 1 where work_order_id = %s",
        "update public.work_order_tasks set revision = %s, title = 'x' where work_order_id = %s",
    ],
    ids=["head", "line", "task"],
)
def test_the_second_to_save_is_told_that_it_changed(busy_database: Database, save: str) -> None:
    with MARC.acting(busy_database) as connection:
        order_id = work_order(connection, CARLA)
        connection.execute(save.encode(), (2, order_id))
        for stale in (1, 2, 4):
            with refused("changed_meanwhile", 409), connection.transaction():
                connection.execute(save.encode(), (stale, order_id))
        connection.execute(save.encode(), (3, order_id))


@pytest.mark.req("D5")
def test_the_odometer_read_at_check_in_is_a_reading(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        order_id = work_order(connection, KAREL)
        put(connection, order_id, complaint="x")
        put(connection, order_id, odometer_in_km=84700)
        rows = connection.execute(
            "select reading_km from public.odometer_readings"
            " where vehicle_id = %s and source = 'work_order' and created_at = now() order by 1",
            (KAREL.vehicle_id,),
        ).fetchall()
    assert [row["reading_km"] for row in rows] == [84600, 84700]


def test_the_work_list_shows_what_is_open_and_how_far_it_is(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        order_id = work_order(connection, CARLA)
        put(
            connection,
            order_id,
            assigned_to=RITA_MEMBERSHIP,
            planned_at="2026-01-05",
            expected_ready_at="2026-01-06",
        )
        connection.execute(
            "update public.work_order_tasks set revision = revision + 1, is_done = true"
            " where work_order_id = %s",
            (order_id,),
        )
        brought_to(connection, "cancelled")
        connection.commit()
    seen = {}
    for actor in (MARC, RITA, OTTO):
        with actor.acting(fresh_database) as connection:
            seen[actor.name] = connection.execute("select * from public.work_list").fetchall()
    (row,) = seen["Rita"]
    assert (row["plate"], row["assigned_name"], row["is_late"]) == ("1-ABC-234", "Rita Claes", True)
    assert (row["tasks"], row["tasks_done"], row["net_total"]) == (1, 1, Decimal("84.17"))
    assert row["customer_name"] and seen["Marc"] == [{**row, "customer_name": None}]
    assert seen["Otto"] == []


def test_a_vehicle_has_one_history_of_all_that_happened_to_it(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        issue(connection, invoiced(connection, brought_to(connection, "ready")))
        rows = connection.execute(
            "select kind from public.vehicle_history where vehicle_id = %s order by happened_on, kind",
            (CARLA.vehicle_id,),
        ).fetchall()
    assert [row["kind"] for row in rows] == ["odometer_reading", "invoice", "work_order"]


@pytest.mark.req("P10", "D1")
def test_a_customer_sees_their_own_work_orders_without_internal_notes(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        orders = {
            status: brought_to(connection, status)
            for status in ("estimate", "planned", "ready", "invoiced", "cancelled")
        }
        connection.commit()
    seen = {}
    for customer in (CARLA, KAREL, CARLA_AT_ZUID):
        session, _ = sign_in(fresh_database, customer)
        with customer.with_session(session["session_id"]).acting(fresh_database) as connection:
            seen[customer.number] = connection.execute("select * from portal.work_orders").fetchall()
            with denied(), connection.transaction():
                connection.execute("select internal_note from public.work_orders")
    assert {str(row["id"]) for row in seen[1]} == {orders[s] for s in ("planned", "ready", "invoiced")}
    assert not {"internal_note", "assigned_to"} & set(seen[1][0])
    assert (seen[2], seen[3]) == ([], [])


@pytest.mark.req("D2")
def test_with_the_module_off_work_orders_are_closed_and_nothing_is_lost(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        order_id = brought_to(connection, "ready")
        connection.commit()
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'work_orders'"
    )
    change(fresh_database, switch, False, NOORD)
    with RITA.acting(fresh_database) as connection:
        for view in ("work_orders", "work_list", "work_order_lines", "work_order_photos"):
            assert connection.execute(f"select 1 from public.{view}".encode()).fetchall() == []
        with refused("module_closed", 403), connection.transaction():
            invoiced(connection, order_id)
        with refused("module_closed", 403), connection.transaction():
            work_order(connection, CARLA)
    change(fresh_database, switch, True, NOORD)
    with RITA.acting(fresh_database) as connection:
        invoiced(connection, order_id)
