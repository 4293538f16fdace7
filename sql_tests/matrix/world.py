"""The database the matrix is tried on: its catalogue, its callers, and the truth as the owner sees it."""

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from devstack.testing import Connection
from sql_tests.cast import NOORD, OLGA
from sql_tests.matrix import attempts
from sql_tests.matrix.attempts import OWNER, Ask, Outcome, Somebody
from sql_tests.matrix.callers import Caller, everybody
from sql_tests.matrix.catalogue import Catalogue, ForeignKey, Relation
from sql_tests.matrix.report import Report

Row = dict[str, object]
HOMES = """
select m.garage_id from public.memberships m
  join auth.sessions s on s.user_id = m.user_id
 where m.user_id::text = %(claims)s::jsonb ->> 'sub' and m.deactivated_at is null
   and s.id::text = %(claims)s::jsonb ->> 'session_id'
"""
# What the busy garages have not had yet: a credit note, deliveries that failed, photos on file.
CREDITED = """
select private.issue_invoice((private.credit_invoice(i.id, 'Verkeerd bedrag')).id) from public.invoices i
 where i.garage_id = %s and i.issued_at is not null order by i.id limit 1
"""
FAILED = """
update public.communications set status = 'failed' where invoice_id is not null;
insert into public.invoice_documents (garage_id, invoice_id, version, status)
select garage_id, invoice_id, 0, 'failed' from public.invoice_documents where status = 'stored';
insert into private.poisoned_messages (queue, msg_id, reason) values ('send', 0, 'unreadable_message');
insert into private.worker_heartbeats (id, host, pid, version, lanes, started_at)
values (gen_random_uuid(), 'host-a', 1, '0.1.0', '{"send": 4}', now());
insert into private.key_proofs (jti_sha256, expires_at) values (repeat('0', 64), now());
update public.message_photos set created_at = now();
insert into public.message_photos (garage_id, conversation_id, content_type)
select garage_id, id, 'image/png' from public.conversations;
with ready as (
    insert into public.message_photos (garage_id, conversation_id, content_type)
    select distinct on (garage_id) garage_id, id, 'image/webp' from public.conversations
     order by garage_id, created_at
    returning storage_path)
insert into storage.objects (bucket_id, name) select 'message_photos', storage_path from ready;
update public.push_notifications set status = 'failed';
update website.mails set status = 'failed';
update public.customers set vat_number = 'BE0428759497' where full_name like 'Carla %';
"""


@dataclass
class World:
    """One open transaction of the superuser, to be rolled back; `only` narrows a run to some relations."""

    connection: Connection
    only: frozenset[str] | None = None
    report: Report = field(default_factory=Report)
    callers: list[Caller] = field(default_factory=list)
    _truth: dict[tuple[str, ...], Counter[str]] = field(default_factory=dict)
    _untouched: dict[str, str | None] = field(default_factory=dict)
    _samples: dict[tuple[str, str], list[Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection) -> "World":
        """Get a transaction ready: the trying function, the callers that the seeds lack."""
        connection.execute(attempts.SETUP)
        connection.execute("set local search_path = pg_catalog; set constraints all immediate")
        callers = everybody(connection)
        claims = json.dumps(dict(OLGA.claims))
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        connection.execute(CREDITED, (NOORD,))
        connection.execute("set local session_replication_role = replica")
        connection.execute(FAILED)
        connection.execute("set local session_replication_role = origin")
        return cls(connection, callers=callers)

    def fresh(self, only: frozenset[str] | None = None) -> "World":
        """The same rows and callers under a catalogue that may have changed."""
        shared = (self._truth, self._untouched, self._samples)
        return World(self.connection, only, Report(), self.callers, *shared)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue as it is now."""
        return Catalogue(self.connection)

    @cached_property
    def module_of(self) -> dict[str, str]:
        """The module without which a permission opens nothing."""
        rows = self.connection.execute("select * from private.permissions where module is not null")
        return {row["permission"]: row["module"] for row in rows}

    def untouched(self, query: str) -> str | None:
        """What the owner sees before anything was tried."""
        if query not in self._untouched:
            self._untouched[query] = self.owner(Ask(query, is_query=True)).value
        return self._untouched[query]

    def homes(self, caller: Caller) -> set[str]:
        """The garages a person works for, whichever of them the token names: `my_garages` says so."""
        rows = self.connection.execute(HOMES, {"claims": caller.claims})
        return {str(row["garage_id"]) for row in rows}

    @property
    def relations(self) -> list[Relation]:
        """The relations this run is about."""
        everything = self.catalogue.relations.values()
        return [r for r in everything if self.only is None or r.name in self.only]

    def attempt(self, who: Somebody, asks: list[Ask]) -> list[Outcome]:
        """Try statements as somebody."""
        return attempts.attempt(self.connection, who, asks)

    def owner(self, ask: Ask) -> Outcome:
        """The positive control: the owner of the database does it."""
        (outcome,) = self.attempt(OWNER, [ask])
        return outcome

    def truth(self, relation: Relation, columns: tuple[str, ...], condition: str) -> Counter[str]:
        """The rows there really are, each told by these columns."""
        key = (relation.name, *columns, condition)
        if key not in self._truth:
            outcome = self.owner(Ask(identities(relation, columns, condition), is_query=True))
            assert outcome.is_done, outcome
            self._truth[key] = Counter(json.loads(outcome.value or "[]"))
        return self._truth[key]

    def samples(self, relation: Relation, garage: str | None) -> list[Row]:
        """Some rows of a garage (of anybody, in what belongs to none), with `ctid`, as JSON values."""
        key = (relation.name, str(garage))
        if key not in self._samples:
            where = relation.whose(garage) if garage and relation.tenant else "true"
            query = f"select to_jsonb(t) || jsonb_build_object('ctid', t.ctid) as row from {relation.name} t"
            rows = self.connection.execute(f"{query} where {where} order by t.ctid limit 12".encode())
            self._samples[key] = [row["row"] for row in rows]
        return self._samples[key]

    def sample(self, relation: Relation, garage: str | None) -> Row | None:
        """A row of a garage, if there is any."""
        return next(iter(self.samples(relation, garage)), None)

    def granted(self, relation: Relation, role: str, verb: str) -> list[str]:
        """The columns a role may `verb`, of those that can be written at all when it is a write."""
        found = self.catalogue.grants.get((relation.name, role, verb), [])
        return [c for c in found if verb == "select" or c in relation.writable]

    def parent(self, key: ForeignKey) -> Relation:
        """The relation a foreign key points at."""
        return self.catalogue.relations[key.parent]


def identities(relation: Relation, columns: tuple[str, ...], condition: str = "true") -> str:
    """A query for all rows one sees, each told by its columns, as one JSON value."""
    told = f"concat_ws(' ', {', '.join(columns)})" if columns else "'row'::text"
    return f"select jsonb_agg({told}) from {relation.name} v where {condition}"


def literal(value: object) -> str:
    """A value from JSON as an SQL literal, which the column's type then reads."""
    if value is None:
        return "null"
    if isinstance(value, list):
        value = "{" + ",".join(json.dumps(item) for item in value) + "}"
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("'", "''") + "'"


def insert(relation: Relation, row: Row, columns: list[str]) -> str:
    """An insert of a row in these columns."""
    values = ", ".join(literal(row[column]) for column in columns)
    return f"insert into {relation.name} ({', '.join(map(quoted, columns))}) values ({values})"


def quoted(column: str) -> str:
    """A column's name as SQL."""
    return f'"{column}"'


def hole(relation: Relation, row: Row) -> str:
    """Take a row away past all triggers and keys, so that the very same one can be inserted."""
    return (
        "set local session_replication_role = replica;"
        f" delete from {relation.name} where ctid = '{row['ctid']}';"
        " set local session_replication_role = origin"
    )
