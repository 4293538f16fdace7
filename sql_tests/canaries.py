"""Canaries: something that occurs nowhere else, in every personal and secret column of one person.

A search through every table of every schema then says where each is: all of them before an erasure, and
afterwards those alone that the plan kept.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg

from devstack.testing import Connection
from sql_tests.cast import Customer

WORD = "CN7Q"
# Places in the searched text: a word with a number, or a number, address, day or moment out of our ranges.
FOUND = rf"{WORD}[0-9]{{4}}|\m98[0-9]{{4}}3\M|198\.51\.100\.[0-9]+|1977-[0-9]{{2}}-[0-9]{{2}}"
# A path leads there, by a mail, but its rows are about mails to staff.
NEVER_A_CUSTOMERS = ("private.invitation_tokens",)
COLUMNS = """
select m.table_name, m.column_name, m.class, m.atttypid::regtype::text as kind,
       private.subject_condition(m.relation) as condition
  from private.data_map m
  join pg_attribute a on a.attrelid = m.relation and a.attnum = m.attnum
 where m.controller = 'garage' and (m.class = 'secret' or m.subject = 'customer')
   and private.subject_condition(m.relation) is not null and a.attgenerated = ''
   and not (m.table_name = 'audit.access_entries' and m.column_name = 'actor') -- the path itself
 order by 1, m.attnum
"""
TABLES = """
select format('%I.%I', n.nspname, c.relname) as name,
       -- A month of history is found under the name of the whole.
       format('%I.%I', n.nspname, coalesce(r.relname, c.relname)) as whole
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_class r on r.oid = pg_partition_root(c.oid)
 where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
 order by 1
"""
TRIGGERS = """
select t.tgrelid::regclass::text as name, t.tgname, t.tgenabled::text
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where not t.tgisinternal and c.relnamespace::regnamespace::text in ('public', 'private', 'audit')
"""


@dataclass(frozen=True)
class Canary:
    """What was put where."""

    text: str
    table: str
    column: str
    row_id: str
    kind: str


def plant(connection: Connection, customer: Customer) -> tuple[list[Canary], set[str]]:
    """Put one into every row and column that can hold one; and the columns that cannot.

    Freezes and checks by trigger are off meanwhile; constraints hold.
    """
    connection.execute("set search_path = pg_catalog")
    triggers = connection.execute(TRIGGERS).fetchall()
    for trigger in triggers:
        connection.execute(f"alter table {trigger['name']} disable trigger {trigger['tgname']}".encode())
    planted: list[Canary] = []
    barren: set[str] = set()
    for column in connection.execute(COLUMNS).fetchall():
        place = f"{column['table_name']}.{column['column_name']}"
        rows = _rows(connection, column["table_name"], column["condition"], customer)
        if column["table_name"] not in NEVER_A_CUSTOMERS:
            assert rows, f"{customer.login} has no row in {column['table_name']}: nothing would be proved"
        for ctid_key, row_id in rows:
            number = len(planted) + 1
            text = _put(connection, column, ctid_key, number)
            if text is None:
                barren.add(place)
            else:
                planted.append(
                    Canary(text, column["table_name"], column["column_name"], row_id, column["kind"])
                )
    for trigger in triggers:
        how = "enable always" if trigger["tgenabled"] == "A" else "enable"
        connection.execute(f"alter table {trigger['name']} {how} trigger {trigger['tgname']}".encode())
    return planted, barren - {f"{canary.table}.{canary.column}" for canary in planted}


def _rows(connection: Connection, table: str, condition: str, customer: Customer) -> list[tuple[str, str]]:
    keys = connection.execute("select private.primary_key(%s::regclass)::text[] as keys", (table,)).fetchone()
    assert keys is not None
    names = [key for key in keys["keys"] if key != "garage_id"]
    row_id = f"concat_ws('/', {', '.join(f'r.{name}' for name in names)})"
    same = " and ".join(f"{name} = ' || quote_literal(r.{name}) || '" for name in keys["keys"])
    found = connection.execute(
        f"select '{same}' as key, {row_id} as row_id from {table} r"
        f" where {condition.replace('$1', '%s').replace('$2', '%s')} order by 1".replace("%s", "{}")
        .format(*_arguments(condition, customer))
        .encode()
    )
    return [(row["key"], row["row_id"]) for row in found]


def _arguments(condition: str, customer: Customer) -> Iterator[str]:
    for placeholder in re.findall(r"\$[12]", condition):
        yield f"'{customer.garage_id}'" if placeholder == "$1" else f"array['{customer.customer_id}'::uuid]"


def _put(connection: Connection, column: dict[str, str], key: str, number: int) -> str | None:
    """The first form of a canary that the column takes; None when it takes none (a fixed list of words)."""
    for text, value in _forms(column["kind"], number):
        statement = (
            f"update {column['table_name']} set {column['column_name']} = %s::{column['kind']} where {key}"
        )
        connection.execute("savepoint canary")
        try:
            connection.execute(statement.encode(), (value,))
            return text
        except psycopg.errors.IntegrityError:
            connection.execute("rollback to savepoint canary")
    return None


def _forms(kind: str, number: int) -> Iterable[tuple[str, str]]:
    word = f"{WORD}{number:04d}"
    match kind:
        case "text":
            hash_of = f"$argon2id${word}"
            address = f"{word.lower()}@example.test"
            return [(word, word), (word, f"ExponentPushToken[{word}xxxx]"), (word, hash_of), (word, address)]
        case "jsonb":
            return [(word, f'{{"canary": "{word}"}}')]
        case "integer":
            return [(f"98{number:04d}3", f"98{number:04d}3")]
        case "inet":
            return [(f"198.51.100.{number % 250}", f"198.51.100.{number % 250}")]
        case "date" | "timestamp with time zone":
            day = f"1977-{number // 28 % 12 + 1:02d}-{number % 28 + 1:02d}"
            return [(day, day)]
    raise AssertionError(f"no canary for a column of type {kind}")


def search(connection: Connection) -> dict[str, set[str]]:
    """Every canary that is anywhere, and the tables it is in: all tables of all schemas, as text."""
    found: dict[str, set[str]] = {}
    for table in connection.execute(TABLES).fetchall():
        rows = connection.execute(
            f"select distinct upper(m[1]) as text from {table['name']} t,"
            f" regexp_matches(t::text, '{FOUND}', 'gi') m".encode()
        )
        for row in rows:
            found.setdefault(row["text"], set()).add(table["whole"])
    return found
