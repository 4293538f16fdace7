"""The chain over history: what was touched after it was sealed is named, whoever touched it and however."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from psycopg.rows import dict_row

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID
from sql_tests.steps import Row, change, denied, issued_invoice, look, one, refused

pytestmark = pytest.mark.req("D11")

VERIFY = "select * from private.verify_audit(%s)"
FORGED = """
insert into audit.entries (garage_id, xid, occurred_at, table_name, row_id, op, actor, changed, changes)
select garage_id, xid, occurred_at, table_name, row_id, 'D', 'staff:somebody', '{}', '{}' from audit.entries
 where id = %s returning id
"""


@pytest.fixture(scope="module")
def sealed(clone_database: Callable[[], Database]) -> Database:
    """Both garages at work, three times sealed; then something that is not sealed yet."""
    database = clone_database()
    for customer in (CARLA, KAREL, CARLA):
        issued_invoice(database, RITA, customer)
        change(database, "update public.garages set payment_days = payment_days + 1")
        seal(database)
    change(database, "update public.garages set payment_days = 30")
    return database


@pytest.fixture
def tampering(sealed: Database) -> Iterator[Connection]:
    """A superuser who has switched every guard off; what they do is undone afterwards."""
    with psycopg.connect(sealed.conninfo("supabase_admin"), row_factory=dict_row) as connection:
        tables = (
            "select c.oid::regclass::text as name from pg_class c"
            " where c.relnamespace = 'audit'::regnamespace and c.relkind in ('r', 'p')"
        )
        for row in connection.execute(tables).fetchall():
            connection.execute(f"alter table {row['name']} disable trigger user".encode())
        yield connection
        connection.rollback()


def seal(database: Database) -> int:
    return int(look(database, "select private.seal_audit(now())"))


def verified(connection: Connection, garage: str = NOORD) -> Row:
    row = connection.execute(VERIFY, (garage,)).fetchone()
    assert row is not None
    return row


def named(connection: Connection, garage: str = NOORD) -> tuple[object, ...]:
    row = verified(connection, garage)
    assert row["is_intact"] is (row["problem"] is None)
    return row["problem"], row["seal_number"], row["entry_id"]


def sealed_ids(connection: Connection, number: int, garage: str = NOORD) -> list[int]:
    """The entries of one seal, in its order."""
    query = "select entry_ids from audit.sealed_rows where garage_id = %s and number = %s"
    ids: list[int] = one(connection, query, garage, number)
    return ids


def test_an_untouched_chain_verifies(sealed: Database) -> None:
    with sealed.connect() as connection:
        for garage in (NOORD, ZUID):
            row = verified(connection, garage)
            total = one(connection, "select count(*) from audit.entries where garage_id = %s", garage)
            assert (row["is_intact"], row["problem"], row["seals"], row["last_number"]) == (True, None, 3, 3)
            assert row["open_entries"] == 1
            assert row["sealed_entries"] + row["open_entries"] == total
            assert len(row["last_hash"]) == 64


@pytest.mark.parametrize(
    "change_made",
    [
        "changes = '{\"payment_days\": [1, 2]}'",
        "actor = 'staff:nobody'",
        "changed = changed || array['iban']",
        "row_id = row_id || '!'",
        "table_name = 'public.vehicles'",
        "op = 'D'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "xid = '3'",
        "id = id + 1000000",
        f"garage_id = '{ZUID}'",
    ],
)
def test_an_altered_entry_is_named(tampering: Connection, change_made: str) -> None:
    entry = sealed_ids(tampering, 2)[1]
    tampering.execute("update audit.entries set op = op where id = %s", (entry,))
    assert named(tampering) == (None, None, None)
    if change_made.startswith("id "):
        tampering.execute("alter table audit.entries alter id drop identity")
    tampering.execute(f"update audit.entries set {change_made} where id = %s".encode(), (entry,))
    problem = "entry_missing" if change_made.startswith(("id ", "garage_id")) else "entry_altered"
    assert named(tampering) == (problem, 2, entry)


def test_the_first_of_several_is_named(tampering: Connection) -> None:
    early, late = sealed_ids(tampering, 1)[3], sealed_ids(tampering, 3)[0]
    tampering.execute("delete from audit.entries where id = %s", (late,))
    assert named(tampering) == ("entry_missing", 3, late)
    tampering.execute("update audit.entries set actor = 'x' where id = %s", (early,))
    assert named(tampering) == ("entry_altered", 1, early)


def test_two_entries_that_changed_places_are_named(tampering: Connection) -> None:
    first, second = sealed_ids(tampering, 1)[:2]
    tampering.execute("alter table audit.entries alter id drop identity")
    for old, new in ((first, -1), (second, first), (-1, second)):
        tampering.execute("update audit.entries set id = %s where id = %s", (new, old))
    assert named(tampering) == ("entry_altered", 1, first)


def test_an_entry_that_came_into_a_sealed_range_is_named(tampering: Connection) -> None:
    forged = one(tampering, FORGED, sealed_ids(tampering, 2)[0])
    assert named(tampering) == ("entry_inserted", 2, forged)


def test_an_entry_moved_to_another_garage_is_named_there_too(tampering: Connection) -> None:
    entry = sealed_ids(tampering, 2)[0]
    tampering.execute("update audit.entries set garage_id = %s where id = %s", (ZUID, entry))
    assert named(tampering) == ("entry_missing", 2, entry)
    assert named(tampering, ZUID) == ("entry_inserted", 2, entry)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_seal_is_named_the_last_one_too(tampering: Connection, number: int) -> None:
    tampering.execute("delete from audit.seals where garage_id = %s and number = %s", (NOORD, number))
    assert named(tampering) == ("seal_missing", number, None)


def test_a_chain_whose_end_was_cut_off_is_noticed(tampering: Connection) -> None:
    for entry in sealed_ids(tampering, 3):
        tampering.execute("delete from audit.entries where id = %s", (entry,))
    for table in ("audit.seals", "audit.sealed_rows"):
        tampering.execute(f"delete from {table} where garage_id = %s and number = 3".encode(), (NOORD,))
    assert named(tampering) == ("seal_missing", 3, None)


def test_a_chain_that_was_rewritten_whole_misses_its_anchor(tampering: Connection) -> None:
    """Who can write everything can make a chain that fits: only what was noted elsewhere tells."""
    query = "select problem, seal_number from private.verify_audit(%s, 2, %s)"
    second = "select encode(hash, 'hex') from audit.seals where garage_id = %s and number = 2"
    noted = one(tampering, second, NOORD)
    assert tampering.execute(query, (NOORD, noted.upper())).fetchone() == {
        "problem": None, "seal_number": None
    }  # fmt: skip
    tampering.execute(
        "update audit.entries set actor = 'staff:x' where id = %s", (sealed_ids(tampering, 1)[0],)
    )
    tampering.execute("truncate audit.seals, audit.sealed_rows, audit.chains")
    tampering.execute("select private.restart_chains(now())")
    assert verified(tampering)["is_intact"]
    assert tampering.execute(query, (NOORD, noted)).fetchone() == {
        "problem": "anchor_missed", "seal_number": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "change_made"),
    [
        ("audit.seals", "entry_count = entry_count + 1"),
        ("audit.seals", "sealed_at = sealed_at - interval '1 day'"),
        ("audit.seals", "month = month + 31"),
        ("audit.seals", "previous_hash = '\\x00'"),
        ("audit.seals", "hash = sha256(hash)"),
        ("audit.sealed_rows", "hashes = hashes || hashes"),
        ("audit.sealed_rows", "entry_ids = entry_ids[2:] || entry_ids[1]"),
    ],
)
def test_an_altered_seal_is_named(tampering: Connection, table: str, change_made: str) -> None:
    statement = f"update {table} set {change_made} where garage_id = %s and number = 2"
    tampering.execute(statement.encode(), (NOORD,))
    assert named(tampering) == ("seal_altered", 2, None)
    assert named(tampering, ZUID) == (None, None, None)


def test_a_list_that_is_gone_is_an_altered_seal(tampering: Connection) -> None:
    tampering.execute("delete from audit.sealed_rows where garage_id = %s and number = 1", (NOORD,))
    assert named(tampering) == ("seal_altered", 1, None)


def test_an_end_that_points_elsewhere_is_noticed(tampering: Connection) -> None:
    tampering.execute("update audit.chains set number = 2 where garage_id = %s", (NOORD,))
    assert named(tampering) == ("end_altered", 3, None)


def test_what_is_not_sealed_yet_is_counted_and_sealed_the_next_time(
    clone_database: Callable[[], Database],
) -> None:
    database = clone_database()
    seal(database)
    assert seal(database) == 0
    change(database, "update public.garages set payment_days = 14")
    assert look(database, "select open_entries from private.verify_audit(%s)", NOORD) == 1
    assert seal(database) == 2
    assert look(database, "select open_entries from private.verify_audit(%s)", NOORD) == 0


def test_an_entry_whose_transaction_ends_late_is_neither_lost_nor_an_intruder(
    clone_database: Callable[[], Database],
) -> None:
    """It has a lower id and a lower transaction number than one that is there already."""
    database = clone_database()
    seal(database)
    update = "update public.garages set payment_days = payment_days + 1 where id = %s"
    with database.connect() as slow:
        slow.execute(update.encode(), (NOORD,))
        with database.connect() as early:
            early_id = one(early, "select max(id) from audit.entries")
            early.execute(update.encode(), (ZUID,))
        assert seal(database) == 0  # not before the slow one has ended
        with database.connect() as connection:
            assert verified(connection)["is_intact"]
        slow.commit()
    assert seal(database) == 2
    with database.connect() as connection:
        assert named(connection) == named(connection, ZUID) == (None, None, None)
        (late,) = sealed_ids(connection, 2)
        (other,) = sealed_ids(connection, 2, ZUID)
        assert early_id < late < other


def test_writers_and_sealers_at_once_lose_and_double_nothing(clone_database: Callable[[], Database]) -> None:
    """Transactions of one and of several statements, some rolled back; two sealers meanwhile."""
    database = clone_database()
    done = Event()

    def write(number: int) -> None:
        garage = (NOORD, ZUID)[number % 2]
        update = "update public.garages set payment_days = 7 + (payment_days + %s) %% 90 where id = %s"
        switch = "update public.garage_modules set is_enabled = not is_enabled where garage_id = %s"
        with database.connect() as connection:
            for n in range(25):
                connection.execute(update.encode(), (number + 1, garage))
                if n % 3 == 0:
                    connection.execute(switch.encode(), (garage,))
                connection.rollback() if n % 5 == 4 else connection.commit()

    def keep_sealing() -> None:
        while not done.is_set():
            seal(database)

    with ThreadPoolExecutor(6) as threads:
        sealers = [threads.submit(keep_sealing) for _ in range(2)]
        writers = [threads.submit(write, number) for number in range(4)]
        failures = [writer.exception() for writer in writers]
        done.set()
        failures += [sealer.exception() for sealer in sealers]
    assert failures == [None] * 6
    seal(database)
    with database.connect() as connection:
        for garage in (NOORD, ZUID):
            row = verified(connection, garage)
            total = one(connection, "select count(*) from audit.entries where garage_id = %s", garage)
            assert (row["problem"], row["sealed_entries"], row["open_entries"]) == (None, total, 0)
            twice = "select count(*) - count(distinct id) from audit.sealed_rows, unnest(entry_ids) as id"
            assert one(connection, twice) == 0 and row["seals"] > 2


def test_sealing_goes_in_portions_and_keeps_a_transaction_whole(
    clone_database: Callable[[], Database],
) -> None:
    database = clone_database()
    seal(database)
    rows = int(look(database, "select count(*) from public.garage_modules"))
    for _ in range(4):
        change(database, "update public.garage_modules set is_enabled = not is_enabled")
    portions = []
    while portions[-1:] != [0]:
        portions.append(int(look(database, "select private.seal_audit(now(), %s)", rows + 2)))
    assert sum(portions) == 4 * rows
    assert all(portion % rows == 0 for portion in portions) and len(portions) > 2
    with database.connect() as connection:
        assert verified(connection)["is_intact"]


def test_after_a_restore_transaction_numbers_begin_anew_and_the_chain_goes_on(
    clone_database: Callable[[], Database],
) -> None:
    database = clone_database()
    seal(database)
    change(database, "update public.garages set payment_days = 13")
    # As if everything so far had been written in a cluster that had seen more transactions.
    change(database, "update audit.chains set to_xid = '90000000000'")
    change(database, "update public.garages set payment_days = 14")
    assert seal(database) == 4
    change(database, "update public.garages set payment_days = 15")
    assert seal(database) == 2
    with database.connect() as connection:
        row = verified(connection)
        assert (row["is_intact"], row["last_number"], row["open_entries"]) == (True, 3, 0)


def test_a_truncate_is_sealed_in_the_chain_of_no_garage(clone_database: Callable[[], Database]) -> None:
    database = clone_database()
    nobody = "00000000-0000-0000-0000-000000000000"
    change(database, "truncate public.customer_opt_outs")
    seal(database)
    with database.connect() as connection:
        assert (verified(connection, nobody)["sealed_entries"], named(connection, nobody)[0]) == (1, None)


@pytest.mark.parametrize("table", ["audit.seals", "audit.sealed_rows"])
@pytest.mark.parametrize("verb", ["update {} set number = number", "delete from {}", "truncate {}"])
def test_seals_are_append_only_for_the_owner_too(sealed: Database, table: str, verb: str) -> None:
    for setup in ("select", "set local session_replication_role = replica"):
        with sealed.connect() as connection, refused("history_is_append_only", 409):
            connection.execute(setup.encode())
            connection.execute(verb.format(table).encode())


def test_members_with_the_permission_verify_their_own_garage(sealed: Database) -> None:
    call = "select is_intact, last_number, seals from public.verify_audit()"
    for owner in (OLGA, OTTO):
        with owner.acting(sealed) as connection:
            assert connection.execute(call).fetchone() == {"is_intact": True, "last_number": 3, "seals": 3}
            assert one(connection, "select count(*) from public.audit_seals") == 3
            garages = one(connection, "select array_agg(distinct garage_id::text) from public.audit_seals")
            assert garages == [owner.claims["garage_id"]]
    for somebody in (RITA, MARC):
        with somebody.acting(sealed) as connection, refused("permission_missing", 403):
            connection.execute(call)
        with somebody.acting(sealed) as connection:
            assert one(connection, "select count(*) from public.audit_seals") == 0


@pytest.mark.req("D1")
@pytest.mark.parametrize("table", ["chains", "sealed_rows", "hashed_entries"])
def test_what_seals_is_closed_to_everybody(sealed: Database, table: str) -> None:
    with sealed.connect() as connection:
        assert one(connection, f"select count(*) from audit.{table}") > 0
    for somebody in (OLGA, CARLA.actor):
        with somebody.acting(sealed) as connection, denied():
            connection.execute(f"select 1 from audit.{table}".encode())
    for login in ("worker", "edge"):
        with sealed.connect(login) as connection, denied():
            connection.execute("select private.seal_audit(now())")
