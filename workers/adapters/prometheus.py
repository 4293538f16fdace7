"""Metrics in Prometheus' text format, through its own library; no label names a garage or a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from workers.core.errors import QueueUnavailable
from workers.core.jobs import QueueName
from workers.ports import Measured, QueueMetrics

# From a push answered at once to a document that took all the time it has.
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 90, 180)
_LABELS = ("queue", "channel", "provider", "outcome")
# Whoever scrapes more often than this gets the same answer about the queues.
_FRESH_SECONDS = 5.0


class PrometheusMeter:
    """Counts what the loop tells; `queues` is asked how the queues stand when somebody looks."""

    def __init__(self, queues: Callable[[], Sequence[QueueMetrics]], lanes: dict[QueueName, int]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_QueueCollector(queues))
        self._jobs = Counter("autexor_jobs", "Jobs by what became of them", _LABELS, registry=registry)
        self._seconds = Histogram(
            "autexor_job_seconds",
            "From the claim to the record",
            ("queue", "channel", "provider"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._lanes = Gauge("autexor_lanes", "Lanes there are", ("queue",), registry=registry)
        self._busy = Gauge("autexor_lanes_busy", "Lanes with a job", ("queue",), registry=registry)
        self._lost = Counter("autexor_outages", "Failed calls and lost lines", ("part",), registry=registry)
        self._joined = Counter("autexor_reconnects", "Times it worked again", ("part",), registry=registry)
        for queue, count in lanes.items():
            self._lanes.labels(queue).set(count)
            self._busy.labels(queue).set(0)
        for part in ("database", "realtime"):
            self._lost.labels(part)
            self._joined.labels(part)

    def lane(self, queue: QueueName, is_busy: bool) -> None:
        """A lane has taken up a job, or laid it down."""
        self._busy.labels(queue).inc(1 if is_busy else -1)

    def job(self, measured: Measured) -> None:
        """A job was handled."""
        labels = (measured.queue, measured.channel, measured.provider)
        self._jobs.labels(*labels, measured.outcome).inc()
        self._seconds.labels(*labels).observe(measured.seconds)

    def lost(self, part: str) -> None:
        """A call failed, or a line was lost."""
        self._lost.labels(part).inc()

    def joined(self, part: str) -> None:
        """It works (again)."""
        self._joined.labels(part).inc()

    def expose(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)


class _QueueCollector(Collector):
    """Asks the database, at most every few seconds, and says when it does not answer."""

    def __init__(self, queues: Callable[[], Sequence[QueueMetrics]]) -> None:
        self._queues = queues
        self._lock = Lock()
        self._asked_at = -_FRESH_SECONDS
        self._found: Sequence[QueueMetrics] | None = None

    def describe(self) -> list[Metric]:
        """Nothing: or the library would ask the database when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family a number."""
        found = self._ask()
        yield GaugeMetricFamily(
            "autexor_database_up", "Whether the database answered", int(found is not None)
        )
        names = (
            ("depth", "Messages, also those that are to come later"),
            ("ready", "Messages that could be claimed now"),
            ("oldest_seconds", "How long the first of those has waited"),
            ("in_flight", "Messages in a worker's hands, on any machine"),
            ("broken", "Messages that broke and are tried again"),
            ("set_aside", "Messages that were set aside in the last 90 days"),
        )
        for name, meaning in names:
            family = GaugeMetricFamily(f"autexor_queue_{name}", meaning, labels=("queue",))
            for queue in found or ():
                if (value := getattr(queue, name)) is not None:
                    family.add_metric((queue.queue,), float(value))
            yield family

    def _ask(self) -> Sequence[QueueMetrics] | None:
        with self._lock:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                try:
                    self._found = self._queues()
                except QueueUnavailable:
                    self._found = None
                self._asked_at = time.monotonic()
            return self._found
