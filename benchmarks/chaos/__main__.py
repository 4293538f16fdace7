"""`make chaos`: a bad day, judged. Prints the counts, and exits 1 on any violation."""

import argparse
import sys
import time
from dataclasses import fields

from benchmarks.chaos.monkey import Monkey, Plan
from benchmarks.chaos.relay import BAD_DAY
from benchmarks.chaos.stage import staged


def main() -> None:
    """Play one day."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    numbers = [option for option in fields(Plan) if option.type is int]
    for option in numbers:
        parser.add_argument(f"--{option.name}", type=int, default=option.default)
    options = parser.parse_args()
    plan = Plan(**vars(options))
    print(plan)
    begun = time.monotonic()
    with staged(plan.seed, BAD_DAY) as stage:
        verdict = Monkey(stage, plan).play()
        for name, count in sorted(stage.relay.happened().items()):
            print(f"providers, {name}: {count}")
    print("\n".join(verdict.lines()))
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(bool(verdict.violations))


if __name__ == "__main__":
    main()
