"""Sixteen receptionists issue at once, some change their minds: the numbers have no gap and no double.

    .venv/bin/python -m benchmarks.numbering [--writers 16] [--issues 500] [--rollbacks 0.2]

Every issue is a transaction of its own through the policies: draft, two lines, number. Fails when the numbers
that stayed are not 1 to n, once each.
"""

import argparse
import random
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.database import throw_away
from devstack.testing import Database, become
from sql_tests.cast import CARLA, KAREL, NOORD, RITA
from sql_tests.steps import change, draft, issue, look

SIGN_IN = """
insert into auth.sessions (id, user_id, created_at, updated_at)
select ('2b222222' || substr(id::text, 9))::uuid, id, now(), now() from auth.users
"""
NUMBERS = """
select count(*)::int as n, count(distinct number)::int as different, coalesce(min(number), 1) as lowest,
       coalesce(max(number), 0) as highest, count(distinct structured_communication)::int as references
  from public.invoices where garage_id = %s and issued_at is not null
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--issues", type=int, default=500, help="How many each writer issues.")
    parser.add_argument("--rollbacks", type=float, default=0.2, help="The part that is rolled back.")
    options = parser.parse_args()
    with throw_away() as database:
        change(database, SIGN_IN)
        started = time.monotonic()
        with ThreadPoolExecutor(options.writers) as pool:
            kept = sum(
                pool.map(
                    lambda seed: write(database, seed, options.issues, options.rollbacks),
                    range(options.writers),
                )
            )
        seconds = time.monotonic() - started
        report(database, kept, options.writers * options.issues, seconds)


def write(database: Database, seed: int, issues: int, rollbacks: float) -> int:
    """Issue so many invoices in one connection; how many stay."""
    chance = random.Random(seed)
    kept = 0
    with database.connect("authenticator") as connection:
        for _ in range(issues):
            become(connection, RITA.claims)
            issue(connection, draft(connection, chance.choice((CARLA, KAREL))))
            if chance.random() < rollbacks:
                connection.rollback()
            else:
                connection.commit()
                kept += 1
    return kept


def report(database: Database, kept: int, tried: int, seconds: float) -> None:
    """Print what the series looks like; raises SystemExit when it has a gap or a double."""
    with database.connect() as connection:
        row = connection.execute(NUMBERS.encode(), (NOORD,)).fetchone()
    last = look(database, "select last_number from public.invoice_series where garage_id = %s", NOORD)
    assert row is not None
    print(f"{tried} issues in {seconds:.1f} s ({tried / seconds:.0f} a second), {tried - kept} rolled back")
    print(f"{kept} numbers from {row['lowest']} to {row['highest']}, {row['different']} different")
    if {row["n"], row["different"], row["highest"], row["references"], last} != {kept} or row["lowest"] != 1:
        raise SystemExit("the series has a gap or a double")
    print("no gap, no double")


if __name__ == "__main__":
    main()
