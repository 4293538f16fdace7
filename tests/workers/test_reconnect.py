"""Workers and a PostgreSQL that is killed and comes back: nothing held is lost, nothing is done twice."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstack.config import free_port
from devstack.postgres import Cluster
from devstack.testing import Database, migrated_template
from sql_tests.cast import CARLA, RITA
from sql_tests.steps import issued_invoice
from workers.adapters.memory import MemoryDoorbell, MemoryMeter
from workers.adapters.postgres import PostgresQueue
from workers.loop import Loop

if TYPE_CHECKING:
    from conftest import MemoryPorts

SETTLED = "select (select count(*) from public.communications where status = 'sent') as sent"


@dataclass
class Server:
    """A PostgreSQL of one's own, to be killed."""

    cluster: Cluster
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def start(self) -> None:
        self.process = self.cluster.start()


@pytest.fixture
def server(scratch: Path) -> Iterator[Server]:
    cluster = Cluster.at(scratch / "killed", free_port(), scratch / "killed.log")
    cluster.init()
    server = Server(cluster, cluster.start())
    yield server
    cluster.stop(server.process)
    cluster.destroy()


@pytest.fixture
def database(server: Server) -> Database:
    return Database(server.cluster, migrated_template(server.cluster))


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.req("D8", "D9")
def test_a_killed_database_costs_neither_the_mail_under_way_nor_the_lanes(
    server: Server, database: Database, ports: "MemoryPorts", monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release, send = threading.Event(), threading.Event(), ports.mailer.send

    def slowly(*args: Any) -> Any:
        begun.set()
        release.wait(60)
        return send(*args)

    monkeypatch.setattr(ports.mailer, "send", slowly)
    meter = MemoryMeter()
    queue = PostgresQueue(database.conninfo("worker"), lanes=3)
    queue.open()
    loop = Loop(queue, ports, MemoryDoorbell(), 0.2, meter=meter)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        issued_invoice(database, RITA, CARLA)
        assert begun.wait(30)
        server.kill()
        release.set()
        until(lambda: "database" in meter.losses)
        assert loop.state().dead() == []
        server.start()
        until(lambda: [job.outcome for job in meter.jobs if job.queue == "send"] == ["done"])
        issued_invoice(database, RITA, CARLA)
        until(lambda: len(ports.mailer.sent) == 2)
        until(lambda: loop.state().unready() == [])
        until(lambda: "database" in meter.joins)
    finally:
        loop.stop()
        thread.join(60)
        queue.close()
    assert not thread.is_alive()
    with database.connect() as connection:
        assert connection.execute(SETTLED).fetchone() == {"sent": 2}
