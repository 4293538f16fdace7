"""Support of Autexor: asked with a reason, granted with an instruction, for hours, seen by all, and over."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Connection, Database
from sql_tests import support
from sql_tests.cast import ADA, CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import change, denied, issued_invoice, look, one, refused, work

pytestmark = pytest.mark.req("D15")

COUNTS = "select count(*) from public.{}"
STATUS = "select status from public.support_grants where id = %s"
HOOK = "select private.custom_access_token_hook(%s)"


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database, where nobody has asked for support yet."""
    support.forget(database)
    return database


def status(database: Database, request: str, who: Actor = OLGA) -> Any:
    with who.acting(database) as connection:
        return one(connection, STATUS, request)


def claims_of(database: Database, who: Actor, method: str = "password") -> dict[str, Any]:
    """The claims of the next token."""
    event = {
        "user_id": who.claims["sub"],
        "claims": {"role": "authenticated", "session_id": who.claims["session_id"]},
        "authentication_method": method,
    }
    answer = look(database, HOOK, Jsonb(event))
    return dict(answer["claims"])


def visible(database: Database, who: Actor, table: str = "customers") -> Any:
    with who.acting(database) as connection:
        return one(connection, COUNTS.format(table))


@pytest.mark.req("G8")
def test_it_goes_from_a_question_to_an_end_and_everybody_sees_it(database: Database) -> None:
    request = support.ask(database, hours=3)
    asker = support.token(request)
    for member in (OLGA, RITA, MARC):
        assert status(database, request, member) == "asked"
    assert visible(database, asker) == 0
    support.grant(database, request)
    with RITA.acting(database) as connection:
        row = connection.execute("select * from public.support_grants where id = %s", (request,)).fetchone()
    assert row is not None
    assert (row["is_live"], row["is_read_only"], row["may_export"], row["hours"]) == (True, True, False, 3)
    assert (row["operator_email"], row["reason"]) == ("ada@autexor.test", support.REASON)
    assert row["expires_at"] - row["granted_at"] == row["expires_at"].resolution * 3 * 3600 * 10**6
    assert visible(database, asker) == look(
        database, "select count(*) from public.customers where garage_id = %s", NOORD
    )
    support.end(database, request)
    assert status(database, request) == "ended"
    assert visible(database, asker) == 0


@pytest.mark.req("G8")
def test_the_instruction_is_recorded_in_the_garages_own_words_for_good(database: Database) -> None:
    support.grant(database, support.ask(database), export=support.EXPORT)
    with OLGA.acting(database) as connection:
        rows = connection.execute(
            "select kind, body, given_by::text from public.instructions"
            " order by given_at desc, kind desc limit 2"
        ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("support", support.INSTRUCTION, OLGA.claims["sub"]),
        ("export", support.EXPORT, OLGA.claims["sub"]),
    ]
    for statement in (
        "update public.instructions set body = 'something else'",
        "delete from public.instructions",
    ):
        with database.connect() as connection, refused("history_is_append_only", 409):
            connection.execute(statement.encode())


def test_it_opens_exactly_what_was_granted_and_nothing_about_people_settings_or_secrets(
    database: Database,
) -> None:
    reader = support.granted(database)
    permissions = "select permissions from public.support_requests where id = %s"
    reads = look(database, permissions, reader.claims["support_grant"])
    assert all(permission.endswith(".read") for permission in reads)
    support.end(database, str(reader.claims["support_grant"]))
    writer = support.granted(database, is_read_only=False)
    writes = look(database, permissions, writer.claims["support_grant"])
    assert set(writes) - set(reads) == {
        "customers.write", "vehicles.write", "work_orders.write", "invoices.write", "deliveries.retry",
    }  # fmt: skip
    for name in ("members.write", "garage.write", "support.grant", "portal_accounts.write", "payments.write"):
        with writer.acting(database) as connection:
            assert one(connection, "select private.garage_id_for(%s)", name) is None
        with OLGA.acting(database) as connection:
            assert str(one(connection, "select private.garage_id_for(%s)", name)) == NOORD


def test_a_module_that_is_off_is_off_for_support_too(database: Database) -> None:
    actor = support.granted(database)
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'conversations'"
    )
    may = "select private.garage_id_for('conversations.read') is not null"
    for is_on in (False, True):
        change(database, switch, is_on, NOORD)
        with actor.acting(database) as connection:
            assert one(connection, may) is is_on


def test_reading_support_writes_nothing_and_writing_support_does(database: Database) -> None:
    update = "update public.vehicles set make = make where garage_id = %s"
    reader = support.granted(database)
    with reader.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(update.encode(), (NOORD,))
    support.end(database, str(reader.claims["support_grant"]))
    writer = support.granted(database, is_read_only=False)
    with writer.acting(database) as connection:
        assert connection.execute(update.encode(), (NOORD,)).rowcount > 0


@pytest.mark.req("D11")
def test_what_support_does_is_marked_with_the_grant(database: Database) -> None:
    since = look(database, "select max(id) from audit.entries")
    actor = support.granted(database, is_read_only=False)
    request = actor.claims["support_grant"]
    with actor.acting(database) as connection:
        connection.execute("update public.vehicles set make = make || '!'")
        connection.commit()
    with OLGA.acting(database) as connection:
        rows = connection.execute(
            "select table_name, op, actor from public.audit_entries where id > %s order by id", (since,)
        ).fetchall()
    told = {(row["table_name"], row["op"], row["actor"]) for row in rows}
    assert ("public.vehicles", "U", f"support:{request}") in told
    assert ("public.support_requests", "I", f"operator:{ADA.claims['sub']}") in told
    assert ("public.support_requests", "U", f"staff:{OLGA.claims['sub']}") in told


@pytest.mark.req("D12")
def test_opening_and_ending_it_and_the_cards_opened_are_in_the_access_log(database: Database) -> None:
    since = look(database, "select coalesce(max(id), 0) from audit.access_entries")
    actor = support.granted(database)
    request = str(actor.claims["support_grant"])
    with ADA.acting(database) as connection:
        connection.execute("select public.open_support(%s)", (request,))
        connection.commit()
    with actor.acting(database) as connection:
        connection.execute("select public.open_customer(%s)", (CARLA.customer_id,))
        connection.commit()
    support.end(database, request, ADA)
    with OLGA.acting(database) as connection:
        rows = connection.execute(
            "select event, actor from public.access_entries where id > %s order by id", (since,)
        ).fetchall()
    assert [(row["event"], row["actor"]) for row in rows] == [
        ("support_opened", f"support:{request}"),
        ("customer_opened", f"support:{request}"),
        ("support_ended", f"operator:{ADA.claims['sub']}"),
    ]


def test_the_next_token_is_for_the_garage_that_was_opened_until_it_ends(database: Database) -> None:
    assert claims_of(database, ADA)["garage_id"] is None
    request = support.grant(database, support.ask(database))
    assert "support_grant" not in claims_of(database, ADA)  # granted is not yet opened
    with ADA.acting(database) as connection:
        connection.execute("select public.open_support(%s)", (request,))
        connection.commit()
    claims = claims_of(database, ADA, "token_refresh")
    assert (claims["garage_id"], claims["support_grant"]) == (NOORD, request)
    support.end(database, request)
    assert claims_of(database, ADA)["garage_id"] is None


def test_an_operator_who_works_at_a_garage_is_one_or_the_other_never_both(database: Database) -> None:
    hire = (
        "insert into public.memberships (garage_id, user_id, full_name, email, role)"
        " values (%s, %s, 'Ada', 'ada@autexor.test', 'mechanic')"
    )
    change(database, hire, ZUID, ADA.claims["sub"])
    try:
        request = support.grant(database, support.ask(database))
        own = ADA.but("Ada at Zuid", garage_id=ZUID)
        with own.acting(database) as connection:
            connection.execute("select public.open_support(%s)", (request,))
            connection.commit()
        assert claims_of(database, ADA)["garage_id"] == NOORD
        supporting = support.token(request)
        with supporting.acting(database) as connection:
            garages = "select array_agg(distinct garage_id::text) from public.vehicles"
            assert one(connection, garages) == [NOORD]
            active = "select array_agg(row(trade_name, role, is_active)::text) from public.my_garages()"
            assert one(connection, active) == ['("Garage Noord",,t)', '("Garage Zuid",mechanic,f)']
        for mixed in (support.token(request, ZUID), own.but("both", support_grant=request)):
            assert visible(database, mixed, "vehicles") == 0
        with own.acting(database) as connection:
            assert one(connection, "select array_agg(distinct garage_id::text) from public.vehicles") == [
                ZUID
            ]
            connection.execute("select public.switch_garage(%s)", (ZUID,))
            connection.commit()
        claims = claims_of(database, ADA)
        assert (claims["garage_id"], claims.get("support_grant")) == (ZUID, None)
        support.end(database, request)
    finally:
        change(database, "delete from public.memberships where user_id = %s", ADA.claims["sub"])


@pytest.mark.req("G8")
def test_exports_by_support_need_an_instruction_of_their_own(database: Database) -> None:
    exporter = """
    create function public.export_all(customer_id uuid) returns void language sql security definer
    set search_path = pg_catalog, pg_temp
    as $$ select private.record_export((select private.garage_id()), customer_id) $$;
    grant execute on function public.export_all to authenticated
    """
    change(database, exporter)
    export = "select public.export_all(%s)"
    since = look(database, "select coalesce(max(id), 0) from audit.access_entries")
    for instruction in (None, support.EXPORT):
        actor = support.granted(database, export=instruction)
        with actor.acting(database) as connection:
            if instruction is None:
                with refused("export_not_instructed", 403):
                    connection.execute(export, (CARLA.customer_id,))
            else:
                connection.execute(export, (CARLA.customer_id,))
                connection.commit()
        support.end(database, str(actor.claims["support_grant"]))
    with OLGA.acting(database) as connection:  # whose own doing is the instruction
        connection.execute(export, (CARLA.customer_id,))
        connection.commit()
    logged = "select array_agg(split_part(actor, ':', 1) order by id) from audit.access_entries"
    logged += " where id > %s and event = 'export_made' and subject_id = %s"
    assert look(database, logged, since, CARLA.customer_id) == ["support", "staff"]
    change(database, "drop function public.export_all")


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_either_side_ends_it_at_once(database: Database, who: str) -> None:
    actor = support.granted(database)
    assert visible(database, actor) > 0
    support.end(database, str(actor.claims["support_grant"]), OLGA if who == "owner" else ADA)
    assert visible(database, actor) == 0


def test_a_refused_or_withdrawn_request_opens_nothing(database: Database) -> None:
    request = support.ask(database)
    with OLGA.acting(database) as connection:
        connection.execute("select public.refuse_support(%s)", (request,))
        connection.commit()
    assert (status(database, request), visible(database, support.token(request))) == ("refused", 0)
    again = support.ask(database)
    support.end(database, again, ADA)
    assert (status(database, again), visible(database, support.token(again))) == ("withdrawn", 0)


def test_a_question_nobody_answered_for_a_week_makes_room_for_another(database: Database) -> None:
    request = support.ask(database)
    with pytest.raises(psycopg.Error, match="asked this garage already"):
        support.ask(database)
    change(database, "alter table public.support_requests disable trigger _900_freeze")
    change(database, "update public.support_requests set requested_at = now() - interval '8 days'")
    change(database, "alter table public.support_requests enable always trigger _900_freeze")
    with OLGA.acting(database) as connection, refused("support_decided", 409):
        connection.execute("select public.grant_support(%s, %s)", (request, support.INSTRUCTION))
    assert support.ask(database) != request


def test_an_operator_finds_garages_and_their_own_requests(database: Database) -> None:
    support.ask(database, ZUID)
    with ADA.acting(database) as connection:
        found = connection.execute("select trade_name from public.find_garages('zuid')").fetchall()
        mine = connection.execute("select trade_name, status from public.my_support_requests()").fetchall()
    assert [row["trade_name"] for row in found] == ["Garage Zuid"]
    assert [tuple(row.values()) for row in mine] == [("Garage Zuid", "asked")]
    for call in ("find_garages('zuid')", "my_support_requests()"):
        with OLGA.acting(database) as connection, refused("operator_required", 403):
            connection.execute(f"select * from public.{call}".encode())


def test_support_sees_files_and_private_channels_of_the_garage_alone(
    clone_database: Callable[[], Database],
) -> None:
    database = clone_database()
    for staff, customer in ((RITA, KAREL), (OTTO, CARLA_AT_ZUID)):
        invoice = issued_invoice(database, staff, customer)
        work(database)
        change(
            database,
            "insert into storage.objects (bucket_id, name) select 'invoices', storage_path"
            " from public.invoice_documents where invoice_id = %s",
            invoice["id"],
        )
    actor = support.granted(database)
    files = "select array_agg(distinct split_part(name, '/', 1)) from storage.objects"
    with actor.acting(database) as connection:
        assert one(connection, files) == [NOORD]
    support.end(database, str(actor.claims["support_grant"]))
    with actor.acting(database) as connection:
        assert one(connection, files) is None


def test_nobody_writes_grants_by_hand(database: Database) -> None:
    support.ask(database)
    statements = (
        "update public.support_requests set granted_at = now()",
        "insert into public.support_requests (garage_id) values (null)",
        "delete from public.instructions",
    )
    for actor in (OLGA, ADA, CARLA.actor):
        for statement in statements:
            with actor.acting(database) as connection, denied():
                connection.execute(statement.encode())


def decided(connection: Connection, request: str) -> Any:
    return one(connection, "select expires_at from public.support_requests where id = %s", request)


def test_what_was_granted_stays_as_it_was_for_the_owner_of_the_database_too(database: Database) -> None:
    request = support.grant(database, support.ask(database))
    for change_made in (
        "expires_at = expires_at + interval '1 hour'", "permissions = permissions || '{members.write}'",
        "is_read_only = false", "reason = 'something else entirely'", "operator_id = operator_id, hours = 8",
    ):  # fmt: skip
        with database.connect() as connection, refused("support_is_frozen", 409):
            connection.execute("set local session_replication_role = replica")
            statement = f"update public.support_requests set {change_made} where id = %s"
            connection.execute(statement.encode(), (request,))
    with database.connect() as connection, refused("support_is_frozen", 409):
        connection.execute("delete from public.support_requests")
    with database.connect() as connection:
        before = decided(connection, request)
        connection.execute("update public.support_requests set opened_at = now() where id = %s", (request,))
        assert decided(connection, request) == before
        connection.rollback()
