"""`sb_publishable_…` and `sb_secret_…` keys: the gateway puts the JWT of their role in their place."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from realtime import AsyncRealtimeClient
from starlette.types import Receive, Scope, Send
from supabase import create_client
from supabase.lib.client_options import SyncClientOptions
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from devstack import keys
from devstack.api_keys import IN_BROWSER, INVALID, ApiKeys
from devstack.config import ROOT
from devstack.stack import Stack

OLGA = {"email": "olga@garage-noord.test", "password": "autexor-demo"}
KEYS = keys.generate()
PUBLISHABLE, SECRET = KEYS.publishable_key, KEYS.secret_key
UNKNOWN = "sb_publishable_nobody0000000000000000_00000000"


def seen(headers: dict[str, str], query: str = "", kind: str = "http") -> Scope:
    """What a service behind the gateway is shown, or the refusal as `status` and `body`."""
    found: Scope = {}

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        found.update(scope)

    async def send(message: Any) -> None:
        if message["type"].endswith("response.start"):
            found["status"] = message["status"]
        else:
            found["body"] = json.loads(message["body"])

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "headers": raw, "query_string": query.encode(), "extensions": {}}
    if kind == "websocket":
        scope["extensions"] = {"websocket.http.response": {}}
    asyncio.run(ApiKeys(service, KEYS)(scope, None, send))  # type: ignore[arg-type]
    return found


def authorization(headers: dict[str, str]) -> str | None:
    return {name.decode(): value.decode() for name, value in seen(headers)["headers"]}.get("authorization")


@pytest.mark.parametrize(
    ("key", "token"),
    [(PUBLISHABLE, KEYS.anon_key), (SECRET, KEYS.service_role_key)],
    ids=["public", "secret"],
)
def test_a_key_alone_or_repeated_becomes_the_token_of_its_role(key: str, token: str) -> None:
    assert authorization({"apikey": key}) == f"Bearer {token}"
    assert authorization({"apikey": key, "Authorization": f"Bearer {key}"}) == f"Bearer {token}"


def test_a_users_token_stays_and_so_does_a_key_that_is_another_one() -> None:
    assert authorization({"apikey": PUBLISHABLE, "Authorization": "Bearer eyJ.a.b"}) == "Bearer eyJ.a.b"
    other = {"apikey": PUBLISHABLE, "Authorization": f"Bearer {SECRET}"}
    assert authorization(other) == f"Bearer {SECRET}"


def test_jwt_keys_and_requests_without_a_key_pass_untouched() -> None:
    assert seen({"apikey": KEYS.anon_key})["headers"] == [(b"apikey", KEYS.anon_key.encode())]
    assert seen({}, "select=id&a=")["query_string"] == b"select=id&a="


def test_an_unknown_key_is_refused_in_the_hosted_gateways_words() -> None:
    refusal = seen({"apikey": UNKNOWN})
    assert (refusal["status"], refusal["body"]) == (401, INVALID)


def test_a_secret_key_is_refused_to_browsers_and_a_publishable_one_is_not() -> None:
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    refusal = seen({**browser, "apikey": SECRET})
    assert (refusal["status"], refusal["body"]) == (401, IN_BROWSER)
    assert "status" not in seen({**browser, "apikey": PUBLISHABLE})


def test_a_sockets_key_is_in_its_address() -> None:
    socket = seen({}, f"apikey={PUBLISHABLE}&vsn=1.0.0", "websocket")
    assert socket["query_string"] == f"apikey={KEYS.anon_key}&vsn=1.0.0".encode()
    assert seen({}, f"apikey={UNKNOWN}", "websocket")["status"] == 401


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The '.*' parameter is deprecated:DeprecationWarning")
def test_the_official_python_client_works_with_both_keys(stack: Stack, http: httpx.Client) -> None:
    environment = stack.environment()

    def client(name: str) -> Any:
        options = SyncClientOptions(httpx_client=http, auto_refresh_token=False)
        return create_client(environment["API_URL"], environment[name], options)

    secret, public = client("SECRET_KEY"), client("PUBLISHABLE_KEY")
    assert "invoices" in {bucket.id for bucket in secret.storage.list_buckets()}
    assert public.storage.list_buckets() == []
    assert secret.auth.admin.list_users()
    with pytest.raises(Exception, match="permission denied"):
        public.table("garages").select("id").execute()
    public.auth.sign_in_with_password(OLGA)
    assert len(public.table("garages").select("id").execute().data) == 1
    public.auth.sign_out()


@pytest.mark.slow
def test_the_official_javascript_client_works_with_both_keys(stack: Stack, tmp_path: Path) -> None:
    script = tmp_path / "keys.mjs"
    script.write_text(JAVASCRIPT.replace("ROOT", str(ROOT)))
    environment = {**stack.environment(), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(["node", str(script)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert "invoices" in answers.pop("secret")
    assert answers == {
        "refused": "42501",
        "olga": 1,
        "realtime": "SUBSCRIBED",
        "unknown": INVALID,
    }


def test_a_realtime_client_connects_with_a_publishable_key(stack: Stack) -> None:
    environment = stack.environment()
    joined = asyncio.run(_join(environment["API_URL"], environment["PUBLISHABLE_KEY"]))
    assert joined == "SUBSCRIBED"


def test_a_socket_with_an_unknown_key_is_refused(stack: Stack) -> None:
    url = stack.api_url.replace("http", "ws") + f"/realtime/v1/websocket?apikey={UNKNOWN}"

    async def attempt() -> int:
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(url):
                pass
        return refusal.value.response.status_code

    assert asyncio.run(attempt()) == 401


async def _join(api_url: str, key: str) -> str:
    client = AsyncRealtimeClient(f"{api_url.replace('http', 'ws')}/realtime/v1", key, auto_reconnect=False)
    await client.connect()
    state: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    channel = client.channel("room")
    await channel.subscribe(lambda status, _: None if state.done() else state.set_result(status.value))
    try:
        return await asyncio.wait_for(state, 10)
    finally:
        await client.close()


JAVASCRIPT = """
import { createRequire } from "node:module";
const require = createRequire("ROOT/package.json");
const { createClient } = require("@supabase/supabase-js");
const { API_URL, SECRET_KEY, PUBLISHABLE_KEY } = process.env;
const client = (key) =>
  createClient(API_URL, key, { auth: { persistSession: false }, realtime: { transport: require("ws") } });
const garages = async (one) => one.from("garages").select("id");

const secret = await client(SECRET_KEY).storage.listBuckets();
const visitor = client(PUBLISHABLE_KEY);
const refused = await garages(visitor);
await visitor.auth.signInWithPassword({ email: "olga@garage-noord.test", password: "autexor-demo" });
const olga = await garages(visitor);
const realtime = await new Promise((resolve) => visitor.channel("room").subscribe(resolve));
await visitor.removeAllChannels();
const unknown = await garages(client("sb_publishable_nobody0000000000000000_00000000"));
console.log(JSON.stringify({
  secret: secret.data?.map((bucket) => bucket.id), refused: refused.error?.code,
  olga: olga.data?.length, realtime,
  unknown: unknown.error && { message: unknown.error.message, hint: unknown.error.hint },
}));
process.exit(0);
"""
