"""The health endpoint and the metrics, over real HTTP."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from workers.adapters.memory import MemoryQueue
from workers.adapters.prometheus import PrometheusMeter
from workers.core.errors import PortTaken, QueueUnavailable
from workers.health import HealthServer
from workers.loop import LaneState, LoopState
from workers.ports import Measured, QueueMetrics

ROOT = Path(__file__).parents[2]
WELL = LaneState("send", is_alive=True, busy_seconds=None, silent_seconds=1)
SILENT = LaneState("send", is_alive=True, busy_seconds=None, silent_seconds=3600)
ENDED = LaneState("send", is_alive=False, busy_seconds=None, silent_seconds=1)


class Watched:
    """A health server whose lanes a test chooses."""

    def __init__(self) -> None:
        self.lanes: tuple[LaneState, ...] = (WELL,)
        self.queues: list[QueueMetrics] = [QueueMetrics("send", 7, 5, 12.5, 2, 1, 3)]
        self.meter = PrometheusMeter(lambda: self.ask(), {"send": 4, "push": 2})
        self.server = HealthServer("127.0.0.1", 0, self.state, self.meter.expose)
        self.asked = 0
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def state(self) -> LoopState:
        return LoopState(self.lanes, poll_seconds=5, is_stopping=False)

    def ask(self) -> list[QueueMetrics]:
        self.asked += 1
        if not self.queues:
            raise QueueUnavailable("08006")
        return self.queues

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False)

    def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in sorted(sample.labels))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.server.stop()


def test_health_says_ok_and_otherwise_what_is_wrong(watched: Watched) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = watched.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "problems": []})
    watched.lanes = (WELL, SILENT)
    assert watched.get("/health/live").status_code == 200
    answer = watched.get("/health/ready?verbose")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["send: no claim answered"])
    watched.lanes = (ENDED,)
    assert watched.get("/health/live").status_code == 503
    assert watched.get("/").status_code == watched.get("/metrics/../etc").status_code == 404
    assert httpx.post(watched.url + "/metrics", trust_env=False).status_code == 501


def test_the_metrics_tell_of_queues_jobs_and_lanes(watched: Watched) -> None:
    watched.meter.lane("send", True)
    watched.meter.job(Measured("send", "email", "sendgrid", "done", 0.3))
    watched.meter.job(Measured("send", "email", "sendgrid", "retry", 0.02))
    watched.meter.lost("realtime")
    watched.meter.joined("realtime")
    found = watched.samples()
    assert found["autexor_queue_depth"] == {("send",): 7}
    assert found["autexor_queue_oldest_seconds"] == {("send",): 12.5}
    assert found["autexor_queue_in_flight"] == {("send",): 2}
    assert found["autexor_queue_set_aside"] == {("send",): 3}
    assert found["autexor_jobs_total"] == {
        ("email", "done", "sendgrid", "send"): 1,
        ("email", "retry", "sendgrid", "send"): 1,
    }
    assert found["autexor_job_seconds_count"] == {("email", "sendgrid", "send"): 2}
    assert found["autexor_lanes"] == {("send",): 4, ("push",): 2}
    assert found["autexor_lanes_busy"] == {("send",): 1, ("push",): 0}
    assert found["autexor_outages_total"] == {("database",): 0, ("realtime",): 1}
    assert found["autexor_reconnects_total"] == {("database",): 0, ("realtime",): 1}
    assert found["autexor_database_up"] == {(): 1}
    assert found["process_resident_memory_bytes"][()] > 0


def test_metrics_come_also_while_the_database_is_away(watched: Watched) -> None:
    watched.queues = []
    found = watched.samples()
    assert found["autexor_database_up"] == {(): 0}
    assert "autexor_queue_depth" not in found
    assert "autexor_lanes" in found


def test_whoever_scrapes_often_does_not_ask_the_database_as_often(watched: Watched) -> None:
    for _ in range(20):
        assert watched.get("/metrics").status_code == 200
    assert watched.asked == 1


def test_a_queue_whose_messages_in_flight_nobody_counts_has_no_such_sample(watched: Watched) -> None:
    watched.queues = [QueueMetrics("check", 1, 1, 0.0, None, 0, 0)]
    found = watched.samples()
    assert found["autexor_queue_depth"] == {("check",): 1}
    assert "autexor_queue_in_flight" not in found


@pytest.mark.req("D1")
def test_no_label_can_name_a_garage_or_a_person(watched: Watched) -> None:
    families = text_string_to_metric_families(watched.get("/metrics").text)
    labels = {name for family in families for sample in family.samples for name in sample.labels}
    assert {"queue"} <= labels <= {"queue", "channel", "provider", "outcome", "part", "le"}


def test_it_does_not_say_which_program_it_is(watched: Watched) -> None:
    assert "python" not in str(watched.get("/health/live").headers).lower()


def test_clients_that_dawdle_hold_up_nobody(watched: Watched) -> None:
    with socket.create_connection(("127.0.0.1", watched.server.port)) as dawdler:
        dawdler.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert watched.get("/health/live").status_code == 200


def test_a_taken_port_ends_the_worker_with_a_word(watched: Watched, unused_url: str) -> None:
    with pytest.raises(PortTaken):
        HealthServer("127.0.0.1", watched.server.port, watched.state, watched.meter.expose)
    environment = {
        "AUTEXOR_ENVIRONMENT": "devstack",
        "AUTEXOR_SUPABASE_URL": unused_url,
        "AUTEXOR_DATABASE_URL": "postgresql://worker:hidden@127.0.0.1:1/postgres",
        "AUTEXOR_SERVICE_ROLE_KEY": "hidden",
        "AUTEXOR_SENDGRID_API_KEY": "hidden",
        "AUTEXOR_SENDGRID_URL": unused_url,
        "AUTEXOR_EXPO_URL": unused_url,
        "AUTEXOR_HEALTH_PORT": str(watched.server.port),
    }
    done = subprocess.run(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "AUTEXOR_HEALTH_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_the_queue_of_memory_can_be_measured(send_payload: Callable[..., dict[str, object]]) -> None:
    queue = MemoryQueue()
    queue.put("send", send_payload())
    assert [(found.queue, found.depth) for found in queue.metrics()] == [("send", 1)]
