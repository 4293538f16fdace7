"""One worker on a good day: messages a second, time from commit to the provider's call, memory after many.

    python -m benchmarks.throughput [--messages 10000] [--paced 300] [--lanes 4]

The provider is the sandbox behind a relay, on the same machine as everything else: the figures are what
this machine does with all of it, so they are for comparing one day with another.
"""

import argparse
import statistics
import sys
import time

from benchmarks.chaos import feed
from benchmarks.chaos.judge import judge, unsettled
from benchmarks.chaos.relay import GOOD_DAY
from benchmarks.chaos.stage import Stage, staged

WARM_UP = 200
BATCH = 1000
PACE_SECONDS = 0.1


def settle(stage: Stage, seconds: float = 1800) -> None:
    """Wait until nothing is left to do."""
    limit = time.monotonic() + seconds
    while unsettled(stage):
        if time.monotonic() > limit:
            raise TimeoutError("the worker did not come to an end")
        time.sleep(0.2)


def many(stage: Stage, messages: int) -> None:
    """Messages a second, and memory before and after."""
    worker = stage.workers[0]
    feed.messages(stage, WARM_UP)
    settle(stage)
    before = worker.memory_mb()
    worker.stop()
    for start in range(0, messages, BATCH):
        feed.messages(stage, min(BATCH, messages - start))
    worker = stage.workers[0] = stage.start_worker(0)
    known = set(stage.relay.calls)
    settle(stage)
    calls = sorted(made[0].at for name, made in stage.relay.calls.items() if name not in known)
    seconds = calls[-1] - calls[0]
    print(f"{len(calls)} mails in {seconds:.1f} s by one worker: {len(calls) / seconds:.0f} a second")
    middle = worker.memory_mb()
    print(
        f"memory of a worker (RSS): {before:.0f} MB after {WARM_UP} mails, {middle:.0f} MB after {messages}"
    )


def paced(stage: Stage, count: int) -> None:
    """From the commit of a row to the arrival of its call at the provider."""
    committed = {}
    for _ in range(count):
        reference = feed.messages(stage, 1)[0]
        committed[reference] = time.time()
        time.sleep(PACE_SECONDS)
    settle(stage)
    delays = sorted(stage.relay.calls[name][0].at - at for name, at in committed.items())
    print(
        f"commit to call over {count} mails: median {statistics.median(delays) * 1000:.0f} ms,"
        f" 95 % {delays[count * 95 // 100] * 1000:.0f} ms, most {delays[-1] * 1000:.0f} ms"
    )


def main() -> int:
    """Measure against a stack made for the purpose; 1 when a message was lost or doubled."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--paced", type=int, default=300)
    parser.add_argument("--lanes", type=int, default=4)
    options = parser.parse_args()
    with staged(1, GOOD_DAY, {"AUTEXOR_SEND_LANES": str(options.lanes)}) as stage:
        feed.prepare(stage)
        stage.workers = [stage.start_worker(0)]
        settle(stage)
        paced(stage, options.paced)
        many(stage, options.messages)
        stage.workers.pop().stop()
        verdict = judge(stage, 0, [], 60)
    print("\n".join(verdict.lines()))
    return int(bool(verdict.violations))


if __name__ == "__main__":
    sys.exit(main())
