"""The edge as a process of its own over the real SQL. The clock is moved by moving the rows' times."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.config import ROOT, free_port
from devstack.keys import PORTAL_PEPPER, generate
from devstack.testing import Database
from sql_tests.cast import OLGA
from sql_tests.signing import SendGridSigner

READY_SECONDS = 20
PUBLIC_URL = "http://127.0.0.1:9/functions/v1"
NUMBERS = count(1)
PLATFORM = SendGridSigner()
PASSWORD = "vier-paarden-in-mei"
ADDRESSES = (f"198.51.100.{number}" for number in count(1))
NOORD = "11111111-0000-4000-8000-000000000001"
ZUID = "11111111-0000-4000-8000-000000000002"
CARLA = {
    "garage_id": NOORD,
    "email": "carla@example.test",
    "password": "Carla-wacht-2026!",
    "pin": "481516",
    "device_id": "carla-phone-noord",
    "fingerprint": "fp-carla",
}
KAREL = {
    "garage_id": NOORD,
    "email": "karel@example.test",
    "password": "Karel-wacht-2026!",
    "pin": "234299",
    "device_id": "karel-phone-noord",
    "fingerprint": "fp-karel",
}


@dataclass
class Portal:
    """The edge as one client address sees it, and the database behind it."""

    http: httpx.Client
    database: Database
    address: str
    log: Path
    public_url: str = PUBLIC_URL
    sendgrid: SendGridSigner = PLATFORM

    def post(
        self, path: str, body: dict[str, Any], token: str | None = None, proof: str | None = None
    ) -> httpx.Response:
        headers = {"x-forwarded-for": self.address}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"dpop": proof} if proof else {}
        return self.http.post(f"/portal/{path}", json=body, headers=headers)

    def address_of(self, path: str) -> str:
        """Where apps believe this path to be; proofs name it."""
        return f"{PUBLIC_URL}/portal/{path}"

    def mailed(self, template: str, recipient: str) -> str:
        """The token of the newest mail of this kind that waits for a worker, once it is there."""
        query = (
            "select m.token from private.portal_mails m join public.communications c"
            " on c.garage_id = m.garage_id and c.id = m.communication_id"
            " where c.template = %s and c.recipient = %s and m.token is not null order by c.created_at desc"
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if rows := self.sql(query, template, recipient):
                return str(rows[0]["token"])
            time.sleep(0.02)
        raise AssertionError(f"no {template} to {recipient}")

    def noticed(self, recipient: str) -> list[str]:
        """What notices of changes say to an address."""
        rows = self.sql(
            "select m.event from private.portal_mails m join public.communications c"
            " on c.garage_id = m.garage_id and c.id = m.communication_id"
            " where c.template = 'portal_notice' and c.recipient = %s order by c.created_at",
            recipient,
        )
        return [row["event"] for row in rows]

    def login(self, who: dict[str, str], **changes: str) -> httpx.Response:
        return self.post("login", who | changes)

    def tokens(self, who: dict[str, str]) -> dict[str, Any]:
        answer = self.login(who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refresh(self, token: str, who: dict[str, str], **changes: str) -> httpx.Response:
        device = {name: who[name] for name in ("device_id", "fingerprint")}
        return self.post("refresh", {"refresh_token": token, **device, **changes})

    def sql(self, statement: str, *values: object) -> list[Any]:
        with self.database.connect() as connection:
            cursor = connection.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture
def carla() -> dict[str, str]:
    return dict(CARLA)


@pytest.fixture
def carla_at_zuid() -> dict[str, str]:
    return CARLA | {"garage_id": ZUID, "device_id": "carla-phone-zuid"}


@pytest.fixture
def karel() -> dict[str, str]:
    return dict(KAREL)


@dataclass
class Newcomer:
    """A customer who was invited; `person` is what they will sign in with."""

    customer_id: str
    token: str
    person: dict[str, str]

    def activation(self, **changes: Any) -> dict[str, Any]:
        chosen = {name: self.person[name] for name in ("password", "pin", "device_id", "fingerprint")}
        return {"token": self.token, **chosen, **changes}


@pytest.fixture
def invite(portal: Portal) -> Callable[[], Newcomer]:
    """Olga invites a new customer; the token is what the mail that waits holds."""

    def make() -> Newcomer:
        name = f"newcomer{next(NUMBERS)}"
        email = f"{name}@example.test"
        with OLGA.acting(portal.database) as connection:
            row = connection.execute(
                "insert into public.customers (garage_id, full_name, email) values (%s, 'Nele Nieuw', %s)"
                " returning id",
                (NOORD, email),
            ).fetchone()
            assert row is not None
            connection.execute("select public.invite_customer(%s)", (row["id"],))
            connection.commit()
        person = {
            "garage_id": NOORD,
            "email": email,
            "password": PASSWORD,
            "pin": "270951",
            "device_id": f"{name}-phone",
            "fingerprint": f"fp-{name}",
        }
        return Newcomer(str(row["id"]), portal.mailed("portal_invited", email), person)

    return make


@pytest.fixture
def member(portal: Portal, invite: Callable[[], Newcomer]) -> tuple[dict[str, str], dict[str, Any]]:
    """A customer of their own for one test: what they sign in with, and the tokens of the activation."""
    newcomer = invite()
    answer = portal.post("activate", newcomer.activation())
    assert answer.status_code == 200, answer.text
    return newcomer.person, answer.json()


@pytest.fixture(scope="module")
def edge_process(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.URL, Path]]:
    port = free_port()
    log = tmp_path_factory.mktemp("edge") / "edge.log"
    command = [sys.executable, "-m", "workers", "edge"]
    environment = settings_of(database, port)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/ready", log)
            yield httpx.URL(f"http://127.0.0.1:{port}"), log
        finally:
            process.terminate()
            process.wait(15)


def settings_of(database: Database, port: int) -> dict[str, str]:
    keys = generate()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTEXOR_")}
    return inherited | {
        "AUTEXOR_ENVIRONMENT": "devstack",
        "AUTEXOR_EDGE_DATABASE_URL": database.conninfo("edge"),
        "AUTEXOR_SUPABASE_URL": "http://127.0.0.1:9",
        "AUTEXOR_ANON_KEY": keys.anon_key,
        "AUTEXOR_PORTAL_SIGNING_KEYS": json.dumps({"keys": list(keys.portal_keys)}),
        "AUTEXOR_PORTAL_PEPPER": PORTAL_PEPPER,
        "AUTEXOR_EDGE_PORT": str(port),
        "AUTEXOR_SENDGRID_WEBHOOK_KEY": PLATFORM.public_key,
        "AUTEXOR_TRUSTED_PROXIES": "127.0.0.1",
    }


def wait_until_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the edge did not become ready:\n{log.read_text()}")


@pytest.fixture
def portal(edge_process: tuple[httpx.URL, Path], database: Database) -> Iterator[Portal]:
    """The edge, from an address of this test's own, with no counter raised yet."""
    url, log = edge_process
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        portal = Portal(http, database, next(ADDRESSES), log)
        portal.sql("delete from private.rate_limits")
        yield portal
