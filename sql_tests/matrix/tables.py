"""Every relation x every caller x read, insert, update, delete, give away, truncate.

Triggers and foreign keys are off here: what refuses is a grant or a policy, and never a rule that happens
to come after a hole in them.
"""

import json
from collections import Counter
from collections.abc import Iterator

from sql_tests.matrix.attempts import Ask, Outcome
from sql_tests.matrix.callers import Caller
from sql_tests.matrix.catalogue import Relation
from sql_tests.matrix.rights import CUSTOMER, OPERATORS, SERVICE, STAFF, Rights
from sql_tests.matrix.world import Row, World, identities, insert, literal, quoted


def run(world: World) -> None:
    """Try all of it, in a transaction whose triggers are off from here to the savepoint's end."""
    world.connection.execute("savepoint tables")
    tables = [relation.name for relation in world.catalogue.relations.values() if relation.is_table]
    for name in (*tables, *world.catalogue.parts):  # all of them: a truncate cascades
        world.connection.execute(f"alter table {name} disable trigger user".encode())
    world.connection.execute("set local session_replication_role = replica")
    for relation in world.relations:
        Reads(world, relation).run()
        if relation.is_table:
            Writes(world, relation).run()
        else:
            _write_to_a_view(world, relation)
    world.connection.execute("rollback to savepoint tables")


class Reads:
    """Who sees which rows of a relation."""

    def __init__(self, world: World, relation: Relation) -> None:
        self.world, self.relation = world, relation

    def run(self) -> None:
        """One cell per caller."""
        for caller in self.world.callers:
            self.cell(caller)

    def cell(self, caller: Caller, verb: str = "read", closed: frozenset[str] = frozenset()) -> None:
        """What somebody sees is exactly what they may."""
        columns = self.columns(caller.role)
        (found,) = self.world.attempt(caller, [Ask(identities(self.relation, columns), is_query=True)])
        self.world.report.tried(verb)
        condition = self.expected(caller, closed)
        if condition is None:
            if not found.is_denied:
                self.fail(caller, verb, found, found.value is not None)
            self.not_empty(verb, self.world.truth(self.relation, columns, "true"))
            return
        expected = self.world.truth(self.relation, columns, condition)
        if condition != "true":
            self.not_empty(verb, self.world.truth(self.relation, columns, "true") - expected)
        seen = _counted(found)
        if not found.is_done or seen != expected:
            own = self.relation.whose(caller.garage) if caller.garage and self.relation.tenant else "false"
            strange = seen - self.world.truth(self.relation, columns, own)
            self.fail(caller, verb, f"{found}, expected {expected.total()} rows", bool(strange))

    def columns(self, role: str) -> tuple[str, ...]:
        """The ids by which a role can tell the rows it sees."""
        granted = self.world.granted(self.relation, role, "select")
        return tuple(c for c in granted if self.relation.columns[c] == "uuid")

    def expected(self, caller: Caller, closed: frozenset[str]) -> str | None:
        """The condition for the rows that somebody may see; None when the relation is closed to the role."""
        if caller.role == "service_role":
            return "true" if self.relation.name in SERVICE else None
        if caller.role == "authenticated" and self.relation.name in OPERATORS:
            return "true" if caller.is_operator else "false"
        shown: list[str] = []
        if caller.role == "authenticated" and self.relation.name in STAFF:
            rights = STAFF[self.relation.name].read_by
            shown = [f"({rows})" for rows, permission in rights.items() if permission in caller.permissions]
        elif caller.role == "portal" and self.relation.name in CUSTOMER:
            view = CUSTOMER[self.relation.name]
            if caller.customer and not closed & {view.module, "portal"}:
                shown = [view.condition.replace("{me}", literal(caller.customer))]
        else:
            return None
        if not shown or caller.garage is None:
            return "false"
        return f"{self.relation.whose(caller.garage)} and ({' or '.join(shown)})"

    def not_empty(self, verb: str, rows: object) -> None:
        """A denial is worth something only if there are rows to hide."""
        if not rows:
            self.world.report.empty(verb, self.relation.name, "has no rows to hide")

    def fail(self, caller: Caller, verb: str, found: object, crosses: bool) -> None:
        self.world.report.fail(verb, self.relation.name, caller.name, found, crosses)


def _counted(found: Outcome) -> "Counter[str]":
    return Counter(json.loads(found.value or "[]")) if found.is_done else Counter()


class Writes:
    """Who may change which rows of a table."""

    def __init__(self, world: World, relation: Relation) -> None:
        self.world, self.relation = world, relation
        self.rights = STAFF.get(relation.name, Rights())
        self.controls: dict[str, Outcome] = {}
        self.updates: dict[str, str] = {}

    def run(self) -> None:
        """All callers; the owner of the database tries each statement, too."""
        for caller in self.world.callers:
            asks = self.asks(caller)
            outcomes = self.world.attempt(caller, [ask for _, _, ask, _ in asks])
            for (verb, garage, ask, allowed), found in zip(asks, outcomes, strict=True):
                self.world.report.tried(verb)
                self.judge(caller, verb, garage, ask, allowed, found)

    def asks(self, caller: Caller) -> list[tuple[str, str | None, Ask, int]]:
        """Verb, whose rows, what is tried, and how many rows may be touched by right."""
        found = [
            ("insert", garage, *self.insert(caller, garage)) for garage in self.garages(caller)
        ]  # one's own first
        own = self.own_rows(caller)
        update = self.update(caller)
        found.append(("update", None, self.checked(update, caller), own * self.may(caller, "update")))
        delete = f"delete from {self.relation.name}"
        found.append(("delete", None, self.checked(delete, caller), own * self.may(caller, "delete")))
        if self.relation.tenant:
            away = f"update {self.relation.name} set {self.relation.tenant} = '{caller.strangers[0]}'"
            found.append(("give away", None, self.checked(away, caller), 0))
        truncate = f"truncate {self.relation.name} cascade"
        found.append(("truncate", None, self.checked(truncate, caller), 0))
        return found

    def judge(
        self, caller: Caller, verb: str, garage: str | None, ask: Ask, allowed: int, found: Outcome
    ) -> None:
        """Compare with what may be; a denial needs a control."""
        harmed = found.is_done and found.after is not None and found.after != self.untouched(caller)
        stopped = found.is_stopped and verb == "insert" and self.control(ask).state == found.state
        touched = 1 if stopped else found.touched
        if harmed or touched != allowed or not (found.is_done or found.is_denied or stopped):
            crosses = harmed or (verb == "insert" and bool(touched) and garage != caller.garage)
            self.fail(caller, verb, f"{found}, may touch {allowed}", crosses)
        control = self.control(ask)
        if allowed == 0 and not (control.is_done or control.is_stopped):
            self.world.report.empty(verb, self.relation.name, control)

    def control(self, ask: Ask) -> Outcome:
        """The owner of the database does the same."""
        key = f"{ask.before} {ask.statement}"
        if key not in self.controls:
            self.controls[key] = self.world.owner(Ask(ask.statement, before=ask.before))
            if not self.controls[key].touched and "truncate" not in key and self.controls[key].is_done:
                self.world.report.empty("write", self.relation.name, "nothing to write: " + key)
        return self.controls[key]

    def may(self, caller: Caller, verb: str) -> bool:
        """By the permission that opens the verb, in one's own garage."""
        permission = getattr(self.rights, verb)
        return caller.role == "authenticated" and permission in caller.permissions

    def garages(self, caller: Caller) -> list[str | None]:
        """Whose rows somebody tries to insert."""
        if self.relation.tenant is None:
            return [None]
        return [*([caller.garage] if caller.garage else []), *caller.strangers]

    def own_rows(self, caller: Caller) -> int:
        """How many rows the caller's garage has."""
        if caller.garage is None or self.relation.tenant is None:
            return 0
        return self.world.truth(self.relation, (), self.relation.whose(caller.garage)).total()

    def insert(self, caller: Caller, garage: str | None) -> tuple[Ask, int]:
        """A row that the garage has, taken away before, in the columns that the role may write."""
        row = self.world.sample(self.relation, garage)
        if row is None:
            self.world.report.empty("insert", self.relation.name, f"no row of {garage}")
            return Ask("select"), 1
        columns = self.world.granted(self.relation, caller.role, "insert") or self.relation.writable
        before = f"delete from {self.relation.name} where ctid = '{row['ctid']}'"
        allowed = int(garage == caller.garage and garage is not None and self.may(caller, "insert"))
        return Ask(insert(self.relation, row, columns), before=before), allowed

    def update(self, caller: Caller) -> str:
        """An update without a condition, which reads no column: policies for reading do not apply to it."""
        columns = self.world.granted(self.relation, caller.role, "update") or self.relation.writable
        key = ",".join(columns)
        if key not in self.updates:
            same = f"update {self.relation.name} set {quoted(columns[0])} = {quoted(columns[0])}"
            self.updates[key] = next(self._updates(columns), same)
        return self.updates[key]

    def _updates(self, columns: list[str]) -> "Iterator[str]":
        row: Row = self.world.sample(self.relation, None) or {}
        avoid = {*self.relation.keys, self.relation.tenant}
        for column in sorted(columns, key=lambda c: c in avoid):
            statement = f"update {self.relation.name} set {quoted(column)} = {literal(row.get(column))}"
            if self.control(Ask(statement)).is_done:
                yield statement

    def checked(self, statement: str, caller: Caller) -> Ask:
        """Look at the rows of the others afterwards."""
        return Ask(statement, after=self.others(caller)) if self.relation.tenant else Ask(statement)

    def others(self, caller: Caller) -> str:
        """The rows of the other garages, in one value."""
        others = " or ".join(self.relation.whose(garage) for garage in caller.strangers)
        rows = f"select t::text as row from {self.relation.name} t where {others}"
        return f"select md5(coalesce(string_agg(row, '|' order by row), '')) from ({rows}) rows"

    def untouched(self, caller: Caller) -> str | None:
        """The same before anything was tried."""
        return self.world.untouched(self.others(caller))

    def fail(self, caller: Caller, verb: str, found: object, crosses: bool) -> None:
        self.world.report.fail(verb, self.relation.name, caller.name, found, crosses)


# Not a column that is an identity, and not one that the view computes.
FIXED = ("428C9", "0A000")


def _write_to_a_view(world: World, view: Relation) -> None:
    """Views are for reading: nobody writes through one, where it could be written at all."""
    updates = (f'update {view.name} set "{column}" = "{column}"' for column in view.columns)
    update = next((u for u in updates if world.owner(Ask(u)).state not in FIXED), "")
    statements = {"update": update, "delete": f"delete from {view.name}"}
    for verb, statement in statements.items():
        control = world.owner(Ask(statement))
        if control.state == "55000":
            continue  # PostgreSQL itself cannot write through this view
        for caller in world.callers:
            (found,) = world.attempt(caller, [Ask(statement)])
            world.report.tried(verb)
            if not found.is_denied:
                world.report.fail(verb, view.name, caller.name, found, bool(found.touched))
        if not control.touched:
            world.report.empty(verb, view.name, control)
