"""/admin/users: what the service role does with users. No mail is sent."""

import hashlib
import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from psycopg import sql
from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import account, passwords, sessions, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of
from devstack.auth.settings import duration
from devstack.auth.users import Connection, Json

MATCHING = """
from auth.users
 where %(filter)s = '' or email like %(pattern)s or raw_user_meta_data ->> 'full_name' ilike %(pattern)s
"""
PAGE = "select * " + MATCHING + "order by created_at {}, id limit %(size)s offset %(offset)s"
COUNT = "select count(*) as n " + MATCHING
SOFT_DELETED: dict[str, Any] = {
    **account.NO_TOKENS,
    "encrypted_password": "",
    "phone": None,
    "email_change": "",
    "phone_change": "",
    "raw_app_meta_data": {},
    "raw_user_meta_data": {},
}


async def listed(service: Service, request: Request) -> Response:
    """GET /admin/users, by pages, newest first unless asked otherwise."""
    service.require_admin(request)
    number, size = _positive(request, "page", 1), _positive(request, "per_page", 50)
    wanted = request.query_params.get("filter", "")
    values = {"filter": wanted, "pattern": f"%{wanted}%", "size": size, "offset": (number - 1) * size}
    async with service.connection() as conn:
        rows = await (await conn.execute(sql.SQL(PAGE).format(_order(request)), values)).fetchall()
        counted = await (await conn.execute(COUNT, values)).fetchone()
        shown = [await users.as_json(conn, row) for row in rows]
    total = counted["n"] if counted else 0
    headers = {"X-Total-Count": str(total), "Link": _links(request, number, math.ceil(total / size))}
    return JSONResponse({"users": shown, "aud": users.AUDIENCE}, headers=headers)


async def create(service: Service, request: Request) -> Response:
    """POST /admin/users."""
    service.require_admin(request)
    body = await body_of(request)
    async with service.connection() as conn:
        user = await _created(conn, body)
        user = await _settled(conn, user, body)
        return JSONResponse(await users.as_json(conn, user))


async def show(service: Service, request: Request) -> Response:
    """GET /admin/users/{user_id}."""
    service.require_admin(request)
    async with service.connection() as conn:
        return JSONResponse(await users.as_json(conn, await _named(conn, request)))


async def update(service: Service, request: Request) -> Response:
    """PUT /admin/users/{user_id}: everything counts at once, without confirmation."""
    service.require_admin(request)
    body = await body_of(request)
    async with service.connection() as conn:
        user = await _named(conn, request)
        if body.get("password") is not None:
            passwords.check(body.text("password"), service.settings.minimum_password_length)
            user = await account.set_password(conn, user["id"], await passwords.hashed(body.text("password")))
        for column, address in _addresses(body).items():
            user = await _readdressed(conn, user, column, address, body)
        for name in ("app_metadata", "user_metadata"):
            if (changes := body.object(name)) is not None:
                column = f"raw_{name.removesuffix('_metadata')}_meta_data"
                user = await users.change(conn, user["id"], **{column: users.merged(user[column], changes)})
        user = await _settled(conn, user, body)
        return JSONResponse(await users.as_json(conn, user))


async def delete(service: Service, request: Request) -> Response:
    """DELETE /admin/users/{user_id}: softly, the row stays without anything personal."""
    service.require_admin(request)
    body = await body_of(request, is_optional=True)
    async with service.connection() as conn:
        user = await _named(conn, request)
        if not body.flag("should_soft_delete"):
            await conn.execute("delete from auth.users where id = %s", (user["id"],))
        elif user["deleted_at"] is None:
            await _veil(conn, user)
    return JSONResponse({})


async def _created(conn: Connection, body: Body) -> DictRow:
    addresses = _addresses(body)
    if not addresses:
        raise invalid("Cannot create a user without either an email or phone")
    if body.get("password") is not None and body.text("password_hash"):
        raise invalid("Only a password or a password hash should be provided")
    providers: Json = {"provider": next(iter(addresses)), "providers": list(addresses)}
    user = await users.insert(
        conn,
        {
            **addresses,
            "id": _wanted_id(body),
            "aud": body.text("aud") or users.AUDIENCE,
            "role": body.text("role") or users.AUDIENCE,
            "password": body.text("password_hash") or await passwords.hashed(body.text("password")),
            "app_metadata": users.merged(providers, body.object("app_metadata") or {}),
            "user_metadata": body.object("user_metadata") or {},
        },
        "Database error creating new user",
    )
    for provider, address in addresses.items():
        await users.add_identity(conn, user["id"], provider, {provider: address})
    return user


async def _settled(conn: Connection, user: DictRow, body: Body) -> DictRow:
    """Role, confirmations and ban, for a new user as for an old one."""
    if body.text("role"):
        user = await users.change(conn, user["id"], role=body.text("role"))
    if body.flag("email_confirm"):
        metadata = users.merged(user["raw_user_meta_data"], {"email_verified": True})
        confirmed: Json = {"email_confirmed_at": datetime.now(UTC), "raw_user_meta_data": metadata}
        user = await users.change(conn, user["id"], confirmation_token="", **confirmed)
    if body.flag("phone_confirm"):
        user = await users.change(conn, user["id"], phone_confirmed_at=datetime.now(UTC))
    if ban := body.text("ban_duration"):
        until = None if ban == "none" else datetime.now(UTC) + _ban(ban)
        user = await users.change(conn, user["id"], banned_until=until)
    return user


async def _readdressed(conn: Connection, user: DictRow, column: str, address: str, body: Body) -> DictRow:
    is_confirmed = body.flag(f"{column}_confirm")
    data: Json = {column: address, f"{column}_verified": is_confirmed}
    if not await users.change_identity(conn, user["id"], column, **data):
        await users.add_identity(conn, user["id"], column, data)
    changes: Json = {column: address} | ({"is_anonymous": False} if is_confirmed else {})
    return await users.change(conn, user["id"], **changes)


async def _veil(conn: Connection, user: DictRow) -> None:
    def veiled(value: str) -> str:
        return hashlib.sha256(f"{user['id']}{value}".encode()).hexdigest()

    email = veiled(user["email"]) if user["email"] else None
    await users.change(conn, user["id"], **SOFT_DELETED, email=email, deleted_at=datetime.now(UTC))
    await conn.execute(
        "update auth.identities set provider_id = %s, identity_data = '{}' where user_id = %s",
        (veiled(str(user["id"])), user["id"]),
    )
    await sessions.end(conn, user["id"], "", "global")


async def _named(conn: Connection, request: Request) -> DictRow:
    try:
        user_id = UUID(request.path_params["user_id"])
    except ValueError as error:
        raise AuthError(404, "validation_failed", "user_id must be an UUID") from error
    user = await users.find(conn, user_id)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user


def _addresses(body: Body) -> dict[str, str]:
    email, phone = body.text("email"), body.text("phone").removeprefix("+")
    given = {"email": users.email_of(email) if email else "", "phone": phone}
    return {column: value for column, value in given.items() if value}


def _wanted_id(body: Body) -> UUID:
    if not body.text("id"):
        return uuid4()
    try:
        wanted = UUID(body.text("id"))
    except ValueError as error:
        raise invalid("ID must conform to the uuid v4 format") from error
    if not wanted.int:
        raise invalid("ID cannot be a nil uuid")
    return wanted


def _ban(text: str) -> Any:
    try:
        return duration(text)
    except ValueError as error:
        raise invalid(f"invalid format for ban duration: {error}") from error


def _order(request: Request) -> sql.SQL:
    field, _, direction = request.query_params.get("sort", "created_at desc").partition(" ")
    if field != "created_at" or direction.lower() not in ("", "asc", "desc"):
        raise invalid(f"Bad Sort Parameters: bad field for sort '{field}'")
    return sql.SQL("asc" if direction.lower() == "asc" else "desc")


def _positive(request: Request, name: str, default: int) -> int:
    try:
        return max(1, int(request.query_params.get(name) or default))
    except ValueError as error:
        raise invalid(f"Bad Pagination Parameters: {error}") from error


def _links(request: Request, number: int, last: int) -> str:
    """Relative, `page` first: the official clients read it there."""

    def link(page: int, rel: str) -> str:
        query = urlencode(sorted({**request.query_params, "page": page}.items()))
        return f'</admin/users?{query}>; rel="{rel}"'

    following = [link(number + 1, "next")] if number < last else []
    return ", ".join([*following, link(max(last, 1), "last")])
