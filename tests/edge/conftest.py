"""The edge without its outside: real routes, hashing and tokens over answers that a test chooses."""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from workers.adapters.memory import MemoryPdf
from workers.edge.account_database import AccountDatabase
from workers.edge.app import assemble
from workers.edge.database import Database
from workers.edge.documents import Documents
from workers.edge.endpoints import Admission, Edge
from workers.edge.keys import SigningKey, SigningKeys
from workers.edge.opt_out_database import OptOuts
from workers.edge.proofs import Proofs
from workers.edge.secrets import SecretVerifier, hash_secret
from workers.edge.storage import StorageSigner
from workers.edge.tokens import RefreshTokens, TokenSigner
from workers.edge.webhooks_database import WebhookDatabase, Webhooks

PEPPER = b"a pepper of the tests, 32 bytes!"
PASSWORD = "Carla-wacht-2026!"
PIN = "481516"
GARAGE = "11111111-0000-4000-8000-000000000001"
ACCOUNT = "55555555-0000-4000-8000-000000000001"
SESSION = {
    "session_id": "77777777-0000-4000-8000-000000000001",
    "account_id": ACCOUNT,
    "garage_id": GARAGE,
    "idle_seconds": 1800,
    "expires_at": "2026-11-23T10:00:00+00:00",
}

ANSWERS: dict[str, Any] = {
    "portal_login_finish": lambda given: SESSION if given["is_ok"] else {},
    "portal_refresh": SESSION,
    "portal_logout": {"session_id": None},
    "portal_take_proof": {"is_new": True},
    "portal_rehash": {"is_done": True},
    "portal_grant_document": {
        "bucket": "invoices",
        "path": f"{GARAGE}/i/d.pdf",
        "filename": "2026-00001.pdf",
    },
}


class ScriptedCalls:
    """Stands for the database: answers by function name, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.calls: list[tuple[str, dict[str, object]]] = []

    async def call(self, function: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        self.calls.append((function, dict(arguments)))
        answer = self.answers[function]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(arguments) if callable(answer) else answer)

    async def ping(self) -> None:
        if isinstance(self.answers.get("ping"), Exception):
            raise self.answers["ping"]

    def arguments_of(self, function: str) -> dict[str, object]:
        return next(arguments for name, arguments in self.calls if name == function)


@dataclass
class EdgeUnderTest:
    edge: Edge
    calls: ScriptedCalls
    storage_requests: list[httpx.Request] = field(default_factory=list)
    peer: str = "192.0.2.1"

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        app = assemble(self.edge, ("*",))
        transport = httpx.ASGITransport(app=app, client=(self.peer, 1234), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            return await client.request(method, path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.send(method, path, **options))

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **options)


class AppKey:
    """A key that an app made on its device, and the proofs it signs (RFC 9449)."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        private: dict[str, str] = ECAlgorithm.to_jwk(self.private, as_dict=True)
        self.jwk = {name: private[name] for name in ("kty", "crv", "x", "y")}
        self.secret_jwk = private

    @property
    def thumbprint(self) -> str:
        members = json.dumps({name: self.jwk[name] for name in sorted(self.jwk)}, separators=(",", ":"))
        return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()

    def proof(self, url: str, *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A proof for one POST to `url`; claims that are None are left out."""
        good = {"htm": "POST", "htu": url, "iat": int(time.time()), "jti": str(uuid4())}
        said = {name: value for name, value in (good | claims).items() if value is not None}
        headers = {"typ": "dpop+jwt", "jwk": self.jwk, **(header or {})}
        return jwt.encode(said, self.private, algorithm="ES256", headers=headers)

    def ath(self, token: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def app_key() -> AppKey:
    return AppKey()


@pytest.fixture
def another_key() -> AppKey:
    return AppKey()


def make_key(kid: str) -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    jwk: dict[str, Any] = ECAlgorithm.to_jwk(private, as_dict=True)
    return SigningKey.model_validate({**jwk, "kid": kid})


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return make_key("first")


@pytest.fixture(scope="session")
def stored_secrets() -> tuple[str, str]:
    return hash_secret(PEPPER, PASSWORD), hash_secret(PEPPER, PIN)


@pytest.fixture
def login_body() -> dict[str, str]:
    return {
        "garage_id": GARAGE,
        "email": "carla@example.test",
        "password": PASSWORD,
        "pin": PIN,
        "device_id": "carla-phone-noord",
        "fingerprint": "fp-carla",
    }


@pytest.fixture
def reserve(stored_secrets: tuple[str, str]) -> Callable[..., dict[str, Any]]:
    """What `portal_login_reserve` says of Carla on her phone; change a part to make it someone else."""

    def build(**changes: Any) -> dict[str, Any]:
        answer = {
            "attempt_id": str(uuid4()),
            "is_allowed": True,
            "retry_after_seconds": 0,
            "password_hash": stored_secrets[0],
            "pin_hash": stored_secrets[1],
        }
        return answer | changes

    return build


@pytest.fixture
def make_edge(
    signing_key: SigningKey, reserve: Callable[..., dict[str, Any]]
) -> Callable[..., EdgeUnderTest]:
    def build(
        *,
        storage: Callable[[httpx.Request], httpx.Response] | None = None,
        trusted: tuple[str, ...] = (),
        logins: int = 32,
        peppers: Mapping[str, bytes] | None = None,
        sendgrid_webhook_key: str | None = None,
        **answers: Any,
    ) -> EdgeUnderTest:
        calls = ScriptedCalls({"portal_login_reserve": reserve(), **ANSWERS, **answers})
        seen: list[httpx.Request] = []

        def answer_storage(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            if storage is not None:
                return storage(request)
            path = request.url.path.removeprefix("/storage/v1")
            return httpx.Response(200, json={"signedURL": f"{path}?token={secrets.token_hex()}"})

        http = httpx.AsyncClient(transport=httpx.MockTransport(answer_storage))
        accounts = AccountDatabase(calls)
        edge = Edge(
            database=Database(calls),
            accounts=accounts,
            proofs=Proofs(accounts.take_proof, ("https://project.supabase.test/functions/v1",)),
            ping=calls.ping,
            verifier=SecretVerifier(peppers or {"": PEPPER}, threads=1),
            signer=TokenSigner(SigningKeys(keys=(signing_key,))),
            refresh_tokens=RefreshTokens(PEPPER),
            storage=StorageSigner(http, "https://project.supabase.test", "anon-key"),
            documents=Documents(http, "https://project.supabase.test", "anon-key", MemoryPdf()),
            webhooks=Webhooks(
                WebhookDatabase(calls), "https://project.supabase.test/functions/v1", sendgrid_webhook_key
            ),
            opt_outs=OptOuts(calls),
            trusted_proxies=tuple(ip_network(network) for network in trusted),
            logins=Admission(logins),
        )
        return EdgeUnderTest(edge, calls, seen)

    return build


@pytest.fixture
def database_away() -> psycopg.OperationalError:
    return psycopg.OperationalError("connection refused")
