"""What a constraint's comment says is how it refuses, before Postgres would in words of its own."""

from collections.abc import Callable

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import NOORD, OLGA, OTTO, ZUID
from sql_tests.steps import denied, one, refused

TABLES = """
create table public.shelves (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    label text not null,
    parent_id uuid,
    width int constraint shelves_width check (width between 1 and 90),
    area int generated always as (width * 2) stored,
    unique (garage_id, id),
    constraint shelves_label_key unique (garage_id, label),
    constraint shelves_parent_fkey
        foreign key (garage_id, parent_id) references public.shelves (garage_id, id)
);
comment on constraint shelves_width on public.shelves is
    'width_invalid: A shelf is 1 to 90 wide | Measure it';
comment on constraint shelves_label_key on public.shelves is
    'label_taken: This label is taken | Choose another';
comment on constraint shelves_parent_fkey on public.shelves is
    'shelf_not_found: No such shelf | Choose another';
alter table public.shelves enable row level security;
create policy select_member on public.shelves for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
create policy insert_member on public.shelves for insert to authenticated
    with check (garage_id = (select private.garage_id_for('garage.write')));
create policy update_member on public.shelves for update to authenticated
    using (garage_id = (select private.garage_id_for('garage.write')));
create policy hidden on public.shelves as restrictive for select to public using (label <> 'hidden');
grant select, insert, update on public.shelves to authenticated;
call private.check_table('public.shelves');
"""
INSERT = """insert into public.shelves (garage_id, label, parent_id, width) values (%s, %s, %s, %s)
returning id::text"""


# Constraints over columns that a client may write; garage_id is judged by the policies.
WORDLESS = """
select format('%s.%s', c.conrelid::regclass, c.conname) as name
  from pg_constraint c
 where c.connamespace = 'public'::regnamespace
   and (c.contype in ('c', 'f', 'x') or c.contype = 'u' and not exists (
        select from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey)
            and a.attname = 'id' and not has_column_privilege('authenticated', c.conrelid, 'id', 'insert')))
   and exists (
        select from pg_attribute a
         where a.attrelid = c.conrelid and a.attnum = any (c.conkey) and a.attname <> 'garage_id'
           and (has_column_privilege('authenticated', c.conrelid, a.attnum, 'insert')
             or has_column_privilege('authenticated', c.conrelid, a.attnum, 'update')))
   and (private.constraint_refusal(c.oid) is null or not exists (
        select from pg_trigger t where t.tgrelid = c.conrelid and t.tgname = '_250_check'))
 order by 1
"""

# Unique indexes that a client may run into; a key with an id of our own making is none, and a primary key
# of the client's own values is what it upserts by. Constraints are asked for above.
KEYS_WITHOUT_WORDS = """
select i.indexrelid::regclass::text as name
  from pg_index i join pg_class c on c.oid = i.indrelid
 where c.relnamespace = 'public'::regnamespace and i.indisunique and not i.indisprimary
   and exists (
        select from pg_attribute a
         where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[]) and a.attname <> 'garage_id'
           and (has_column_privilege('authenticated', i.indrelid, a.attnum, 'insert')
             or has_column_privilege('authenticated', i.indrelid, a.attnum, 'update')))
   and not exists (
        select from pg_attribute a
         where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[]) and a.attname = 'id')
   and (private.index_refusal(i.indexrelid) is null or not exists (
        select from pg_trigger t
         where t.tgrelid = i.indrelid and (t.tgname = '_250_check' and exists (
                   select from pg_constraint k where k.conindid = i.indexrelid and k.contype = 'u')
               or t.tgname = '_260_taken'
                   and position(convert_to(i.indexrelid::regclass::text, 'UTF8') in t.tgargs) = 1)))
 order by 1
"""
SAID_AGAIN = {
    "a module": "insert into public.garage_modules (garage_id, module)"
    " select garage_id, module from public.garage_modules where garage_id = %s limit 1",
    "a logo": "insert into public.garage_logos (garage_id, sha256, png)"
    " select garage_id, sha256, png from public.garage_logos where garage_id = %s limit 1",
    "an opt-out": "insert into public.customer_opt_outs (garage_id, customer_id, channel)"
    " select garage_id, customer_id, channel from public.customer_opt_outs where garage_id = %s limit 1",
}
TAKEN = {
    "conversation_open_already": "insert into public.conversations (garage_id, customer_id)"
    " select garage_id, customer_id from public.conversations where garage_id = %s"
    " and closed_at is null limit 1",
    "ownership_overlaps": "insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id,"
    " valid_from) select garage_id, vehicle_id, customer_id, valid_from from public.vehicle_ownerships"
    " where garage_id = %s limit 1",
}


@pytest.fixture(scope="module")
def shelves(clone_database: Callable[[], Database]) -> Database:
    """A database with a table of shelves; Zuid has one."""
    database = clone_database()
    with database.connect() as connection:
        connection.execute(TABLES.encode())
        connection.execute(INSERT, (ZUID, "Zuid's", None, 10))
    return database


def insert(connection: Connection, label: object = "A", parent: object = None, width: object = 10) -> str:
    """A shelf of Noord."""
    return str(one(connection, INSERT, NOORD, label, parent, width))


@pytest.mark.parametrize("width", [0, 91, -5])
def test_a_check_is_refused_in_its_own_words(shelves: Database, width: int) -> None:
    with OLGA.acting(shelves) as connection:
        insert(connection, width=90)
        with refused("width_invalid"):
            insert(connection, label="B", width=width)


def test_a_missing_value_is_named(shelves: Database) -> None:
    with OLGA.acting(shelves) as connection, refused("value_missing"):
        insert(connection, label=None)


@pytest.mark.parametrize("label", ["a\x07b", "\x1b[31m", "a\x7f"])
def test_control_characters_are_refused(shelves: Database, label: str) -> None:
    with OLGA.acting(shelves) as connection, refused("control_character"):
        insert(connection, label=label)


@pytest.mark.parametrize("label", ["l'été", "多", "🚗 x", "שלום", "a\tb\r\nc", "'; drop table x --"])
def test_every_other_text_is_kept_as_it_is(shelves: Database, label: str) -> None:
    with OLGA.acting(shelves) as connection:
        shelf = insert(connection, label=label)
        assert one(connection, "select label from public.shelves where id = %s", shelf) == label


def test_a_value_that_is_taken_is_refused_in_its_own_words(shelves: Database) -> None:
    with OLGA.acting(shelves) as connection:
        insert(connection)
        with refused("label_taken", 409):
            insert(connection)


def test_the_same_value_in_another_garage_is_nobodys_business(shelves: Database) -> None:
    with OLGA.acting(shelves) as connection:
        insert(connection, label="Zuid's")


@pytest.mark.req("D1", "S2")
def test_a_parent_of_another_garage_does_not_exist(shelves: Database) -> None:
    with shelves.connect() as connection:
        foreign = one(connection, "select id from public.shelves where garage_id = %s", ZUID)
    for parent in (foreign, "99999999-0000-4000-8000-000000000009"):
        with OLGA.acting(shelves) as connection, refused("shelf_not_found", 404):
            insert(connection, parent=parent)
    with OLGA.acting(shelves) as connection:
        insert(connection, label="child", parent=insert(connection))


def test_a_row_may_be_changed_by_who_cannot_read_its_parent(shelves: Database) -> None:
    with shelves.connect() as connection:
        child = insert(connection, label="child", parent=insert(connection, label="hidden"))
    with OLGA.acting(shelves) as connection:
        connection.execute("update public.shelves set width = 20 where id = %s", (child,))
        assert one(connection, "select width from public.shelves where id = %s", child) == 20


def test_the_constraint_itself_still_holds(shelves: Database) -> None:
    with shelves.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("alter table public.shelves disable trigger _250_check")
        insert(connection, width=0)


def test_every_constraint_that_a_client_can_break_says_how_it_refuses(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute("set local search_path = pg_catalog")
        wordless = [row["name"] for row in connection.execute(WORDLESS.encode())]
    assert wordless == []


def test_every_key_that_a_client_can_run_into_says_that_it_is_taken(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute("set local search_path = pg_catalog")
        assert [row["name"] for row in connection.execute(KEYS_WITHOUT_WORDS.encode())] == []


def test_what_has_no_words_would_be_told(shelves: Database) -> None:
    with shelves.connect() as connection:
        connection.execute("comment on constraint shelves_width on public.shelves is null")
        connection.execute("comment on constraint shelves_label_key on public.shelves is null")
        connection.execute("set local search_path = pg_catalog")
        wordless = {row["name"] for row in connection.execute(WORDLESS.encode())}
        keys = {row["name"] for row in connection.execute(KEYS_WITHOUT_WORDS.encode())}
        connection.rollback()
    assert wordless >= {"public.shelves.shelves_label_key", "public.shelves.shelves_width"}
    assert keys == {"public.shelves_label_key"}


@pytest.mark.parametrize("what", SAID_AGAIN)
def test_what_a_client_may_say_again_is_upserted_by_its_key(busy_database: Database, what: str) -> None:
    statement = f"{SAID_AGAIN[what]} on conflict do nothing"
    there = f"select {SAID_AGAIN[what].partition(' select ')[2]}"
    with OLGA.acting(busy_database) as connection:
        assert connection.execute(there.encode(), (NOORD,)).rowcount == 1
        assert connection.execute(statement.encode(), (NOORD,)).rowcount == 0


@pytest.mark.parametrize("code", TAKEN)
def test_a_key_that_is_taken_is_refused_in_words(busy_database: Database, code: str) -> None:
    with OLGA.acting(busy_database) as connection, refused(code, 409):
        connection.execute(TAKEN[code].encode(), (NOORD,))


@pytest.mark.req("D1", "S2")
def test_a_taken_key_of_another_garage_is_denied_like_a_free_one(busy_database: Database) -> None:
    statement = "insert into public.garage_modules (garage_id, module) values (%s, %s)"
    with busy_database.connect() as connection:
        connection.execute("delete from public.garage_modules where module = 'push'")
        for module in ("push", "email"):
            with denied(), probes.acting(connection, OTTO):
                connection.execute(statement, (NOORD, module))
        with probes.acting(connection, OLGA):
            connection.execute(statement, (NOORD, "push"))
        connection.rollback()
