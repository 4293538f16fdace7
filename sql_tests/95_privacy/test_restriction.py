"""Restriction: hidden, frozen and silent; opened for a while by who must look, with a reason."""

import pytest

from devstack.testing import Database
from sql_tests import support
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, OTTO, RITA, Actor, Customer
from sql_tests.people import call
from sql_tests.steps import change, claim, denied, draft, look, one, refused

from .conftest import ask, do, twin

pytestmark = pytest.mark.req("G2", "G3")
REASON = "Klant vraagt zelf na"


@pytest.fixture
def restricted(at_work: Database) -> Database:
    """A garage at work whose customer Carla is restricted."""
    request = ask(at_work, "restriction")
    done = do(at_work, "select * from public.execute_restriction(%s)", request["id"])
    assert done["status"] == "done"
    return at_work


def seen(database: Database, who: object = OLGA) -> dict[str, int]:
    """How many rows of each customer somebody of the staff sees, per table that leads to a person."""
    with database.connect() as connection:
        tables = connection.execute("select t::text as name from private.restrictable_tables() t").fetchall()
    found = {}
    with who.acting(database) as connection:  # type: ignore[attr-defined]
        for table in tables:
            found[table["name"]] = one(connection, f"select count(*) from {table['name']}")
    return found


def test_every_row_of_a_restricted_customer_is_hidden_from_staff_and_no_other(at_work: Database) -> None:
    before, strangers = seen(at_work), seen(at_work, OTTO)
    with at_work.connect() as connection:
        mine = {
            row["table_name"]: one(
                connection,
                f"select count(*) from {row['table_name']} r where "
                + row["condition"]
                .replace("$1", f"'{NOORD}'")
                .replace("$2", f"array['{CARLA.customer_id}'::uuid]"),
            )
            for row in connection.execute(
                "select table_name, condition from private.compiled_tables() where condition is not null"
            ).fetchall()
        }
    request = ask(at_work, "restriction")
    do(at_work, "select * from public.execute_restriction(%s)", request["id"])
    after = seen(at_work)
    assert all(
        before[name] - after[name] == mine[f"public.{name.removeprefix('public.')}"] for name in after
    ), after
    assert all(mine[f"public.{name.removeprefix('public.')}"] > 0 for name in after)
    assert seen(at_work, OTTO) == strangers
    with CARLA.actor.acting(at_work) as connection:
        assert one(connection, "select count(*) from portal.invoices") > 0, (
            "the customer still sees their own"
        )


def test_a_member_opens_a_restricted_customer_with_a_reason_for_a_while(restricted: Database) -> None:
    card = "select count(*) from public.customers where id = %s"
    with refused("reason_invalid"):
        call(restricted, RITA, "open_restricted_customer(%s, 'zomaar')", CARLA.customer_id)
    with refused("customer_not_restricted", 409):
        call(restricted, RITA, "open_restricted_customer(%s, %s)", KAREL.customer_id, REASON)
    with refused("customer_not_found", 404):
        call(restricted, OTTO, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    call(restricted, RITA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    with RITA.acting(restricted) as connection:
        assert one(connection, card, CARLA.customer_id) == 1
        assert (
            one(connection, "select count(*) from public.invoices where customer_id = %s", CARLA.customer_id)
            > 0
        )
    with OLGA.acting(restricted) as connection:
        assert one(connection, card, CARLA.customer_id) == 0, "it is open for who gave the reason alone"
        logged = (
            "select count(*) from public.access_entries"
            " where event = 'restriction_opened' and subject_id = %s"
        )
        assert one(connection, logged, CARLA.customer_id) == 1
    change(restricted, "update public.restriction_openings set expires_at = now() where expires_at > now()")
    with RITA.acting(restricted) as connection:
        assert one(connection, card, CARLA.customer_id) == 0


CHANGES = (
    ("update public.customers set phone = null where id = %s", CARLA.customer_id, KAREL.customer_id),
    (
        "insert into public.work_orders (garage_id, customer_id, vehicle_id, complaint)"
        f" select '{NOORD}', %s, v.vehicle_id, 'Piept' from public.vehicle_ownerships v"
        " where v.valid_to is null limit 1",
        CARLA.customer_id,
        KAREL.customer_id,
    ),
)


@pytest.mark.parametrize(("statement", "frozen", "free"), CHANGES, ids=["customers", "work_orders"])
def test_nothing_of_a_restricted_customer_changes_even_while_it_is_open(
    restricted: Database, statement: str, frozen: str, free: str
) -> None:
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    with refused("customer_is_restricted", 409), OLGA.acting(restricted) as connection:
        connection.execute(statement.encode(), (frozen,))
    with OLGA.acting(restricted) as connection:
        assert connection.execute(statement.encode(), (free,)).rowcount == 1


@pytest.mark.req("D15")
def test_support_sees_and_changes_as_little_of_a_restricted_customer_as_staff(restricted: Database) -> None:
    support.forget(restricted)
    ada = support.granted(restricted, is_read_only=False)
    (change_customer, _, _), (open_work_order, _, _) = CHANGES
    with ada.acting(restricted) as connection:
        assert connection.execute(change_customer.encode(), (CARLA.customer_id,)).rowcount == 0
        assert connection.execute(change_customer.encode(), (KAREL.customer_id,)).rowcount == 1
        with refused("customer_is_restricted", 409), connection.transaction():
            connection.execute(open_work_order.encode(), (CARLA.customer_id,))
        assert connection.execute(open_work_order.encode(), (KAREL.customer_id,)).rowcount == 1


def test_functions_are_stopped_as_direct_writes_are(restricted: Database) -> None:
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    waiting = "select id from public.invoices where customer_id = %s and issued_at is null limit 1"
    with refused("customer_is_restricted", 409):
        call(restricted, OLGA, "issue_invoice(%s)", look(restricted, waiting, CARLA.customer_id))
    with refused("customer_is_restricted", 409), OLGA.acting(restricted) as connection:
        draft(connection, CARLA)
    assert call(restricted, OLGA, "issue_invoice(%s)", look(restricted, waiting, KAREL.customer_id))


def test_no_message_and_no_push_goes_out(restricted: Database) -> None:
    told = (
        "select count(*) from public.communications where customer_id = %s and template not like 'portal%%'"
    )
    before = look(restricted, told, CARLA.customer_id)
    insert = (
        "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
        " values (%s, %s, 'invoice_issued', 'nl', 'x@example.test')"
    )
    change(restricted, insert, NOORD, CARLA.customer_id)
    assert look(restricted, told, CARLA.customer_id) == before
    others = look(restricted, told, KAREL.customer_id)
    change(restricted, insert, NOORD, KAREL.customer_id)
    assert look(restricted, told, KAREL.customer_id) == others + 1
    for customer, added in ((CARLA, 0), (KAREL, 1)):
        count = "select count(*) from public.push_notifications"
        pushes = look(restricted, count)
        change(
            restricted,
            "insert into public.push_notifications (garage_id, push_device_id, template, locale)"
            " select garage_id, id, 'invoice_issued', 'nl' from public.push_devices"
            " where portal_device_id = %s",
            customer.portal_device_id,
        )
        assert look(restricted, count) == pushes + added
    assert look(restricted, "select private.may_contact(%s, %s)", NOORD, CARLA.customer_id) is False
    assert look(restricted, "select private.may_contact(%s, %s)", NOORD, KAREL.customer_id) is True


def test_what_waited_when_it_began_does_not_go_out(at_work: Database) -> None:
    both = [CARLA.customer_id, KAREL.customer_id]
    change(at_work, "update public.communications set status = 'queued' where customer_id = any (%s)", both)
    change(
        at_work,
        "select private.enqueue('send', id) from public.communications where customer_id = any (%s)",
        both,
    )
    request = ask(at_work, "restriction")
    do(at_work, "select * from public.execute_restriction(%s)", request["id"])
    reached = [row["job"]["recipient"]["address"] for row in claim(at_work, "send")]
    assert KAREL.login in reached and CARLA.login not in reached


def test_lifting_needs_a_reason_and_gives_everything_back(restricted: Database) -> None:
    with refused("reason_invalid"):
        call(restricted, OLGA, "lift_restriction(%s, '')", CARLA.customer_id)
    with refused("permission_missing", 403):
        call(restricted, RITA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    call(restricted, OLGA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    with OLGA.acting(restricted) as connection:
        assert one(connection, "select count(*) from public.customers where id = %s", CARLA.customer_id) == 1
        assert (
            connection.execute(
                "update public.customers set phone = null where id = %s", (CARLA.customer_id,)
            ).rowcount
            == 1
        )
    with refused("customer_not_restricted", 409):
        call(restricted, OLGA, "lift_restriction(%s, 'Nog eens')", CARLA.customer_id)


def test_who_asks_twice_is_restricted_once_and_lifted_at_once(restricted: Database) -> None:
    again = ask(restricted, "restriction")
    assert do(restricted, "select * from public.execute_restriction(%s)", again["id"])["status"] == "done"
    live = "select count(*) from public.customer_restrictions where lifted_at is null"
    assert look(restricted, live) == 1
    call(restricted, OLGA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    assert look(restricted, live) == 0


def test_two_restricted_customers_who_were_merged_are_lifted_at_once(restricted: Database) -> None:
    double = twin(restricted)
    request = ask(restricted, "restriction", double)
    do(restricted, "select * from public.execute_restriction(%s)", request["id"])
    change(
        restricted,
        "update public.customers set merged_into_id = %s, archived_at = now() where id = %s",
        CARLA.customer_id,
        double,
    )
    live = "select count(*) from public.customer_restrictions where lifted_at is null"
    assert look(restricted, live) == 2
    call(restricted, OLGA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    assert look(restricted, live) == 0


def test_a_restricted_customer_is_corrected_and_erased_on_request(restricted: Database) -> None:
    request = ask(restricted, "rectification")
    call(restricted, OLGA, "rectify_customer(%s, %s)", request["id"], '{"city": "Gent"}')
    request = ask(restricted, "erasure")
    plan = call(restricted, OLGA, "erasure_plan(%s)", request["id"])
    call(restricted, OLGA, "execute_erasure(%s, %s)", request["id"], plan["sha256"])
    name = "select full_name from public.customers where id = %s"
    assert look(restricted, name, CARLA.customer_id) == "[erased]"


def test_a_restricted_customer_is_not_merged_before_it_is_lifted(restricted: Database) -> None:
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    double = twin(restricted)
    with refused("customer_is_restricted", 409):
        call(restricted, OLGA, "merge_customers(%s, %s)", CARLA.customer_id, double)
    call(restricted, OLGA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    do(restricted, "select * from public.merge_customers(%s, %s)", CARLA.customer_id, double)
    merged_into = "select merged_into_id::text from public.customers where id = %s"
    assert look(restricted, merged_into, double) == CARLA.customer_id


def test_a_customer_is_restricted_with_all_that_were_merged_into_it(at_work: Database) -> None:
    double = twin(at_work)
    do(at_work, "select * from public.merge_customers(%s, %s)", CARLA.customer_id, double)
    mails = "select count(*) from public.communications where customer_id = %s"
    mail = (
        "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
        " values (%s, %s, 'invoice_issued', 'nl', 'x@example.test')"
    )
    change(at_work, mail, NOORD, double)
    assert look(at_work, mails, double) == 1
    # An account that was there before nobody merged customers who have one.
    change(at_work, "update public.portal_accounts set customer_id = %s where customer_id = %s",
           double, CARLA.customer_id)  # fmt: skip
    push = (
        "insert into public.push_notifications (garage_id, push_device_id, template, locale)"
        " select garage_id, id, 'invoice_issued', 'nl' from public.push_devices"
        f" where portal_device_id = '{CARLA.portal_device_id}'"
    )
    pushes = look(at_work, "select count(*) from public.push_notifications")
    change(at_work, push)
    assert look(at_work, "select count(*) from public.push_notifications") == pushes + 1
    do(at_work, "select * from public.execute_restriction(%s)", ask(at_work, "restriction")["id"])
    change(at_work, mail, NOORD, double)
    change(at_work, push)
    assert look(at_work, mails, double) == 1
    assert look(at_work, "select count(*) from public.push_notifications") == pushes + 1
    names = "select count(*) from public.customers where id = any (%s)"
    both = [CARLA.customer_id, double]
    with OLGA.acting(at_work) as connection:
        assert one(connection, names, both) == 0
    call(at_work, OLGA, "open_restricted_customer(%s, %s)", double, REASON)
    with OLGA.acting(at_work) as connection:
        assert one(connection, names, both) == 2
    call(at_work, OLGA, "lift_restriction(%s, 'Opgelost')", double)
    change(at_work, mail, NOORD, double)
    assert look(at_work, mails, double) == 2


def test_a_restricted_customer_is_not_found_by_asking_otherwise(restricted: Database) -> None:
    number = look(
        restricted,
        "select invoice_number from public.invoices where customer_id = %s and issued_at is not null limit 1",
        CARLA.customer_id,
    )
    for question, argument in (
        ("select count(*) from public.search(%s)", "Carla"),
        ("select count(*) from public.search(%s)", "1-ABC-234"),
        ("select count(*) from public.trace_invoice(%s)", number),
    ):
        with OLGA.acting(restricted) as connection:
            assert one(connection, question, argument) == 0
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    with OLGA.acting(restricted) as connection:
        assert one(connection, "select count(*) from public.search('Carla')") > 0
        assert one(connection, "select count(*) from public.trace_invoice(%s)", number) > 0


FILES = """
insert into storage.objects (bucket_id, name)
select 'work_order_photos', p.storage_path from public.work_order_photos p
union all select 'message_photos', p.storage_path from public.message_photos p
on conflict do nothing
"""
# Which files are of whom, by what names them.
WHOSE = """
select distinct w.bucket from (
    select 'invoices' as bucket, d.storage_path, i.customer_id
      from public.invoice_documents d join public.invoices i on i.id = d.invoice_id
    union all select 'work_order_photos', p.storage_path, w.customer_id
      from public.work_order_photos p join public.work_orders w on w.id = p.work_order_id
    union all select 'message_photos', p.storage_path, c.customer_id
      from public.message_photos p join public.conversations c on c.id = p.conversation_id) w
  join storage.objects o on o.bucket_id = w.bucket and o.name = w.storage_path
 where w.customer_id = %s and o.name = any (%s) order by 1
"""
BY_API = "select set_config('storage.allow_delete_query', 'true', true)"
BUCKETS = ["invoices", "message_photos", "work_order_photos"]


def buckets(database: Database, names: list[str], customer: Customer) -> list[str]:
    """The buckets in which some of these files are a customer's."""
    with database.connect() as connection:
        return [row["bucket"] for row in connection.execute(WHOSE, (customer.customer_id, names))]


def files(database: Database, statement: str, who: Actor = OLGA) -> list[str]:
    """Names that a statement on files answers; nothing of it stays."""
    with who.acting(database) as connection:
        connection.execute(BY_API)
        return [row["name"] for row in connection.execute(statement.encode())]


@pytest.mark.req("S3")
def test_files_of_a_restricted_customer_are_out_of_reach_as_their_rows_are(restricted: Database) -> None:
    see, remove = "select name from storage.objects", "delete from storage.objects returning name"
    change(restricted, FILES)
    strangers = files(restricted, see, OTTO)
    with restricted.connect() as connection:
        everything = [row["name"] for row in connection.execute(see)]
    assert buckets(restricted, everything, CARLA) == BUCKETS == buckets(restricted, everything, KAREL)
    for statement, expected in ((see, BUCKETS), (remove, BUCKETS[2:])):
        found = files(restricted, statement)
        assert buckets(restricted, found, CARLA) == []
        assert buckets(restricted, found, KAREL) == expected
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    assert buckets(restricted, files(restricted, see), CARLA) == BUCKETS
    assert buckets(restricted, files(restricted, remove), CARLA) == []
    assert buckets(restricted, files(restricted, see, RITA), CARLA) == []
    assert files(restricted, see, OTTO) == strangers != []
    call(restricted, OLGA, "lift_restriction(%s, 'Opgelost')", CARLA.customer_id)
    assert buckets(restricted, files(restricted, remove), CARLA) == BUCKETS[2:]


@pytest.mark.req("S3")
def test_a_photo_announced_before_the_restriction_is_not_put_there_afterwards(restricted: Database) -> None:
    path = (
        "select p.storage_path from public.work_order_photos p"
        " join public.work_orders w on w.id = p.work_order_id where w.customer_id = %s limit 1"
    )
    hers, his = (look(restricted, path, who.customer_id) for who in (CARLA, KAREL))
    with restricted.connect() as connection:
        connection.execute(BY_API)
        connection.execute("delete from storage.objects where bucket_id = 'work_order_photos'")
    put = b"insert into storage.objects (bucket_id, name) values ('work_order_photos', %s)"
    with denied(), OLGA.acting(restricted) as connection:
        connection.execute(put, (hers,))
    with OLGA.acting(restricted) as connection:
        assert connection.execute(put, (his,)).rowcount == 1


@pytest.mark.req("D12")
def test_an_invoice_of_a_restricted_customer_is_not_drawn_anew_until_opened(restricted: Database) -> None:
    issued = "select id from public.invoices where customer_id = %s and issued_at is not null limit 1"
    hers, his = (look(restricted, issued, who.customer_id) for who in (CARLA, KAREL))
    assert call(restricted, OLGA, "render_source(%s)", his)["snapshot"]
    with refused("invoice_not_found", 404):
        call(restricted, OLGA, "render_source(%s)", hers)
    call(restricted, OLGA, "open_restricted_customer(%s, %s)", CARLA.customer_id, REASON)
    assert call(restricted, OLGA, "render_source(%s)", hers)["snapshot"]
    with refused("invoice_not_found", 404):
        call(restricted, RITA, "render_source(%s)", hers)
