"""`make chaos` in short: the same day, smaller, with the clock of the queues moved instead of waited for."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.chaos import feed
from benchmarks.chaos.judge import judge, unsettled
from benchmarks.chaos.monkey import Monkey, Plan
from benchmarks.chaos.relay import BAD_DAY, GOOD_DAY, Relay, choose, reference_of
from benchmarks.chaos.stage import Stage, staged
from devstack.config import free_port

REFERENCE = "99999999-0000-4000-8000-000000000001"
SHORT = Plan(
    seed=7,
    mails=110,
    texts=20,
    pushes=20,
    invoices=4,
    poison=3,
    kills=8,
    restarts=1,
    cuts=1,
    freezes=0,
    pause=(0.1, 1.2),
    drain_seconds=240,
    recovery_seconds=240,
    is_hurried=True,
)


@pytest.fixture(scope="module")
def calm() -> Iterator[Stage]:
    """A stage on a good day."""
    with staged(1, GOOD_DAY) as stage:
        feed.prepare(stage)
        feed.messages(stage, 5)
        stage.workers = [stage.start_worker(0)]
        until(lambda: unsettled(stage) == 0)
        assert stage.workers.pop().stop() == 0
        yield stage


@pytest.mark.slow
@pytest.mark.req("D8", "D9", "P14")
def test_a_bad_day_loses_nothing_and_sends_nothing_twice() -> None:
    faults = {name: weight for name, weight in BAD_DAY.items() if name != "silent"}
    with staged(SHORT.seed, faults) as stage:
        verdict = Monkey(stage, SHORT).play()
        happened = stage.relay.happened()
    assert verdict.violations == []
    assert verdict.statuses["communications sent"] + verdict.statuses["communications delivered"] > 90
    assert verdict.notes["poison set aside"] == SHORT.poison
    assert sum(happened.values()) - happened["pass"] > 3, "the providers misbehaved, too"


@pytest.mark.slow
def test_a_worker_says_how_it_is_takes_up_work_by_polling_alone_and_leaves_in_order(calm: Stage) -> None:
    port = free_port()
    calm.settings = {
        "AUTEXOR_HEALTH_PORT": str(port),
        "AUTEXOR_POLL_SECONDS": "0.5",
        "AUTEXOR_LOG_FORMAT": "json",
    }
    calm.wire.cut(3600)
    worker = calm.start_worker(0)
    calm.workers = [worker]
    health = f"http://127.0.0.1:{port}"
    until(lambda: status(f"{health}/health/ready") == 200)
    before = calm.relay.accepted().total()
    feed.messages(calm, 20)
    feed.pushes(calm, 5)
    until(lambda: calm.relay.accepted().total() == before + 25)
    until(
        lambda: sum(worker["is_alive"] for worker in calm.ask("select * from private.worker_status()")) == 1
    )
    metrics = httpx.get(f"{health}/metrics", trust_env=False).text
    assert 'autexor_jobs_total{channel="email",outcome="done",provider="sendgrid",queue="send"}' in metrics
    assert 'autexor_outages_total{part="realtime"} 0.0' not in metrics
    assert "11111111-0000" not in metrics
    assert worker.stop() == 0
    assert calm.ask("select * from private.worker_status()") == []
    log = worker.log.read_text()
    assert '"event": "worker.stopped"' in log
    assert "chaos-" not in log and "Traceback" not in log
    calm.wire.cut(0)


@pytest.mark.slow
def test_a_stop_in_the_midst_of_much_work_leaves_nothing_under_way(calm: Stage) -> None:
    calm.settings = {}
    worker = calm.start_worker(1)
    calm.workers = [worker]
    feed.messages(calm, 300)
    before = calm.relay.accepted().total()
    until(lambda: calm.relay.accepted().total() > before + 10)
    assert worker.stop() == 0
    under_way = "select count(*) as n from public.communications where status = 'sending'"
    assert calm.ask(under_way) == [{"n": 0}]
    assert unsettled(calm) > 0, "it did not wait for the end of the queue"
    calm.workers = [calm.start_worker(1)]
    until(lambda: unsettled(calm) == 0)
    assert calm.workers.pop().stop() == 0
    assert judge(calm, 0, [], 60).violations == []


def test_the_judge_finds_what_is_wrong(calm: Stage) -> None:
    """A judge who never objects proves nothing."""
    row = str(next(iter(calm.relay.calls)))
    calls = calm.relay.calls[row]
    # A provider that still tells what became of it would have a word in this.
    until(lambda: calm.ask("select 1 from public.communications where id = %s and status = 'delivered'", row))

    def objections(status: str) -> list[str]:
        calm.ask("update public.communications set status = %s where id = %s", status, row)
        return judge(calm, 0, [], 60).violations

    assert objections("delivered") == []
    calls.append(calls[0])
    assert objections("delivered") == [f"{row} is delivered and was taken 2 times"]
    assert objections("unknown") == []
    calls.pop()
    assert objections("failed") == [f"{row} is failed and was taken 1 times"]
    assert f"communications {row} is sending" in objections("sending")
    (call,) = calls
    call.is_accepted = False
    (objection,) = objections("delivered")
    assert objection == f"{row} is delivered and was taken 0 times"
    call.is_accepted = True
    assert judge(calm, 1, [("end by itself with -11", 0.0)], 60).violations[:1] != []
    assert objections("delivered") == []


def test_the_same_seed_plays_the_same_faults() -> None:
    first = [choose(BAD_DAY, f"1 {REFERENCE} {n}") for n in range(2000)]
    assert first == [choose(BAD_DAY, f"1 {REFERENCE} {n}") for n in range(2000)]
    assert set(first) == {"pass", *BAD_DAY}
    assert {choose(GOOD_DAY, str(n)) for n in range(100)} == {"pass"}


def test_requests_are_known_by_the_row_they_are_about() -> None:
    assert reference_of(f'{{"custom_args": {{"communication_id": "{REFERENCE}"}}}}'.encode()) == REFERENCE
    assert reference_of(f'[{{"data": {{"notification_id": "{REFERENCE}"}}}}]'.encode()) == REFERENCE
    assert (
        reference_of(f"StatusCallback=https%3A%2F%2Fx%2F%3Fcommunication_id%3D{REFERENCE}".encode())
        == REFERENCE
    )
    assert reference_of(b"{}") is None


def test_a_call_whose_body_never_came_is_not_taken(calm: Stage) -> None:
    relay = Relay(calm.stack.api_url, 1, GOOD_DAY)
    try:
        with socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\n{")
            caller.shutdown(socket.SHUT_WR)
            assert caller.recv(99) == b""
        assert relay.accepted().total() == 0
    finally:
        relay.close()


def until(condition: object, seconds: float = 90) -> None:
    assert callable(condition)
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.1)


def status(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False).status_code
    except httpx.TransportError:
        return 0
