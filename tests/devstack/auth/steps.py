"""A running Auth service, and what tests do with it again and again."""

import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from supabase_auth import SyncGoTrueClient

from devstack import auth, keys, sandbox
from devstack.config import HOST, GatewayConfig
from devstack.sandbox.store import Store
from devstack.testing import Database

PASSWORD = "correct horse battery"
VERIFIER = "v" * 64
Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A running Auth service with a database of its own."""

    url: str
    keys: keys.Keys
    database: Database
    http: httpx.Client
    inbox: Store = field(repr=False)

    def client(self, key: str | None = None, **options: Any) -> SyncGoTrueClient:
        """The official client; with a key, its token."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return SyncGoTrueClient(
            url=self.url, headers=headers, auto_refresh_token=False, http_client=self.http, **options
        )

    def admin(self) -> Any:
        """The official client's part for administrators."""
        return self.client(self.keys.service_role_key).admin

    def send(
        self, method: str, path: str, body: object = None, token: str = "", **options: Any
    ) -> httpx.Response:
        """A plain request, with that bearer token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        return self.http.request(method, self.url + path, json=body, headers=headers, **options)

    def post(self, path: str, body: object, token: str = "", **options: Any) -> httpx.Response:
        """A plain POST."""
        return self.send("POST", path, body, token, **options)

    def mail(self, address: str) -> Json:
        """What the newest mail to the address holds: type, otp and link."""
        found = [one for one in self.inbox.all() if one["to"][0]["email"] == address]
        assert found, f"no mail for {address}"
        request: Json = found[0]["request"]
        return request

    def mails(self, address: str) -> int:
        """How many mails the address got."""
        return len([one for one in self.inbox.all() if one["to"][0]["email"] == address])

    def user(self, email: str) -> Json:
        """The row in auth.users."""
        with self.database.connect() as conn:
            row = conn.execute("select * from auth.users where email = %s", (email,)).fetchone()
        assert row
        return dict(row)


class serving:
    """The application on a port, in a thread, for as long as the block runs."""

    def __init__(self, config: GatewayConfig, port: int) -> None:
        parts = {"/auth/v1": auth.create_app(config), "": sandbox.create_app(config)}

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                for part in parts.values():
                    await stack.enter_async_context(part.router.lifespan_context(part))
                yield

        mounted = Starlette(routes=[Mount(path, app=part) for path, part in parts.items()], lifespan=lifespan)
        options = uvicorn.Config(mounted, host=HOST, port=port, log_level="warning", ws="none")
        self.server = uvicorn.Server(options)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> Self:
        self.thread.start()
        while not self.server.started and self.thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.server.should_exit = True
        self.thread.join()


def address() -> str:
    """An address nobody has used."""
    return f"{uuid4().hex}@garage-noord.test"


def sign_in(service: Service, email: str, password: str = PASSWORD) -> Json:
    """The answer of a password sign-in."""
    answer = service.post("/token?grant_type=password", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    session: Json = answer.json()
    return session


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error_code"]


def fragment(url: str) -> dict[str, str]:
    """What a redirect carries behind the `#`."""
    return {
        name: values[0] for name, values in parse_qs(urlsplit(url).fragment, keep_blank_values=True).items()
    }


def query(url: str) -> dict[str, str]:
    """What an address carries behind the `?`."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
