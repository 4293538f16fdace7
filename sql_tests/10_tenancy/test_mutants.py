"""A sample of the mutants (`make mutants` plants all of them): two locks hold, and the tests notice."""

import pytest

from devstack.config import SUPERUSER
from devstack.testing import Database
from sql_tests.mutants.planting import Mutant, everything
from sql_tests.mutants.suite import Suite
from sql_tests.mutants.tally import NO_HOLE, Tally
from sql_tests.mutants.words import conjuncts

pytestmark = pytest.mark.req("D1", "S2")

OF_EACH_KIND = 2
# What every policy asks is missed within seconds; of other helpers only the whole matrix tells.
SOON_MISSED = "private.staff_garage_id()"


def sample(mutants: list[Mutant]) -> list[Mutant]:
    """Some of each kind, the same ones every time."""
    found: list[Mutant] = []
    mutants = [m for m in mutants if m.scope is not None or m.name.startswith(SOON_MISSED)]
    for kind in dict.fromkeys(mutant.kind for mutant in mutants):
        of_kind = [mutant for mutant in mutants if mutant.kind == kind]
        found += of_kind[:: max(1, len(of_kind) // OF_EACH_KIND)][:OF_EACH_KIND]
    return found


@pytest.fixture(scope="module")
def tally(busy_database: Database) -> Tally:
    """What became of the sample."""
    found = Tally()
    with busy_database.connect(SUPERUSER) as connection:
        suite = Suite(connection)
        for mutant in sample(everything(connection)):
            found.add(suite.try_out(mutant))
        connection.rollback()
    return found


def test_no_single_policy_lets_anybody_into_another_garage(tally: Tally) -> None:
    assert sum(verdict.mutant.behind_locks for verdict in tally.verdicts) >= 2 * OF_EACH_KIND
    assert [str(verdict.mutant) for verdict in tally.harmful] == []


def test_every_one_of_the_sample_is_noticed(tally: Tally) -> None:
    assert len({verdict.mutant.kind for verdict in tally.verdicts}) >= 15
    assert [str(verdict.mutant) for verdict in tally.survivors] == []
    assert tally.is_good


def test_with_nothing_planted_nothing_is_noticed(busy_database: Database) -> None:
    """The control: the same tests are content with the database as it is."""
    nothing = Mutant("nothing", "nothing", "select", frozenset({"public.vehicles", "storage.objects"}))
    with busy_database.connect(SUPERUSER) as connection:
        assert Suite(connection).try_out(nothing).killer is None
        connection.rollback()


def test_a_condition_is_taken_out_of_sql_and_nothing_else() -> None:
    text = "select from t where a = 'x and y' and (b or c) -- and d\n and exists (select from u where e)"
    assert [gone for gone, _ in conjuncts(text)] == [
        "a = 'x and y'", "(b or c) -- and d", "exists (select from u where e)", "e",
    ]  # fmt: skip
    assert [left for _, left in conjuncts("select from t where a and b;")] == [
        "select from t where true and b;", "select from t where a ;",
    ]  # fmt: skip


def test_every_mutant_that_is_no_hole_says_why() -> None:
    assert all(len(why) > 20 for why in NO_HOLE.values())
