import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Provider

ROOT = Path(__file__).parents[2]


def start(url: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "AUTEXOR_ENVIRONMENT": "devstack",
        "AUTEXOR_SUPABASE_URL": url,
        "AUTEXOR_DATABASE_URL": "postgresql://worker:hidden@127.0.0.1:1/postgres",
        "AUTEXOR_SERVICE_ROLE_KEY": "hidden",
        "AUTEXOR_SENDGRID_API_KEY": "hidden",
        "AUTEXOR_SENDGRID_URL": url,
        "AUTEXOR_EXPO_URL": url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_starts_and_stops_cleanly_while_nothing_can_be_reached(
    unused_url: str, number: signal.Signals
) -> None:
    process = start(unused_url)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        process.send_signal(number)
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "worker.started queues=render,send,push" in first
    assert "worker.stopped" in rest
    assert "Traceback" not in rest
    assert "hidden" not in first + rest
    assert process.returncode == 0


@pytest.mark.req("G4")
def test_the_doorbell_does_not_ring_through_a_proxy_of_the_environment(
    proxy: "Provider", unused_url: str
) -> None:
    process = start(unused_url)
    assert process.stderr is not None
    try:
        told = next(line for line in process.stderr if "doorbell.failed" in line)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert "ConnectionRefusedError" in told
    assert not proxy.requests


def test_without_settings_it_says_what_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTEXOR_")}
    done = subprocess.run(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "AUTEXOR_DATABASE_URL" in done.stderr
