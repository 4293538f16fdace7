"""The tests that a mutant has to get past, as a library: house rules, frozen grants, claims, the matrix."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg

from devstack.testing import Connection
from sql_tests import claims, frozen, matrix
from sql_tests.house_rules import RULES
from sql_tests.matrix.report import Failure, Report
from sql_tests.matrix.world import World
from sql_tests.mutants.planting import Mutant

EXECUTE = importlib.import_module("sql_tests.00_house_rules.test_execute_grants")


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: who killed it (None: a survivor), and whether it reached another garage."""

    mutant: Mutant
    killer: str | None
    crosses: bool = False

    @property
    def is_killed(self) -> bool:
        """A test failed."""
        return self.killer is not None


class Stopped(Exception):
    """The first failure is enough."""


class Stopping(Report):
    """A report that ends the run at the first failure."""

    def fail(self, verb: str, subject: str, caller: str, found: object, crosses: bool = False) -> None:
        """Note it and stop."""
        super().fail(verb, subject, caller, found, crosses)
        raise Stopped


class Suite:
    """All of it, on one superuser's connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.world = connection, World.of(connection)

    def try_out(self, mutant: Mutant) -> Verdict:
        """Plant it, run the quick tests and then the matrix, and leave no trace."""
        self.connection.execute("savepoint mutant")
        try:
            self.connection.execute(mutant.statement.encode())
        except psycopg.Error as error:
            self.connection.execute("rollback to savepoint mutant")
            return Verdict(mutant, f"PostgreSQL itself: {str(error).splitlines()[0]}")
        try:
            return self._verdict(mutant)
        finally:
            self.connection.execute("rollback to savepoint mutant")

    def _verdict(self, mutant: Mutant) -> Verdict:
        quick = next((found for test in self._quick(mutant) if (found := test())), None)
        if mutant.behind_locks:
            # Noticed or not: it must be harmless, so look at every cell.
            report = matrix.try_all(self.world.fresh(mutant.scope))
            crossing = any(failure.crosses for failure in report.failures)
            return Verdict(mutant, quick or _killer(report), crossing)
        return Verdict(mutant, quick or self._first_failure(mutant))

    def _first_failure(self, mutant: Mutant) -> str | None:
        world = replace(self.world.fresh(mutant.scope), report=Stopping())
        self.connection.execute("savepoint matrix")
        try:
            matrix.try_all(world)
        except Stopped:
            pass
        except psycopg.Error as error:
            return f"matrix: {error}"
        finally:
            self.connection.execute("rollback to savepoint matrix")
        return _killer(world.report)

    def _quick(self, mutant: Mutant) -> list[Callable[[], str | None]]:
        found = [self._grants, self._rules]
        return [*found, self._claims] if mutant.kind == "check in a helper" else found

    def _grants(self) -> str | None:
        executes = sorted(row["concat_ws"] for row in self.connection.execute(EXECUTE.QUERY))
        if executes != EXECUTE.GOLDEN.read_text("utf-8").splitlines():
            return "frozen execute grants"
        found = "\n".join(frozen.grants(self.connection)) + "\n"
        return None if found == frozen.GOLDEN.read_text("utf-8") else "frozen table grants"

    def _rules(self) -> str | None:
        return next((f"rule: {rule.fact}" for rule in RULES if rule.broken_by(self.connection)), None)

    def _claims(self) -> str | None:
        found = claims.raised(self.connection, claims.bearers(self.connection), claims.malformed())
        first = next(found, None)
        return None if first is None else f"malformed claims: {first[:80]}"


def _killer(report: Report) -> str | None:
    failures: list[Failure] = report.failures  # a vacuous cell is no kill: it proves nothing
    return f"matrix: {failures[0]}"[:200] if failures else None
