"""The edge's only words to the database: the `private.portal_*` functions, called as role `edge`.

Each call is one statement and its own transaction, so a failed login still counts.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, Self
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict

from workers.edge.tokens import PortalClaims

POOL_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Client:
    """Who is asking: the address and the program, for limits and the access log."""

    ip: str
    user_agent: str


@dataclass(frozen=True)
class Device:
    """An installation of the app; `key_thumbprint` (RFC 7638) when it proved to hold that key just now."""

    device_id: str
    fingerprint: str
    key_thumbprint: str | None = None


class Answer(BaseModel):
    """An answer from SQL; its errors never repeat the input, which may hold hashes."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Attempt(Answer):
    """A counted login attempt, and what to compare with; hashes are None where nothing may match.

    `is_address_blocked`: this address tried too much, whomever it tried. Such an attempt is not kept.
    """

    attempt_id: UUID
    is_allowed: bool
    is_address_blocked: bool = False
    retry_after_seconds: int
    password_hash: str | None
    pin_hash: str | None


class Session(Answer):
    """A live portal session. `idle_seconds` without a refresh end it; `expires_at` ends it anyway."""

    session_id: UUID
    account_id: UUID
    garage_id: UUID
    idle_seconds: int
    expires_at: datetime
    key_thumbprint: str | None = None


class GrantedDocument(Answer):
    """Where the document lies, and the name to save it under."""

    bucket: str
    path: str
    filename: str


class Refusal(Answer):
    """Why SQL refused: a code of `workers.edge.errors.STATUS`."""

    error: str


class Calls(Protocol):
    """The one way out: call a function of schema `private` by name. Tests bring an in-memory twin."""

    async def call(self, function: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Return the function's jsonb answer; arguments go by name."""


class Database:
    """The portal's SQL functions with their types. Methods are named as the functions are."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def login_reserve(
        self,
        *,
        garage_id: UUID,
        login: str,
        device: Device,
        client: Client,
        purpose: Literal["login", "device"] = "login",
    ) -> Attempt:
        """Count an attempt, before anything slow, and return what to compare with."""
        arguments = {"garage_id": garage_id, "login": login, **asdict(device), "purpose": purpose}
        arguments |= {"client_ip": client.ip, "user_agent": client.user_agent}
        return Attempt.model_validate(await self._calls.call("portal_login_reserve", arguments))

    async def login_finish(
        self, *, attempt_id: UUID, is_ok: bool, refresh_token_sha256: str
    ) -> Session | None:
        """Settle an attempt; a session when it was good and in time, else None."""
        arguments = {"attempt_id": attempt_id, "is_ok": is_ok, "refresh_token_sha256": refresh_token_sha256}
        answer = await self._calls.call("portal_login_finish", arguments)
        return Session.model_validate(answer) if answer else None

    async def refresh(
        self,
        *,
        refresh_token_sha256: str,
        next_token_sha256: str,
        device: Device,
        client: Client,
    ) -> Session | Refusal:
        """Replace a refresh token by its successor."""
        arguments = {
            "refresh_token_sha256": refresh_token_sha256,
            "next_token_sha256": next_token_sha256,
            **asdict(device),
            "client_ip": client.ip,
        }
        answer = await self._calls.call("portal_refresh", arguments)
        return session_or_refusal(answer)

    async def logout(self, *, refresh_token_sha256: str) -> None:
        """End the session of a refresh token, if there is one."""
        await self._calls.call("portal_logout", {"refresh_token_sha256": refresh_token_sha256})

    async def grant_document(
        self, claims: PortalClaims, *, invoice_id: UUID, grant_sha256: str, client: Client
    ) -> GrantedDocument | Refusal:
        """Log the access and let Storage sign this one object for the bearer of the grant."""
        asked = {"invoice_id": invoice_id, "grant_sha256": grant_sha256}
        return await self._grant("portal_grant_document", claims, asked, client)

    async def grant_photo(
        self, claims: PortalClaims, *, message_id: UUID, grant_sha256: str, client: Client
    ) -> GrantedDocument | Refusal:
        """As `grant_document`, for the photo of a message."""
        asked = {"message_id": message_id, "grant_sha256": grant_sha256}
        return await self._grant("portal_grant_photo", claims, asked, client)

    async def _grant(
        self, function: str, claims: PortalClaims, asked: Mapping[str, object], client: Client
    ) -> GrantedDocument | Refusal:
        arguments = {
            "session_id": claims.session_id,
            "account_id": claims.sub,
            "garage_id": claims.garage_id,
            **asked,
            "client_ip": client.ip,
            "user_agent": client.user_agent,
        }
        answer = await self._calls.call(function, arguments)
        return Refusal.model_validate(answer) if "error" in answer else GrantedDocument.model_validate(answer)


def session_or_refusal(answer: Mapping[str, Any]) -> Session | Refusal:
    """Return what SQL answered, typed."""
    return Refusal.model_validate(answer) if "error" in answer else Session.model_validate(answer)


class PostgresCalls:
    """`Calls` over a pool of connections. Raises psycopg.OperationalError when the database is away."""

    def __init__(self, conninfo: str) -> None:
        # No server-side prepared statements: a transaction pooler may stand in between.
        self._pool: AsyncConnectionPool[AsyncConnection[TupleRow]] = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=8,
            timeout=POOL_TIMEOUT_SECONDS,
            kwargs={"autocommit": True, "prepare_threshold": None, "application_name": "autexor-edge"},
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def __aenter__(self) -> Self:
        """Begin connecting, without waiting for the database to be there."""
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give back every connection."""
        await self._pool.close()

    async def ping(self) -> None:
        """Return when the database has answered."""
        async with self._pool.connection() as connection:
            await connection.execute("select 1")

    async def call(self, function: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Call `private.<function>(name => value, …)` in a transaction of its own."""
        named = sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments
        )
        query = sql.SQL("select private.{}({})").format(sql.Identifier(function), named)
        async with self._pool.connection() as connection:
            row = await (await connection.execute(query, arguments)).fetchone()
        return row[0] if row and row[0] else {}
