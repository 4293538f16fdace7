"""Does the time of an answer tell who exists? And what does a flood of sign-ins cost the others?

    .venv/bin/python -m benchmarks.login_timing [--tries 400] [--seconds 15]

The first part asks the edge, in random order, for sign-ins that are wrong, unknown, locked or not invited
(and likewise for a forgotten password and a device's code), and prints for every two of them the AUC: how
well one time tells them apart (0.5: not at all). The second part signs in as fast as the edge allows and
times a read through PostgREST meanwhile.
"""

import argparse
import itertools
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import psycopg

from devstack.config import Settings, free_port
from devstack.stack import running

NOORD = "11111111-0000-4000-8000-000000000001"
CARLA = {
    "garage_id": NOORD,
    "email": "carla@example.test",
    "password": "Carla-wacht-2026!",
    "pin": "481516",
    "device_id": "carla-phone-noord",
    "fingerprint": "fp-carla",
}
KAREL = CARLA | {
    "email": "karel@example.test",
    "password": "Karel-wacht-2026!",
    "pin": "234299",
    "device_id": "karel-phone-noord",
    "fingerprint": "fp-karel",
}
STRANGER = {"device_id": "another-phone", "fingerprint": "fp-another"}
WRONG = {"password": "Carla-wacht-2027!", "pin": "735190"}
ASKED = {name: CARLA[name] for name in ("garage_id", "email", "password")} | STRANGER
# Per address the cases that must not be told apart, and the status they all get.
QUESTIONS: dict[str, tuple[int, dict[str, dict[str, str]]]] = {
    "login": (
        401,
        {
            "wrong password and PIN": CARLA | WRONG,
            "wrong, on a strange device": CARLA | WRONG | STRANGER,
            "locked": KAREL,
            "unknown": CARLA | WRONG | STRANGER | {"email": "nobody@example.test"},
            "known to the garage, not invited": CARLA
            | WRONG
            | STRANGER
            | {"email": "uninvited@example.test"},
        },
    ),
    "password/forgot": (
        202,
        {
            "known": {"garage_id": NOORD, "email": CARLA["email"]},
            "unknown": {"garage_id": NOORD, "email": "nobody@example.test"},
        },
    ),
    "devices/request": (
        202,
        {
            "right password": ASKED,
            "wrong password": ASKED | {"password": WRONG["password"]},
            "unknown": ASKED | {"email": "nobody@example.test"},
        },
    ),
}
UNINVITED = "insert into public.customers (garage_id, full_name, email) values (%s, 'Ursula', %s)"
# A settlement may be under way still: what it holds is left for the next time.
UNLOCK = """
delete from private.rate_limits where key in (
    select key from private.rate_limits where key <> %s for update skip locked)
"""
LOCK = "select (private.login_keys(%s, %s, %s, null))[1]"
KARELS_PHONE = "66666666-0000-4000-8000-000000000002"


def auc(first: list[float], second: list[float]) -> float:
    """The chance that a time of the first kind is longer than one of the second."""
    wins = sum((a > b) + (a == b) / 2 for a in first for b in second)
    return wins / (len(first) * len(second))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(edge: httpx.Client, database: str, path: str, tries: int) -> dict[str, list[float]]:
    """Seconds per answer of every case, each from an address of its own."""
    status, cases = QUESTIONS[path]
    times: dict[str, list[float]] = {name: [] for name in cases}
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(6):
            edge.post("/portal/login", json=KAREL | WRONG)
        row = connection.execute(LOCK, (NOORD, KAREL["email"], KARELS_PHONE)).fetchone()
        assert row is not None
        for number in range(tries):
            for name in random.sample(list(cases), len(cases)):
                address = f"10.{number % 200}.{random.randrange(250)}.{random.randrange(250)}"
                headers = {"x-forwarded-for": address}
                started = time.perf_counter()
                answer = edge.post(f"/portal/{path}", json=cases[name], headers=headers)
                times[name].append(time.perf_counter() - started)
                assert answer.status_code == status, (name, answer.text)
                connection.execute(UNLOCK, (row[0],))
    return times


def report(path: str, times: dict[str, list[float]]) -> None:
    print(path)
    for name, seconds in times.items():
        spread = statistics.quantiles(seconds, n=20)
        low, middle, high = (1000 * value for value in (spread[0], statistics.median(seconds), spread[-1]))
        print(f"  {name:34} median {middle:6.1f} ms, 5 to 95 %: {low:.1f} to {high:.1f}")
    for one, other in itertools.combinations(times, 2):
        print(f"  AUC {auc(times[one], times[other]):.3f}  {one} / {other}")


def flood(edge: httpx.Client, seconds: float) -> Callable[[], tuple[int, int]]:
    """Sign in from 16 threads; returns how often it was hashed and answered, and how often it was too busy.

    One device has five tries at a time, so some of them are refused: that costs the same.
    """

    def one(ends: float) -> tuple[int, int]:
        done = busy = 0
        while time.monotonic() < ends:
            status = edge.post("/portal/login", json=CARLA).status_code
            done, busy = done + (status in (200, 401)), busy + (status == 503)
        return done, busy

    def all_of_them() -> tuple[int, int]:
        with ThreadPoolExecutor(16) as pool:
            counts = list(pool.map(one, [time.monotonic() + seconds] * 16))
        return sum(done for done, _ in counts), sum(busy for _, busy in counts)

    return all_of_them


def read_until(api: httpx.Client, token: str, stop: Event) -> list[float]:
    """Seconds per read of a profile through PostgREST."""
    headers = {"authorization": f"Bearer {token}", "accept-profile": "portal"}
    times: list[float] = []
    while not stop.wait(0.02):
        times.append(timed(lambda: api.get("/rest/v1/profile", headers=headers).raise_for_status()))
    return times


def measure_flood(edge: httpx.Client, api: httpx.Client, seconds: float) -> None:
    token = edge.post("/portal/login", json=KAREL).raise_for_status().json()["access_token"]
    with ThreadPoolExecutor(1) as pool:
        for name, load in [
            ("alone", lambda: time.sleep(seconds) or (0, 0)),
            ("in a flood", flood(edge, seconds)),
        ]:
            stop = Event()
            reading = pool.submit(read_until, api, token, stop)
            done, busy = load()
            stop.set()
            times = reading.result()
            spread = statistics.quantiles(times, n=20)
            print(
                f"{name}: {done / seconds:.1f} sign-ins/s, {busy} times too busy; a read takes"
                f" {statistics.median(times) * 1000:.1f} ms, 95 % under {spread[-1] * 1000:.1f} ms"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=15)
    chosen = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="autexor login "))
    scratch.chmod(0o755)
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    try:
        with running(Settings(data_dir=scratch / "stack", port=free_port()), has_worker=False) as stack:
            env = stack.environment()
            edge_url = f"http://127.0.0.1:{env['AUTEXOR_EDGE_PORT']}"
            key = {"apikey": env["ANON_KEY"]}
            with (
                httpx.Client(base_url=edge_url, timeout=60, trust_env=False) as edge,
                httpx.Client(base_url=env["API_URL"], headers=key, timeout=60, trust_env=False) as api,
            ):
                with psycopg.connect(env["DB_URL"]) as connection:
                    connection.execute(UNINVITED, (NOORD, "uninvited@example.test"))
                for path in QUESTIONS:
                    report(path, measure(edge, env["DB_URL"], path, chosen.tries))
                with psycopg.connect(env["DB_URL"]) as connection:
                    connection.execute("delete from private.rate_limits")
                measure_flood(edge, api, chosen.seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
