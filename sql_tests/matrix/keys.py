"""Keys: no row points at a row of another garage, and no key tells what another garage has.

Three things per foreign key: the key itself refuses a foreign parent (triggers off); what callers are told
of a foreign parent is word for word what they are told of none at all (triggers on); and a parent of their
own is something else. Per unique index: the key of another garage's row is free.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from sql_tests.cast import NOORD, ZUID
from sql_tests.matrix.attempts import OWNER, Ask, DatabaseOwner, Outcome, Somebody
from sql_tests.matrix.callers import Caller
from sql_tests.matrix.catalogue import ForeignKey, Relation, Unique
from sql_tests.matrix.rights import STAFF
from sql_tests.matrix.world import Row, World, hole, insert, literal, quoted

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
SOME_ID = "99999999-0000-4000-8000-000000000001"
OTHER = {NOORD: ZUID, ZUID: NOORD}


# One key at a time: another one, or a check, that refuses first would hide it.
ALONE = """
do $$ declare other record; begin
    for other in select conname from pg_constraint where conrelid = '{relation}'::regclass
                  and conname <> '{key}' and contype = any ('{{{kinds}}}') loop
        execute format('alter table {relation} drop constraint if exists %I cascade', other.conname);
    end loop;
    for other in select i.indexrelid::regclass as name from pg_index i where i.indisunique
                  and '{{{kinds}}}'::text[] @> '{{u}}' and i.indrelid = '{relation}'::regclass
                  and i.indexrelid <> to_regclass('{schema}.{key}') loop
        execute format('drop index %s', other.name);
    end loop;
end $$
"""


def run(world: World) -> None:
    """All keys of the relations of this run."""
    names = {relation.name for relation in world.relations}
    for key in world.catalogue.foreign_keys:
        reference = Reference(world, key)
        if key.child in names and reference.columns:
            reference.run()
    for unique in world.catalogue.uniques:
        if unique.relation in names:
            Oracle(world, unique).run()


@dataclass(frozen=True)
class Tries:
    """The same row with a parent of one's own, of the other garage, and with none that exists."""

    own: Ask
    foreign: Ask
    missing: Ask

    @property
    def all(self) -> list[Ask]:
        return [self.own, self.foreign, self.missing]


def _leave_alone(world: World, relation: Relation, key: str, kinds: str) -> None:
    """Drop every other constraint of these kinds, until the savepoint's end."""
    schema = relation.name.split(".")[0]
    statement = ALONE.format(relation=relation.name, schema=schema, key=key, kinds=kinds)
    world.connection.execute(statement.encode())


class Reference:
    """A foreign key within a garage."""

    def __init__(self, world: World, key: ForeignKey) -> None:
        self.world, self.key = world, key
        self.child = world.catalogue.relations[key.child]
        self.parent = world.parent(key)
        self.columns = [c for c in key.near if c != self.child.tenant]

    def run(self) -> None:
        """With the key alone, and as people meet it."""
        self._alone()
        self._dressed()

    def _alone(self) -> None:
        """Triggers off: the key refuses whoever gets past grants and policies, the database's owner too."""
        world, verb = self.world, "reference a foreign parent"
        world.connection.execute("savepoint keys")
        world.connection.execute(f"alter table {self.child.name} disable trigger user".encode())
        _leave_alone(world, self.child, self.key.name, "c,x,f")
        for garage, callers in self._callers().items():
            row = self.row(garage)
            if row is None or self.parent_values(OTHER[garage]) is None:
                world.report.empty(verb, self.key.name, f"no rows of {garage}")
                continue
            for who in (OWNER, *callers):
                own, found, missing = world.attempt(who, self.inserts(who, row, garage, self.room(row)).all)
                world.report.tried(verb)
                if not (found.is_denied or found.state == "23503" or found.state == "23502"):
                    world.report.fail(verb, self.key.name, who.name, found, True)
                elif _told(found) != _told(missing):
                    world.report.fail(verb, self.key.name, who.name, f"{found}; of none: {missing}", True)
                if who is OWNER and not own.is_done:
                    world.report.empty(verb, self.key.name, own)
        world.connection.execute("rollback to savepoint keys")

    def _dressed(self) -> None:
        """Triggers on: whoever may insert or update hears the same of a foreign parent as of none."""
        verb = "tell a foreign parent from none"
        for garage, callers in self._callers().items():
            for caller in callers:
                for tries in self.ways(caller, garage):
                    self.world.report.tried(verb)
                    own, foreign, missing = self.world.attempt(caller, tries.all)
                    is_told = _told(foreign) != _told(missing)
                    if foreign.is_done or is_told:
                        found = f"{foreign}; of none: {missing}"
                        crosses = is_told or bool(foreign.rows)
                        self.world.report.fail(verb, self.key.name, caller.name, found, crosses)
                    if _told(own) == _told(missing):
                        self.world.report.empty(verb, self.key.name, f"{tries.own.statement}: {own}")

    def ways(self, caller: Caller, garage: str) -> Iterator[Tries]:
        """Insert and update, where the role may write the columns that point."""
        rows = self.world.samples(self.child, garage)
        if rows and self.may(caller, "insert"):
            rows = [*rows, *(_with_reasons(self.child, row) for row in rows)]
            yield self.telling(caller, [self.inserts(caller, row, garage) for row in rows])
        if rows and self.may(caller, "update"):
            yield self.telling(caller, [self.updates(row, garage) for row in rows])

    def may(self, caller: Caller, verb: str) -> bool:
        """By role and permission: the columns that point are theirs to write."""
        right = getattr(STAFF.get(self.child.name), verb, None) in caller.permissions
        return right and set(self.columns) <= set(self.world.granted(self.child, caller.role, verb))

    def room(self, row: Row) -> str:
        """Take the row away, and what could be in the way of a foreign one, but not the parents."""
        if self.child is self.parent:
            return hole(self.child, row)
        return hole(self.child, row).replace(f" where ctid = '{row['ctid']}'", "")

    def telling(self, caller: Caller, choices: list[Tries]) -> Tries:
        """Of a garage's rows one with which the parent makes a difference, if there is any."""
        for tries in choices:
            own, missing = self.world.attempt(caller, [tries.own, tries.missing])
            if _told(own) != _told(missing):
                return tries
        return choices[0]

    def inserts(self, who: Somebody, row: Row, garage: str, before: str | None = None) -> Tries:
        """The row again, each time with another parent."""
        granted = self.world.granted(self.child, who.role, "insert") or self.child.writable
        columns = list(dict.fromkeys([*granted, *self.columns]))

        def ask(values: Row) -> Ask:
            return Ask(insert(self.child, {**row, **values}, columns), before=before)

        return self._tries(ask, row, garage)

    def updates(self, row: Row, garage: str) -> Tries:
        """The row as it is, each time pointed at another parent."""

        def ask(values: Row) -> Ask:
            pairs = ", ".join(f"{quoted(c)} = {literal(v)}" for c, v in values.items())
            return Ask(f"update {self.child.name} set {pairs} where id = {literal(row.get('id'))}")

        return self._tries(ask, row, garage)

    def _tries(self, ask: Callable[[Row], Ask], row: Row, garage: str) -> Tries:
        own: Row = {c: row[c] for c in self.columns}
        if None in own.values() or self.child is self.parent:
            own = self.parent_values(garage) or {}
        foreign = self.parent_values(OTHER[garage]) or {}
        kinds = {c: self.child.columns[c] for c in self.columns}
        missing = {c: str(uuid4()) if kind == "uuid" else "0" * 64 for c, kind in kinds.items()}
        return Tries(ask(own), ask(foreign), ask(missing))

    def row(self, garage: str) -> Row | None:
        """A child to try with."""
        return self.world.sample(self.child, garage)

    def parent_values(self, garage: str) -> Row | None:
        """What the pointing columns would be for a parent of a garage."""
        parents = self.world.samples(self.parent, garage)
        if not parents:
            return None
        parent = parents[-1]  # not the first: with a self-reference that is the child
        pairs = zip(self.key.near, self.key.far, strict=True)
        return {near: parent[far] for near, far in pairs if near in self.columns}

    def _callers(self) -> dict[str, list[Caller]]:
        """Callers by the garage in which they try it; who is of no garage tries it in Noord."""
        found: dict[str, list[Caller]] = {NOORD: [], ZUID: []}
        for caller in self.world.callers:
            found[caller.garage or NOORD].append(caller)
        return found


class Oracle:
    """A unique index."""

    def __init__(self, world: World, unique: Unique) -> None:
        self.world, self.unique = world, unique
        self.relation = world.catalogue.relations[unique.relation]
        self.columns = [c for c in unique.columns if c != self.relation.tenant]
        self.is_of_garage = len(self.columns) < len(unique.columns)
        kinds = {self.relation.columns[c] for c in self.columns if not c.endswith("_sha256")}
        # Nobody guesses an id or a hash, or a key that has one.
        self.is_guessable = "id" not in self.columns and not kinds <= {"uuid", "bigint"}
        self.name = unique.name.split(".")[-1]

    def run(self) -> None:
        """In both garages, whoever can insert; triggers off, so that the index answers."""
        if not self.columns:
            return
        verb, world = "learn from a unique key", self.world
        world.connection.execute("savepoint keys")
        world.connection.execute(f"alter table {self.relation.name} disable trigger user".encode())
        _leave_alone(world, self.relation, self.name, "p,u,x,c,f")
        for garage in (NOORD, ZUID):
            own = [self.insert(OWNER, row, row, keeping=True) for row in self.rows(garage)]
            met = world.attempt(OWNER, own)
            if not any(outcome.key in self.unique.known_as for outcome in met):
                world.report.empty(verb, self.unique.name, met[0] if met else f"no rows of {garage}")
        for caller in (*world.callers, *([OWNER] if self.is_of_garage or self.is_guessable else [])):
            world.report.tried(verb)
            for outcome in world.attempt(caller, self.asks(caller)):
                if outcome.key in self.unique.known_as:
                    world.report.fail(verb, self.unique.name, caller.name, outcome, True)
        world.connection.execute("rollback to savepoint keys")

    def rows(self, garage: str) -> list[Row]:
        """Rows of a garage that the index holds."""
        return self.world.samples(self.relation, garage)

    def asks(self, who: Caller | DatabaseOwner) -> list[Ask]:
        """One's own row under the keys of rows of the other garage that are not also one's own."""
        garage = (who.garage if isinstance(who, Caller) else None) or NOORD
        own = self.rows(garage)
        taken = [[row[c] for c in self.columns] for row in own]
        foreign = [r for r in self.rows(OTHER[garage]) if [r[c] for c in self.columns] not in taken]
        return [self.insert(who, row, other) for row, other in zip(own, foreign, strict=False)][:4]

    def insert(self, who: Somebody, row: Row, foreign: Row, keeping: bool = False) -> Ask:
        """One's own row under the key of another; `keeping` leaves the own row where it is."""
        granted = self.world.granted(self.relation, who.role, "insert") or self.relation.writable
        columns = list(dict.fromkeys([*granted, *self.unique.columns]))
        fresh = {} if keeping or "id" in self.columns or "id" not in row else {"id": str(uuid4())}
        key = {column: SOME_ID if foreign[column] is None else foreign[column] for column in self.columns}
        values = {**row, **fresh, **key}
        statement = insert(self.relation, values, columns).replace(
            ") values (", ") overriding system value values (", 1
        )
        pairs = ", ".join(f"{quoted(c)} = {literal(v)}" for c, v in key.items() if foreign[c] is None)
        before = f"update {self.relation.name} set {pairs} where ctid = '{foreign['ctid']}';" if pairs else ""
        before += "" if keeping else hole(self.relation, row)
        return Ask(statement, before=before or None)


def _with_reasons(relation: Relation, row: Row) -> Row:
    """The row with all texts filled in and at a time when nothing was, so that other rules are content."""
    days = (f"1990-01-{day:02}" for day in range(1, 29))
    found = dict(row)
    for column, kind in sorted(relation.columns.items()):
        if kind == "text" and row[column] is None:
            found[column] = "Reden"
        elif kind == "date":
            found[column] = next(days)
    return found


def _told(outcome: Outcome) -> tuple[str | None, ...]:
    """What a caller learns, but for the ids they sent themselves."""
    texts = (outcome.message, outcome.detail, outcome.hint)
    return (outcome.state, *(None if text is None else masked(text) for text in texts))


def masked(text: str) -> str:
    """A text without the ids and hashes in it."""
    return ID.sub("…", text)
