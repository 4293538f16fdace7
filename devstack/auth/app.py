"""The routes of Supabase Auth below `/auth/v1`."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.auth import public, sessions, tokens, users
from devstack.auth.errors import AuthError, render, render_unexpected
from devstack.auth.users import Connection
from devstack.config import GatewayConfig
from devstack.keys import Claims

ADMIN_ROLES = ("service_role", "supabase_admin")


def create_app(config: GatewayConfig) -> Starlette:
    """The Starlette application of Supabase Auth, with a connection pool of its own."""
    service = _Service(config)
    return Starlette(
        routes=[
            Route("/health", public.health),
            Route("/settings", public.settings),
            Route("/.well-known/jwks.json", public.jwks),
            Route("/token", service.token, methods=["POST"]),
            Route("/user", service.user),
            Route("/logout", service.logout, methods=["POST"]),
            Route("/admin/users", service.admin_list, methods=["GET"]),
            Route("/admin/users", service.admin_create, methods=["POST"]),
            Route("/admin/users/{user_id}", service.admin_get, methods=["GET"]),
            Route("/admin/users/{user_id}", service.admin_delete, methods=["DELETE"]),
        ],
        exception_handlers={AuthError: render, Exception: render_unexpected},
        lifespan=service.lifespan,
    )


@dataclass(frozen=True)
class _Caller:
    """Whose token came with a request."""

    claims: Claims
    row: DictRow


class _Service:
    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(config.db_url, user="supabase_auth_admin"),
            connection_class=Connection,
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=8,
            open=False,
        )

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.pool:
            yield

    async def token(self, request: Request) -> Response:
        body = await _body(request)
        grant_type = request.query_params.get("grant_type")
        if grant_type == "password":
            return await self._sign_in(request, body)
        if grant_type == "refresh_token":
            return await self._refresh(body)
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    async def user(self, request: Request) -> Response:
        async with self.pool.connection() as conn:
            caller = await self._caller(conn, request)
            return JSONResponse(await users.as_json(conn, caller.row))

    async def logout(self, request: Request) -> Response:
        scope = request.query_params.get("scope", "global")
        async with self.pool.connection() as conn:
            caller = await self._caller(conn, request)
            await sessions.end(conn, caller.row["id"], caller.claims.get("session_id"), scope)
        return Response(status_code=204)

    async def admin_list(self, request: Request) -> Response:
        self._require_admin(request)
        number, size = _positive(request, "page", 1), _positive(request, "per_page", 50)
        async with self.pool.connection() as conn:
            rows, total = await users.page(conn, number, size)
            shown = [await users.as_json(conn, row) for row in rows]
        headers = {"X-Total-Count": str(total), "Link": _links(request, number, math.ceil(total / size))}
        return JSONResponse({"users": shown, "aud": "authenticated"}, headers=headers)

    async def admin_create(self, request: Request) -> Response:
        self._require_admin(request)
        body = await _body(request)
        async with self.pool.connection() as conn:
            return JSONResponse(await users.as_json(conn, await users.create(conn, body)))

    async def admin_get(self, request: Request) -> Response:
        self._require_admin(request)
        async with self.pool.connection() as conn:
            row = await users.find(conn, _user_id(request))
            if row is None:
                raise AuthError(404, "user_not_found", "User not found")
            return JSONResponse(await users.as_json(conn, row))

    async def admin_delete(self, request: Request) -> Response:
        self._require_admin(request)
        async with self.pool.connection() as conn:
            if not await users.delete(conn, _user_id(request)):
                raise AuthError(404, "user_not_found", "User not found")
        return JSONResponse({})

    async def _sign_in(self, request: Request, body: dict[str, Any]) -> Response:
        column = "email" if body.get("email") else "phone"
        login, password = str(body.get(column) or "").lower(), str(body.get("password") or "")
        if not login:
            raise AuthError(400, "validation_failed", "missing email or phone")
        async with self.pool.connection() as conn:
            row = await users.find_by_login(conn, column, login)
            if row is None or not row["encrypted_password"]:
                raise AuthError(400, "invalid_credentials", "Invalid login credentials")
            _refuse_banned(row, 400)
            if not await users.password_matches(password, row["encrypted_password"]):
                raise AuthError(400, "invalid_credentials", "Invalid login credentials")
            if not row[f"{column}_confirmed_at"]:
                label = column.capitalize()
                raise AuthError(400, f"{column}_not_confirmed", f"{label} not confirmed")
            touch = "update auth.users set last_sign_in_at = now(), updated_at = now() where id = %s"
            await conn.execute(touch, (row["id"],))
            agent, ip = request.headers.get("user-agent", ""), request.client.host if request.client else None
            grant = await sessions.begin(conn, row["id"], "password", agent, ip)
            return await self._answer(conn, grant, "password")

    async def _refresh(self, body: dict[str, Any]) -> Response:
        token = str(body.get("refresh_token") or "")
        if len(token) < sessions.TOKEN_LENGTH:
            raise AuthError(400, "validation_failed", "Refresh token is not valid")
        async with self.pool.connection() as conn:
            grant = await sessions.rotate(conn, token)
            if not isinstance(grant, AuthError):
                return await self._answer(conn, grant, "token_refresh")
        raise grant

    async def _answer(self, conn: Connection, grant: sessions.Grant, method: str) -> Response:
        row = await users.find(conn, grant.user_id)
        if row is None:
            raise AuthError(400, "session_not_found", "Invalid Refresh Token: No Valid Session Found")
        if _is_banned(row):
            raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
        token = await tokens.issue(conn, self.config, row, grant.session_id, method)
        body = {**token, "refresh_token": grant.refresh_token, "user": await users.as_json(conn, row)}
        headers = {
            "sb-auth-user-id": str(grant.user_id),
            "sb-auth-session-id": str(grant.session_id),
            "sb-auth-refresh-token-prefix": grant.refresh_token[:5],
        }
        return JSONResponse(body, headers=headers)

    def _claims(self, request: Request) -> Claims:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            return self.config.keys.verify(token.strip())
        except jwt.InvalidTokenError as error:
            message = f"invalid JWT: unable to parse or verify signature, {error}"
            raise AuthError(403, "bad_jwt", message) from error

    def _require_admin(self, request: Request) -> None:
        if self._claims(request).get("role") not in ADMIN_ROLES:
            raise AuthError(403, "not_admin", "User not allowed")

    async def _caller(self, conn: Connection, request: Request) -> _Caller:
        claims = self._claims(request)
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
        _refuse_banned(row, 403)
        return _Caller(claims, row)


def _is_banned(row: DictRow) -> bool:
    return bool(row["banned_until"] and row["banned_until"] > datetime.now(UTC))


def _refuse_banned(row: DictRow, status: int) -> None:
    if _is_banned(row):
        raise AuthError(status, "user_banned", "User is banned")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        message = f"Could not parse request body as JSON: {error}"
        raise AuthError(400, "bad_json", message) from error
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: an object is expected")
    return body


def _user_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["user_id"])
    except ValueError as error:
        raise AuthError(404, "validation_failed", "user_id must be an UUID") from error


def _positive(request: Request, name: str, default: int) -> int:
    try:
        return max(1, int(request.query_params.get(name) or default))
    except ValueError as error:
        raise AuthError(400, "validation_failed", f"Bad Pagination Parameters: {error}") from error


def _links(request: Request, number: int, last: int) -> str:
    def link(page: int, rel: str) -> str:
        return f'<{request.url.include_query_params(page=page)}>; rel="{rel}"'

    following = [link(number + 1, "next")] if number < last else []
    return ", ".join([*following, link(max(last, 1), "last")])
