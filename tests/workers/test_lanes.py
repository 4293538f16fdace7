"""Several lanes a queue: what they do at the same time, and what none of them does to the others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from workers import lane as lane_module
from workers import loop as loop_module
from workers.adapters.memory import MemoryDoorbell, MemoryMeter, MemoryQueue
from workers.core.errors import QueueUnavailable, RecordRefused
from workers.core.jobs import QUEUES, Job
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater, Unknown, bare
from workers.lane import VISIBILITY_SECONDS, Bell, Lane
from workers.loop import LaneState, Loop, LoopState
from workers.ports import Measured, Ports

if TYPE_CHECKING:
    from conftest import MemoryPorts

Payload = Callable[..., dict[str, Any]]


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


@contextmanager
def running(loop: Loop) -> Iterator[None]:
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "backoff", lambda attempt: 0)


def lane(queue: MemoryQueue, ports: Ports, **options: Any) -> Lane:
    return Lane("send", queue, ports, 60, threading.Event(), **options)


@pytest.mark.req("D8")
def test_a_slow_message_holds_up_one_lane_and_not_the_others(
    ports: "MemoryPorts", send_payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, meter, queue = threading.Event(), MemoryMeter(), MemoryQueue()
    send = ports.mailer.send
    slow = iter([True])
    monkeypatch.setattr(
        ports.mailer, "send", lambda *args: (next(slow, False) and release.wait(10), send(*args))[1]
    )
    for _ in range(4):
        queue.put("send", send_payload())
    loop = Loop(queue, ports, MemoryDoorbell(), 60, {"send": 2}, meter)
    with running(loop):
        until(lambda: len(queue.finished) == 3)
        assert meter.busy["send"] == 1
        release.set()
        until(lambda: len(queue.finished) == 4)
    assert meter.busy["send"] == 0


def test_as_many_messages_are_sent_at_a_time_as_there_are_lanes_and_no_more(
    ports: "MemoryPorts", send_payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, meter, queue = threading.Event(), MemoryMeter(), MemoryQueue()
    send = ports.mailer.send
    monkeypatch.setattr(ports.mailer, "send", lambda *args: (release.wait(10), send(*args))[1])
    for _ in range(9):
        queue.put("send", send_payload())
    with running(Loop(queue, ports, MemoryDoorbell(), 60, {"send": 3}, meter)):
        until(lambda: meter.busy["send"] == 3)
        release.set()
        until(lambda: len(queue.finished) == 9)
    assert meter.most_busy["send"] == 3


def test_a_queue_without_lanes_is_left_to_other_processes(
    ports: "MemoryPorts", send_payload: Payload, render_payload: Payload
) -> None:
    queue, bell = MemoryQueue(), MemoryDoorbell()
    queue.put("render", render_payload())
    with running(Loop(queue, ports, bell, 60, {"send": 1, "render": 0})):
        queue.put("send", send_payload())
        bell.ring(None)
        until(lambda: queue.finished)
        bell.ring("render")
    assert len(queue.waiting["render"]) == 1


def test_a_ring_wakes_one_sleeper_and_is_kept_for_who_sleeps_later() -> None:
    bell, woken = Bell(), []
    bell.ring()
    bell.wait(10)

    def sleep() -> None:
        bell.wait(10)
        woken.append(1)

    sleepers = [threading.Thread(target=sleep) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()
    time.sleep(0.1)
    bell.ring()
    until(lambda: woken)
    time.sleep(0.1)
    assert len(woken) == 1
    bell.end()
    until(lambda: len(woken) == 3)
    for sleeper in sleepers:
        sleeper.join()


def test_a_lane_outlives_whatever_the_queue_raises(ports: "MemoryPorts", send_payload: Payload) -> None:
    queue, meter = MemoryQueue(), MemoryMeter()
    queue.put("send", send_payload())
    queue.claim_failures.extend([ZeroDivisionError("carla@example.test"), QueueUnavailable("08006")])
    with running(Loop(queue, ports, MemoryDoorbell(), 60, {"send": 1}, meter)):
        until(lambda: queue.finished)
    assert (meter.losses, meter.joins) == (["database"], ["database"]), "a mistake of ours is no outage"


def test_a_job_that_names_no_row_is_set_aside(ports: "MemoryPorts") -> None:
    queue, meter = MemoryQueue(), MemoryMeter()
    queue.put("send", {"kind": "nonsense"})
    lane(queue, ports, meter=meter).drain()
    assert queue.aside == [("send", 1, "unreadable_job")]
    assert [job.outcome for job in meter.jobs] == ["set_aside"]


@pytest.mark.req("D8", "D9")
def test_what_the_database_refuses_to_record_is_recorded_without_its_details(
    ports: "MemoryPorts", send_payload: Payload
) -> None:
    queue, meter = MemoryQueue(), MemoryMeter()
    queue.put("send", send_payload())
    queue.finish_failures.append(RecordRefused("22P05"))
    lane(queue, ports, meter=meter).drain()
    ((_, _, outcome),) = queue.finished
    assert outcome == Done({"provider": "memory", "provider_message_id": "mail-1"})
    assert [(job.outcome, job.provider) for job in meter.jobs] == [("done", "none")]


def test_a_bare_outcome_is_the_same_outcome_in_plain_ascii() -> None:
    known = {"provider": "sendgrid", "provider_message_id": "a\0b", "body_text": "Dag Carla"}
    kept = {"provider": "sendgrid", "provider_message_id": "a?b"}
    assert bare(Done(known)) == Done(kept)
    assert bare(Unknown("späť\0", known)) == Unknown("sp???", kept)
    assert bare(GiveUp("x" * 999)) == GiveUp("x" * 200)
    assert bare(RetryLater("é", 7)) == RetryLater("?", 7)


def test_a_record_that_stays_refused_is_given_up_at_its_time(
    ports: "MemoryPorts", send_payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VISIBILITY_SECONDS, "send", 0)
    queue, meter = MemoryQueue(), MemoryMeter()
    queue.put("send", send_payload())
    queue.finish_failures.extend(RecordRefused("42883") for _ in range(9))
    lane(queue, ports, meter=meter).drain()
    assert [job.outcome for job in meter.jobs] == ["unrecorded"]


def test_what_is_measured_of_a_job_is_of_few_words(ports: "MemoryPorts", send_payload: Payload) -> None:
    """A label that a payload could choose freely would grow the metrics without end."""
    queue, meter = MemoryQueue(), MemoryMeter()
    queue.put("send", send_payload())
    queue.put("send", send_payload() | {"channel": "carla@example.test"})

    def told(job: Job, ports: Ports) -> Outcome:
        return Done({"provider": "sendgrid"})

    lane(queue, ports, meter=meter, handler=told).drain()
    seen = [(job.queue, job.channel, job.provider, job.outcome) for job in meter.jobs]
    assert seen == [("send", "email", "sendgrid", "done"), ("send", "send", "none", "give_up")]
    assert all(isinstance(job, Measured) and job.seconds >= 0 for job in meter.jobs)


def test_every_queue_has_its_time() -> None:
    assert set(VISIBILITY_SECONDS) == set(QUEUES)


def test_a_process_beats_while_it_runs_and_says_when_it_leaves(
    ports: "MemoryPorts", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "BEAT_SECONDS", 0.02)
    queue = MemoryQueue()
    with running(Loop(queue, ports, MemoryDoorbell(), 60, {"send": 2, "push": 1})):
        until(lambda: queue.beats >= 3)
        ((heartbeat,),) = [list(queue.beating.values())]
        assert heartbeat.lanes == {"send": 2, "push": 1}
    assert queue.beating == {}
    assert queue.housekept == 1


WELL = LaneState("send", is_alive=True, busy_seconds=None, silent_seconds=1)


def state(*lanes: LaneState, is_stopping: bool = False) -> LoopState:
    return LoopState(lanes, poll_seconds=5, is_stopping=is_stopping)


def test_a_lane_that_works_and_one_that_waits_are_well() -> None:
    busy = LaneState("render", is_alive=True, busy_seconds=170, silent_seconds=170)
    assert state(WELL, busy).unready() == state(WELL, busy).dead() == []


def test_a_lane_whose_claims_are_not_answered_is_alive_and_not_ready() -> None:
    silent = LaneState("push", is_alive=True, busy_seconds=None, silent_seconds=31)
    assert state(WELL, silent).dead() == []
    assert state(WELL, silent).unready() == ["push: no claim answered"]


def test_a_lane_that_ended_or_is_stuck_is_dead() -> None:
    ended = LaneState("send", is_alive=False, busy_seconds=None, silent_seconds=1)
    stuck = LaneState("push", is_alive=True, busy_seconds=VISIBILITY_SECONDS["push"] + 61, silent_seconds=1)
    assert state(WELL, ended, stuck).dead() == ["send: ended", "push: stuck"]


def test_who_stops_is_not_ready_but_alive() -> None:
    ended = LaneState("push", is_alive=False, busy_seconds=None, silent_seconds=1)
    stopping = state(WELL, ended, is_stopping=True)
    assert (stopping.dead(), stopping.unready()) == ([], ["stopping"])
    assert state(WELL, ended).dead() == ["push: ended"]
