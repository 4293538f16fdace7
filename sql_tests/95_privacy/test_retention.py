"""Retention: floors, ceilings, holds, and what goes when the clock moves."""

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, RITA, ZUID
from sql_tests.people import call
from sql_tests.steps import change, claim, finish, look, one, refused

from .conftest import ask, do, twin

pytestmark = pytest.mark.req("G5")
Counts = dict[str, int]


def retain(database: Database, years: float, *, dry: bool = False, garage: str = NOORD) -> Counts:
    """Apply retention as if it were so many years later."""
    found = look(
        database,
        "select counts from private.apply_retention(now() + make_interval(days => %s), %s,"
        " array[%s]::uuid[])",
        round(years * 365.25),
        dry,
        garage,
    )
    return dict(found)


def settle(database: Database) -> None:
    """No request is open: a person who waits for an answer loses nothing meanwhile."""
    change(database, "update public.legal_holds set lifted_at = now() where lifted_at is null")


def test_nothing_goes_today_and_a_dry_run_counts_what_would(at_work: Database) -> None:
    assert retain(at_work, 0) == {}
    rows = look(at_work, "select count(*) from public.communications")
    dry = retain(at_work, 4, dry=True)
    assert dry["public.communications"] > 0 and dry["public.push_notifications"] > 0
    assert look(at_work, "select count(*) from public.communications") == rows
    assert look(at_work, "select count(*) from private.erasing") == 0
    assert retain(at_work, 4) == dry
    assert retain(at_work, 4).keys() <= {"public.retention_runs"}, "all that was due is gone"


def test_invoices_stay_ten_years_from_the_next_january_and_go_then(at_work: Database) -> None:
    issued = "select count(*) from public.invoices where garage_id = %s and issued_at is not null"
    before = look(at_work, issued, NOORD)
    last_day = look(
        at_work,
        "select make_date(extract(year from private.today_at(%s))::int + 11, 1, 1) - private.today_at(%s)",
        NOORD,
        NOORD,
    )
    gone = retain(at_work, (last_day - 2) / 365.25)
    assert look(at_work, issued, NOORD) == before > 0, "drafts may go, what was issued may not"
    assert "public.messages" in gone
    gone = retain(at_work, (last_day + 2) / 365.25)
    assert gone["public.invoices"] >= before and look(at_work, issued, NOORD) == 0
    assert look(at_work, issued, ZUID) > 0, "another garage's time is its own"


def test_the_pdf_goes_with_its_invoice_by_a_worker(at_work: Database) -> None:
    paths = look(
        at_work,
        "select array_agg(storage_path order by storage_path) from public.invoice_documents"
        " where garage_id = %s",
        NOORD,
    )
    retain(at_work, 12)
    jobs = [row["job"] for row in claim(at_work, "erase")]
    assert sorted(job["path"] for job in jobs) == paths
    assert {job["bucket"] for job in jobs} == {"invoices"}


def test_customers_and_their_cars_go_when_nothing_is_left_of_them(at_work: Database) -> None:
    alive = "select count(*) from public.customers where garage_id = %s"
    retain(at_work, 9)
    assert look(at_work, alive, NOORD) > 0
    retain(at_work, 12)
    assert look(at_work, "select count(*) from public.vehicles where garage_id = %s", NOORD) == 0
    retain(at_work, 12)
    assert look(at_work, alive, NOORD) == 0, "the day after their cars"


def test_who_owns_a_car_today_stays_as_long_as_the_car_is_kept(at_work: Database) -> None:
    def newcomer(name: str, valid_to: str) -> str:
        customer = twin(at_work, name)
        car = (
            "with car as (insert into public.vehicles (garage_id, make, model)"
            " values (%s, 'Opel', 'Astra') returning id)"
            " insert into public.vehicle_ownerships"
            " (garage_id, vehicle_id, customer_id, valid_from, valid_to)"
            f" select %s, car.id, %s, current_date - 2, {valid_to} from car"
        )
        change(at_work, car, NOORD, NOORD, customer)
        return customer

    owner, seller = newcomer("Eigenaar", "null"), newcomer("Verkoper", "current_date - 1")
    do(at_work, "select * from public.set_retention('customers', '5 years')")
    cars = "select count(*) from public.vehicle_ownerships where customer_id = %s"
    there = "select count(*) from public.customers where id = %s"
    retain(at_work, 9.9)
    assert (look(at_work, there, owner), look(at_work, cars, owner)) == (1, 1)
    retain(at_work, 10.1)
    retain(at_work, 10.2)
    assert (look(at_work, there, seller), look(at_work, cars, seller)) == (0, 0)
    assert (look(at_work, there, owner), look(at_work, cars, owner)) == (0, 0)


@pytest.mark.parametrize("held_by", ["legal hold", "open request", "restriction"])
def test_of_whom_something_is_held_nothing_goes(at_work: Database, held_by: str) -> None:
    if held_by == "legal hold":
        do(at_work, "select * from public.place_legal_hold(%s, 'Geschil')", CARLA.customer_id)
    elif held_by == "open request":
        ask(at_work, "access", verified=False)
    else:
        request = ask(at_work, "restriction")
        do(at_work, "select * from public.execute_restriction(%s)", request["id"])
    mine = "select count(*) from public.invoices where customer_id = %s"
    talk = "select count(*) from public.conversations where customer_id = %s"
    before = (look(at_work, mine, CARLA.customer_id), look(at_work, talk, CARLA.customer_id))
    retain(at_work, 25)
    assert (look(at_work, mine, CARLA.customer_id), look(at_work, talk, CARLA.customer_id)) == before
    assert look(at_work, talk, KAREL.customer_id) == 0


def test_a_garage_sets_its_own_time_within_floor_and_ceiling(at_work: Database) -> None:
    for processing, keep_for, code, status in (
        ("invoices", "9 years", "retention_below_floor", 422),
        ("invoices", "16 years", "retention_above_ceiling", 422),
        ("conversations", "1 day", "retention_below_floor", 422),
        ("audit", "1 year", "retention_not_settable", 404),
        ("gossip", "1 year", "retention_not_settable", 404),
    ):
        with refused(code, status):
            call(at_work, OLGA, "set_retention(%s, %s)", processing, keep_for)
    with refused("permission_missing", 403):
        call(at_work, RITA, "set_retention('conversations', '1 year')")
    assert "public.messages" not in retain(at_work, 1.5, dry=True)
    call(at_work, OLGA, "set_retention('conversations', '1 year')")
    assert "public.messages" in retain(at_work, 1.5, dry=True)
    assert "public.messages" not in retain(at_work, 1.5, dry=True, garage=ZUID)


def test_the_card_says_what_holds(at_work: Database) -> None:
    call(at_work, OLGA, "set_retention('conversations', '1 year')")
    with OLGA.acting(at_work) as connection:
        rows = {
            r["processing"]: r
            for r in connection.execute("select * from public.retention, extract(epoch from keep_for) s")
        }
    assert rows["conversations"]["is_set_by_garage"] and not rows["invoices"]["is_set_by_garage"]
    assert rows["invoices"]["floor"] == rows["invoices"]["keep_for"]


def test_housekeeping_applies_it_to_each_garage_once_a_day(at_work: Database) -> None:
    with at_work.connect("worker") as connection:
        first = connection.execute("select private.housekeep() as counts").fetchone()
        connection.commit()
    assert first is not None and first["counts"]["retention"] == 0
    runs = "select count(*) from public.retention_runs"
    assert look(at_work, runs) == 2
    with at_work.connect("worker") as connection:
        connection.execute("select private.housekeep()")
    assert look(at_work, runs) == 2


def housekeep(database: Database) -> Counts:
    with database.connect("worker") as connection:
        return dict(one(connection, "select private.housekeep()"))


BROKEN = """
create function private.tg_broken() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin raise {error}; end $$;
create trigger broken before delete on public.push_notifications for each row
    when (old.garage_id = '{garage}') execute function private.tg_broken()
"""


@pytest.mark.parametrize(("error", "code"), [("division_by_zero", "22012"), ("query_canceled", "57014")])
def test_a_garage_whose_retention_fails_keeps_no_other_waiting(
    at_work: Database, error: str, code: str
) -> None:
    change(at_work, "update public.push_notifications set created_at = now() - interval '100 days'")
    change(at_work, "delete from public.delivery_attempts where push_notification_id is not null")
    change(at_work, BROKEN.format(garage=NOORD, error=error))
    pushes = "select count(*) from public.push_notifications where garage_id = %s"
    before = look(at_work, pushes, NOORD)
    counts = housekeep(at_work)
    assert counts["retention"] > 0 and counts["retention_failed"] == 1 and "failed" not in counts
    assert look(at_work, pushes, NOORD) == before > 0 == look(at_work, pushes, ZUID)
    run = "select concat_ws('/', failure, counts) from public.retention_runs where garage_id = %s"
    assert look(at_work, run, NOORD) == code + "/{}"
    assert look(at_work, run, ZUID).startswith("{")
    assert housekeep(at_work)["retention_failed"] == 0, "it is tried again tomorrow, not every hour"
    with pytest.raises(psycopg.errors.lookup(code)):
        call(at_work, OLGA, "run_retention(false)")


def test_retention_takes_another_garage_only_while_there_is_time(at_work: Database) -> None:
    runs = "select count(*) from public.retention_runs"
    for done in (1, 2, 2):
        change(at_work, "select private.apply_due_retention(now(), interval '0 seconds')")
        assert look(at_work, runs) == done
    change(at_work, "delete from public.retention_runs")
    change(at_work, "select private.apply_due_retention(now())")
    assert look(at_work, runs) == 2


def test_the_garage_that_waited_longest_comes_first(at_work: Database) -> None:
    newest = "select garage_id::text from public.retention_runs order by created_at desc limit 1"
    for first, second in ((NOORD, ZUID), (ZUID, NOORD)):
        change(at_work, "delete from public.retention_runs")
        change(
            at_work,
            "insert into public.retention_runs (garage_id, as_of, actor, counts, created_at)"
            " values (%s, now(), 'worker', '{}', now() - interval '3 days'),"
            "        (%s, now(), 'worker', '{}', now() - interval '2 days')",
            first,
            second,
        )
        change(at_work, "select private.apply_due_retention(now(), interval '0 seconds')")
        assert look(at_work, newest) == first


APPLY = "apply_due_retention(as_of timestamptz, budget interval default '10 seconds')"


@pytest.mark.parametrize(
    ("task", "function", "counted"),
    [
        ("retention", f"{APPLY} returns int", "website_requests"),
        ("removals", "retry_removals() returns jsonb", "retention"),
        ("history", "keep_history(at timestamptz) returns jsonb", "retention"),
        ("breaches", "purge_breaches(at timestamptz) returns jsonb", "retention"),
        ("website", "purge_website(at timestamptz default now()) returns jsonb", "retention"),
        ("telemetry", "purge_telemetry(at timestamptz default now()) returns jsonb", "retention"),
    ],
)
@pytest.mark.parametrize("error", ["division_by_zero", "query_canceled"])
def test_a_task_of_housekeeping_that_fails_is_told_and_stops_no_other(
    at_work: Database, task: str, function: str, counted: str, error: str
) -> None:
    assert "failed" not in housekeep(at_work)
    change(
        at_work,
        f"create or replace function private.{function} language plpgsql"
        f" set search_path = pg_catalog, pg_temp as $$ begin raise {error}; end $$",
    )
    counts = housekeep(at_work)
    assert counts["failed"] == [task] and counted in counts and "wakeups" in counts


def test_tries_to_sign_in_go_after_their_time_but_not_of_whom_something_is_held(at_work: Database) -> None:
    change(at_work, "update private.login_attempts set created_at = now() - interval '91 days'")
    do(at_work, "select * from public.place_legal_hold(%s, 'Geschil')", CARLA.customer_id)
    tries = (
        "select count(*) from private.login_attempts l join public.portal_accounts a on a.id = l.account_id"
        " where a.customer_id = %s"
    )
    before = look(at_work, tries, CARLA.customer_id)
    assert look(at_work, tries, KAREL.customer_id) > 0
    housekeep(at_work)
    assert look(at_work, tries, CARLA.customer_id) == before > 0 == look(at_work, tries, KAREL.customer_id)


def test_a_hold_names_an_invoice_of_the_person_it_holds(at_work: Database) -> None:
    invoices = "select id::text from public.invoices where customer_id = %s and status = 'issued' limit 1"
    hold = "select invoice_id::text from public.place_legal_hold(%s, 'Geschil', %s)"
    (hers, his) = (look(at_work, invoices, customer.customer_id) for customer in (CARLA, KAREL))
    with refused("customer_not_found", 404):
        do(at_work, hold, CARLA.customer_id, his)
    assert do(at_work, hold, CARLA.customer_id, hers)["invoice_id"] == hers


def test_a_run_by_hand_is_the_garages_own_and_on_record(at_work: Database) -> None:
    change(at_work, "update public.push_notifications set created_at = now() - interval '100 days'")
    change(at_work, "delete from public.delivery_attempts where push_notification_id is not null")
    dry = call(at_work, OLGA, "run_retention()")
    assert dry == {
        "public.push_notifications": look(
            at_work, "select count(*) from public.push_notifications where garage_id = %s", NOORD
        )
    }
    assert call(at_work, OLGA, "run_retention(false)") == dry
    assert look(at_work, "select counts from public.retention_runs where garage_id = %s", NOORD) == dry
    assert look(at_work, "select count(*) from public.push_notifications where garage_id = %s", ZUID) > 0
    with refused("permission_missing", 403):
        call(at_work, RITA, "run_retention()")


def test_a_hold_on_a_duplicate_holds_the_person_it_turned_out_to_be(at_work: Database) -> None:
    with OLGA.acting(at_work) as connection:
        row = connection.execute(
            "insert into public.customers (garage_id, full_name, locale)"
            " values (%s, 'C.', 'nl') returning id",
            (NOORD,),
        ).fetchone()
        assert row is not None
        connection.execute("select public.place_legal_hold(%s, 'Geschil')", (row["id"],))
        connection.execute("select public.merge_customers(%s, %s)", (CARLA.customer_id, row["id"]))
        connection.commit()
    talk = "select count(*) from public.conversations where customer_id = %s"
    before = look(at_work, talk, CARLA.customer_id)
    retain(at_work, 25)
    assert look(at_work, talk, CARLA.customer_id) == before > 0


REMOVALS = """
insert into private.file_removals
    (garage_id, request_id, bucket, path, status, attempt, claimed_at, removed_at, created_at)
select g.garage_id, g.id, 'message_photos', r.path, r.status, 20, now() - r.ago,
       case r.status when 'removed' then now() - r.ago end, now() - interval '2 years'
  from (select garage_id, id from public.rights_requests where customer_id = %s limit 1) g,
       (values ('gone', 'removed', interval '13 months'), ('just gone', 'removed', interval '11 months'),
               ('stuck', 'failed', interval '2 days'), ('just failed', 'failed', interval '1 hour'))
           r (path, status, ago)
"""


def test_a_file_that_could_not_be_removed_is_tried_again_the_next_day_and_never_forgotten(
    at_work: Database,
) -> None:
    change(at_work, REMOVALS, CARLA.customer_id)
    assert [row["job"] for row in claim(at_work, "erase") if row["job"]] == []
    retain(at_work, 0)
    paths = "select array_agg(path || ': ' || status order by path) from private.file_removals"
    assert look(at_work, paths) == ["just failed: failed", "just gone: removed", "stuck: failed"]
    assert housekeep(at_work)["removals_again"] == 1
    assert housekeep(at_work)["removals_again"] == 0
    (again,) = claim(at_work, "erase")
    assert again["job"]["path"] == "stuck"
    assert finish(at_work, "erase", again, "retry", "storage_http_503") == "queued"
    (again,) = claim(at_work, "erase")
    assert finish(at_work, "erase", again) == "removed"
    change(at_work, "update private.file_removals set claimed_at = now() - interval '2 days'")
    requests = "select count(*) from public.rights_requests where customer_id = %s"
    for years in (5, 8):
        retain(at_work, years)
        assert look(at_work, paths) == ["just failed: failed"]
        assert look(at_work, requests, CARLA.customer_id) == 1, "what was asked for is not done yet"
    assert look(at_work, requests, KAREL.customer_id) == 0


@pytest.mark.req("D15", "G8")
def test_what_was_asked_and_told_goes_ten_years_after_it_ended(at_work: Database) -> None:
    for table in ("public.support_requests", "public.breach_notices"):
        assert look(at_work, f"select count(*) from {table} where garage_id = %s", NOORD) > 0, table
    asked = "select id from public.support_requests where garage_id = %s and granted_at is null"
    do(at_work, "select * from public.refuse_support(%s)", look(at_work, asked, NOORD))
    count = (
        "select jsonb_build_array((select count(*) from public.support_requests r where r.garage_id = g.id),"
        " (select count(*) from public.instructions i where i.garage_id = g.id),"
        " (select count(*) from public.breach_notices n where n.garage_id = g.id))"
        " from public.garages g where g.id = %s"
    )
    before = look(at_work, count, NOORD)
    retain(at_work, 9.9)
    assert look(at_work, count, NOORD) == before
    retain(at_work, 10.1)
    assert look(at_work, count, NOORD) == [0, 0, 0]
    assert min(look(at_work, count, ZUID)) > 0


@pytest.mark.req("D8")
def test_an_address_is_not_remembered_longer_than_a_customer_has_it(at_work: Database) -> None:
    suppress = (
        "insert into public.suppressions (garage_id, channel, address, customer_id, reason, since, lifted_at)"
        " values (%s, 'email', %s, %s, 'bounce', now() - interval '2 years', %s)"
    )
    change(at_work, "delete from public.suppressions")
    other = twin(at_work)
    change(at_work, "update public.customers set email = 'Shared@example.test' where id = %s", other)
    for address, customer, lifted_at in (
        ("live@example.test", CARLA.customer_id, None),
        ("lifted@example.test", CARLA.customer_id, look(at_work, "select now() - interval '1 year'")),
        ("shared@example.test", None, None),
        ("nobodys@example.test", None, None),
    ):
        change(at_work, suppress, NOORD, address, customer, lifted_at)
    left = (
        "select array_agg(split_part(address, '@', 1) order by address) from public.suppressions"
        " where garage_id = %s"
    )
    mine = ["lifted", "live", "nobodys", "shared"]
    assert look(at_work, left, NOORD) == mine
    retain(at_work, 0.9)
    assert look(at_work, left, NOORD) == mine
    retain(at_work, 1.1)
    assert look(at_work, left, NOORD) == ["lifted", "live", "shared"]
    retain(at_work, 2.1)
    assert look(at_work, left, NOORD) == ["live", "shared"]
    for _ in range(3):
        retain(at_work, 12)
    assert look(at_work, left, NOORD) is None
