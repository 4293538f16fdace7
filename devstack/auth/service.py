"""What every endpoint of Auth works with: the database, the settings, the mails, and who is calling."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request

from devstack.auth import flows, project_key, sessions, users
from devstack.auth.errors import AuthError
from devstack.auth.limits import Limiter
from devstack.auth.mails import Mailer
from devstack.auth.settings import AuthSettings, load
from devstack.auth.users import Connection
from devstack.config import GatewayConfig
from devstack.keys import Claims
from devstack.sandbox.store import Store

ADMIN_ROLES = ("service_role", "supabase_admin")
LARGEST_BODY = 1_000_000


@dataclass(frozen=True)
class Caller:
    """Whose token came with a request."""

    claims: Claims
    row: DictRow

    @property
    def session_id(self) -> str:
        """The session named in the token, or nothing."""
        return str(self.claims.get("session_id") or "")


class Body(dict[str, Any]):
    """A request's JSON object, read by type as the real server parses it."""

    def text(self, name: str) -> str:
        """The text of that name, empty when absent. Raises AuthError."""
        return str(self._typed(name, str, "string") or "")

    def flag(self, name: str, default: bool = False) -> bool:
        """The boolean of that name. Raises AuthError."""
        value = self._typed(name, bool, "bool")
        return default if value is None else bool(value)

    def object(self, name: str) -> dict[str, Any] | None:
        """The object of that name, None when absent. Raises AuthError."""
        value: dict[str, Any] | None = self._typed(name, dict, "map[string]interface {}")
        return value

    def _typed(self, name: str, kind: type, go_name: str) -> Any:
        value = self.get(name)
        if value is not None and not isinstance(value, kind):
            names = {
                bool: "bool",
                int: "number",
                float: "number",
                str: "string",
                list: "array",
                dict: "object",
            }
            detail = (
                f"json: cannot unmarshal {names[type(value)]} into Go struct field .{name} of type {go_name}"
            )
            raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {detail}")
        return value


class Service:
    """One running Auth."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self.settings: AuthSettings = load(config.config_file)
        self.limits = Limiter(self.settings.rate_limits)
        self.project_key = project_key.load_or_create(config.data_dir / "auth")
        self._store = Store(config.data_dir / "sandbox")
        self.mailer = Mailer(self.settings, f"{config.api_url}/auth/v1", self._store)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(config.db_url, user="supabase_auth_admin"),
            connection_class=Connection,
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=8,
            open=False,
        )

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Open while the application runs."""
        async with self._pool:
            yield
        self._store.close()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction: committed at the end, rolled back by any exception."""
        return self._pool.connection()

    def claims(self, request: Request) -> Claims:
        """What the request's token says. Raises AuthError."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            return self.config.keys.verify(token.strip())
        except jwt.InvalidTokenError as error:
            message = f"invalid JWT: unable to parse or verify signature, {error}"
            raise AuthError(403, "bad_jwt", message) from error

    def require_admin(self, request: Request) -> None:
        """Refuse anyone but the service role. Raises AuthError."""
        if self.claims(request).get("role") not in ADMIN_ROLES:
            raise AuthError(403, "not_admin", "User not allowed")

    async def caller(self, conn: Connection, request: Request) -> Caller:
        """The user whose token it is, with a session that still lives. Raises AuthError."""
        claims = self.claims(request)
        if not claims.get("sub"):
            raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim")
        try:
            user_id = UUID(str(claims["sub"]))
        except ValueError as error:
            raise AuthError(400, "bad_jwt", "invalid claim: sub claim must be a UUID") from error
        row = await users.find(conn, user_id)
        if row is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        session_id = claims.get("session_id")
        if session_id and not await sessions.exists(conn, str(session_id)):
            message = "Session from session_id claim in JWT does not exist"
            raise AuthError(403, "session_not_found", message)
        users.refuse_banned(row, 403)
        return Caller(claims, row)


async def body_of(request: Request, *, is_optional: bool = False) -> Body:
    """The JSON object in the request. Raises AuthError."""
    raw = await request.body()
    if len(raw) > LARGEST_BODY:
        raise AuthError(413, "request_entity_too_large", "Request body exceeds the maximum size")
    if not raw:
        if is_optional:
            return Body()
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: unexpected end of JSON input")
    try:
        body = json.loads(raw)
    except ValueError as error:
        message = f"Could not parse request body as JSON: {error}"
        raise AuthError(400, "bad_json", message) from error
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: an object is expected")
    return Body(body)


def pkce_of(body: Body) -> tuple[str, str]:
    """The code challenge and its method, both empty for other clients. Raises AuthError."""
    challenge, method = body.text("code_challenge"), body.text("code_challenge_method")
    flows.check(challenge, method)
    return challenge, method
