"""Plants every mutant (or every n-th) and says which of them the tests notice: `make mutants`.

Exits 1 when a mutant behind the two locks reached another garage, when one of them went unnoticed, or when
fewer than 95 % of the others were killed.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from devstack import database as databases
from devstack.config import SUPERUSER, free_port
from devstack.postgres import Cluster
from devstack.testing import Database, migrated_template
from sql_tests import busy_rights
from sql_tests.conftest import make_busy
from sql_tests.mutants.planting import Mutant, everything
from sql_tests.mutants.suite import Suite, Verdict
from sql_tests.mutants.tally import Tally

BATCH = 50


@contextmanager
def busy_database() -> Iterator[Database]:
    """A cluster of its own with the two garages at work."""
    scratch = Path(tempfile.mkdtemp(prefix="autexor mutants "))
    scratch.chmod(0o755)
    cluster = Cluster.at(scratch / "postgres", free_port(), scratch / "postgres.log")
    cluster.init()
    process = cluster.start()
    try:
        databases.clone(cluster, migrated_template(cluster), "mutants")
        database = Database(cluster, "mutants")
        make_busy(database)
        busy_rights.keep_busy(database)
        yield database
    finally:
        cluster.stop(process)
        shutil.rmtree(scratch, ignore_errors=True)


def verdicts(database: Database, mutants: Iterable[Mutant]) -> Iterator[Verdict]:
    """What becomes of each, a batch in a transaction: a session remembers all it ever changed."""
    waiting = iter(mutants)
    while batch := list(islice(waiting, BATCH)):
        with database.connect(SUPERUSER) as connection:
            suite = Suite(connection)
            for mutant in batch:
                yield suite.try_out(mutant)
            connection.rollback()


def main() -> int:
    """Plant them, print the table, answer the exit code."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="plant every N-th only")
    parser.add_argument("--kind", default="", help="plant mutants of kinds that begin so only")
    wanted = parser.parse_args()
    console, tally = Console(), Tally()
    with busy_database() as database:
        with database.connect(SUPERUSER) as connection:
            found = [m for m in everything(connection) if m.kind.startswith(wanted.kind)][:: wanted.every]
        steps = track(found, f"Planting {len(found):,} mutants …", console=console)
        for verdict in verdicts(database, steps):
            tally.add(verdict)
    _print(console, tally)
    return 0 if tally.is_good else 1


def _print(console: Console, tally: Tally) -> None:
    table = Table("mutant", *(("planted", "killed", "no hole", "survived", "reached another garage")))
    for kind, row in tally.rows():
        table.add_row(kind, *(f"{number:,}" for number in row))
    console.print(table)
    for line in tally.lines():
        console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
