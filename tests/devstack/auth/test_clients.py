"""supabase-js against Auth."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.config import ROOT
from tests.devstack.auth.steps import PASSWORD, Service, address, query


@contextmanager
def _browser(service: Service, email: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        "API_URL": service.url.removesuffix("/auth/v1"),
        "ANON_KEY": service.keys.anon_key,
        "SERVICE_ROLE_KEY": service.keys.service_role_key,
        "EMAIL": email,
        "PASSWORD": PASSWORD,
    }
    with subprocess.Popen(
        ["node", str(Path(__file__).parent / "client.mjs")],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        yield node


def test_supabase_js_finds_what_it_expects(service: Service) -> None:
    email = address()
    with _browser(service, email) as node:
        assert node.stdin and node.stdout
        assert node.stdout.readline().strip() == "mailed"
        location = service.http.get(service.mail(email)["link"]).headers["location"]
        node.stdin.write(query(location)["code"] + "\n")
        node.stdin.flush()
        seen = json.loads(node.stdout.readline())
    with service.database.connect() as conn:
        counted = conn.execute("select count(*) as n from auth.users where not is_anonymous").fetchone()
    assert counted
    assert seen == {
        "confirmed": False,
        "email": email,
        "refreshed": True,
        "claims": email,
        "metadata": 2,
        "same": "same_password",
        "weak": ["AuthWeakPasswordError", ["length"]],
        "listed": [1, counted["n"]],
        "verified": email,
        "signedOut": True,
        "anonymous": True,
    }
