import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from workers import lane as lane_module
from workers.adapters.memory import MemoryDoorbell, MemoryQueue
from workers.core.errors import JobSuperseded, QueueUnavailable
from workers.core.jobs import Job
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater, Unknown
from workers.lane import Lane
from workers.loop import Loop
from workers.ports import Ports

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


def worker(queue: MemoryQueue, ports: Ports, handler: Callable[[Job, Ports], Outcome]) -> Lane:
    return Lane("send", queue, ports, 60, threading.Event(), handler)


def test_work_that_waits_at_the_start_is_done_until_the_queue_is_empty(
    ports: "MemoryPorts", send_payload: Payload
) -> None:
    queue = MemoryQueue()
    for _ in range(3):
        queue.put("send", send_payload())
    with running(Loop(queue, ports, MemoryDoorbell(), poll_seconds=60)):
        until(lambda: len(queue.finished) == 3 and queue.housekept)
    assert len(ports.mailer.sent) == 3
    assert queue.housekept == 1


def test_the_doorbell_wakes_the_queue_it_names(ports: "MemoryPorts", send_payload: Payload) -> None:
    queue, bell = MemoryQueue(), MemoryDoorbell()
    with running(Loop(queue, ports, bell, poll_seconds=60)):
        until(lambda: queue.housekept)
        queue.put("send", send_payload())
        bell.ring("send")
        until(lambda: queue.finished)


def test_without_a_doorbell_the_loop_looks_by_itself(ports: "MemoryPorts", send_payload: Payload) -> None:
    queue = MemoryQueue()
    with running(Loop(queue, ports, MemoryDoorbell(), poll_seconds=0.05)):
        until(lambda: queue.housekept)
        queue.put("send", send_payload())
        until(lambda: queue.finished)


def test_a_slow_document_does_not_hold_up_the_mail(
    ports: "MemoryPorts", send_payload: Payload, render_payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, render = threading.Event(), ports.pdf.render
    monkeypatch.setattr(ports.pdf, "render", lambda *args: (release.wait(10), render(*args))[1])
    queue = MemoryQueue()
    queue.put("render", render_payload())
    queue.put("send", send_payload())
    with running(Loop(queue, ports, MemoryDoorbell(), poll_seconds=60)):
        until(lambda: queue.finished)
        assert [name for name, _, _ in queue.finished] == ["send"]
        release.set()
        until(lambda: len(queue.finished) == 2)


def test_stopping_finishes_what_is_held_and_takes_nothing_new(
    ports: "MemoryPorts", render_payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, begun, render = threading.Event(), threading.Event(), ports.pdf.render

    def slowly(*args: Any) -> Any:
        begun.set()
        release.wait(10)
        return render(*args)

    monkeypatch.setattr(ports.pdf, "render", slowly)
    queue = MemoryQueue()
    queue.put("render", render_payload())
    queue.put("render", render_payload())
    loop = Loop(queue, ports, MemoryDoorbell(), poll_seconds=60)
    with running(loop):
        begun.wait(10)
        loop.stop()
        release.set()
    assert [type(outcome) for _, _, outcome in queue.finished] == [Done]
    assert len(queue.waiting["render"]) == 1


def test_a_crash_before_anything_went_out_is_tried_later_under_the_name_of_its_class(
    ports: "MemoryPorts", send_payload: Payload, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(job: Job, ports: Ports) -> Outcome:
        raise ZeroDivisionError("carla@example.test")

    queue = MemoryQueue()
    queue.put("send", send_payload())
    with caplog.at_level(logging.INFO):
        worker(queue, ports, crash).drain()
    ((_, _, outcome),) = queue.finished
    assert outcome == RetryLater("ZeroDivisionError", 0)
    assert "job.crashed" in caplog.text
    assert "test_loop.py:" in caplog.text
    assert "carla" not in caplog.text


@pytest.mark.req("D8", "D9")
def test_a_crash_in_the_midst_of_sending_is_recorded_as_unknown(
    ports: "MemoryPorts", send_payload: Payload
) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    ports.mailer.failure = ZeroDivisionError("carla@example.test")
    worker(queue, ports, lane_module.handle).drain()
    ((_, _, outcome),) = queue.finished
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "ZeroDivisionError"


def test_logs_hold_ids_and_never_people_or_contents(
    ports: "MemoryPorts", send_payload: Payload, caplog: pytest.LogCaptureFixture
) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    with caplog.at_level(logging.DEBUG):
        worker(queue, ports, lane_module.handle).drain()
    assert "job.recorded queue=send subject=99999999-0000-4000-8000-000000000001 attempt=1" in caplog.text
    for word in ("carla", "Carla", "Factuur", "+++"):
        assert word not in caplog.text


def test_a_payload_that_cannot_be_read_is_given_up(ports: "MemoryPorts", send_payload: Payload) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload() | {"locale": "de"})
    queue.put("send", {"kind": "nonsense"})
    worker(queue, ports, lane_module.handle).drain()
    ((_, _, outcome),) = queue.finished
    assert outcome == GiveUp("invalid_payload send_message.locale literal_error")


def test_a_late_finish_is_dropped(
    ports: "MemoryPorts", send_payload: Payload, caplog: pytest.LogCaptureFixture
) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    queue.finish_failures.append(JobSuperseded("job_superseded"))
    with caplog.at_level(logging.INFO):
        worker(queue, ports, lane_module.handle).drain()
    assert not queue.finished
    assert "job.superseded" in caplog.text


def test_an_outcome_is_recorded_once_the_database_is_back(
    ports: "MemoryPorts", send_payload: Payload
) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    queue.finish_failures.extend([QueueUnavailable("08006"), QueueUnavailable("08006")])
    worker(queue, ports, lane_module.handle).drain()
    assert len(queue.finished) == 1
    assert len(ports.mailer.sent) == 1


def test_the_loop_outlives_a_database_that_is_away(ports: "MemoryPorts", send_payload: Payload) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    queue.claim_failures.extend(QueueUnavailable("08006") for _ in range(5))
    with running(Loop(queue, ports, MemoryDoorbell(), poll_seconds=0.05)):
        until(lambda: queue.finished)
