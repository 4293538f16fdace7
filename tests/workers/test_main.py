import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_starts_and_stops_cleanly_while_nothing_can_be_reached(
    unused_url: str, number: signal.Signals
) -> None:
    environment = {
        **os.environ,
        "AUTEXOR_ENVIRONMENT": "devstack",
        "AUTEXOR_SUPABASE_URL": unused_url,
        "AUTEXOR_DATABASE_URL": "postgresql://worker:hidden@127.0.0.1:1/postgres",
        "AUTEXOR_SERVICE_ROLE_KEY": "hidden",
        "AUTEXOR_SENDGRID_API_KEY": "hidden",
        "AUTEXOR_SENDGRID_URL": unused_url,
        "AUTEXOR_EXPO_URL": unused_url,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
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


def test_without_settings_it_says_what_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTEXOR_")}
    done = subprocess.run(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "AUTEXOR_DATABASE_URL" in done.stderr
