"""Users: their rows, their JSON, and what an administrator does with them."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import psycopg
from anyio import to_thread
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from devstack.auth.errors import AuthError

Connection = psycopg.AsyncConnection[DictRow]
Json = dict[str, Any]

LONGEST_PASSWORD = 72
ALWAYS = ("id", "aud", "role", "email", "phone", "created_at", "updated_at", "is_anonymous")
WHEN_SET = (
    "email_confirmed_at",
    "invited_at",
    "phone_confirmed_at",
    "confirmation_sent_at",
    "confirmed_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "last_sign_in_at",
    "banned_until",
    "deleted_at",
)

INSERT_USER = """
insert into auth.users (
    instance_id, id, aud, role, email, phone, encrypted_password, email_confirmed_at, phone_confirmed_at,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
    confirmation_token, recovery_token, email_change_token_new, email_change
) values (
    '00000000-0000-0000-0000-000000000000', %(id)s, %(aud)s, %(role)s, %(email)s, %(phone)s, %(password)s,
    case when %(email_confirm)s then now() end, case when %(phone_confirm)s then now() end,
    %(app_metadata)s, %(user_metadata)s, now(), now(), '', '', '', ''
)
"""

INSERT_IDENTITY = """
insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
values (%(user_id)s::text, %(user_id)s, %(data)s, %(provider)s, now(), now())
"""


async def find(conn: Connection, user_id: UUID) -> DictRow | None:
    """The user with that id."""
    query = "select * from auth.users where id = %s and deleted_at is null"
    return await (await conn.execute(query, (user_id,))).fetchone()


async def find_by_login(conn: Connection, column: str, value: str) -> DictRow | None:
    """The user with that `email` or `phone`."""
    query = {
        "email": "select * from auth.users where email = %s and not is_sso_user and deleted_at is null",
        "phone": "select * from auth.users where phone = %s and deleted_at is null",
    }[column]
    return await (await conn.execute(query, (value,))).fetchone()


async def page(conn: Connection, number: int, size: int) -> tuple[list[DictRow], int]:
    """One page of users, newest first, and how many there are in all."""
    query = (
        "select * from auth.users where deleted_at is null order by created_at desc, id limit %s offset %s"
    )
    rows = await (await conn.execute(query, (size, (number - 1) * size))).fetchall()
    total = await (
        await conn.execute("select count(*) as n from auth.users where deleted_at is null")
    ).fetchone()
    return rows, total["n"] if total else 0


async def as_json(conn: Connection, row: DictRow) -> Json:
    """The user as the API shows it, identities included."""
    shown: Json = {name: plain(row[name]) for name in ALWAYS}
    shown.update({name: plain(row[name]) for name in WHEN_SET if row[name] is not None})
    for name in ("email", "phone", "aud", "role"):
        shown[name] = shown[name] or ""
    identities = await conn.execute(
        "select * from auth.identities where user_id = %s order by created_at", (row["id"],)
    )
    return shown | {
        "app_metadata": row["raw_app_meta_data"] or {},
        "user_metadata": row["raw_user_meta_data"] or {},
        "identities": [_identity(identity) for identity in await identities.fetchall()],
    }


async def create(conn: Connection, wanted: Json) -> DictRow:
    """Make a user as an administrator does: no mail is sent. Raises AuthError."""
    email, phone = str(wanted.get("email") or "").lower(), str(wanted.get("phone") or "")
    if not email and not phone:
        message = "Cannot create a user without either an email or phone"
        raise AuthError(400, "validation_failed", message)
    if email and ("@" not in email or " " in email):
        raise AuthError(400, "validation_failed", "Unable to validate email address: invalid format")
    user_id = UUID(str(wanted["id"])) if wanted.get("id") else uuid4()
    try:
        await conn.execute(INSERT_USER, await _columns(user_id, email, phone, wanted))
    except psycopg.errors.UniqueViolation as error:
        raise _already_there(error) from error
    for provider in _providers(email, phone):
        data = Jsonb(_identity_data(user_id, email, phone))
        await conn.execute(INSERT_IDENTITY, {"user_id": user_id, "provider": provider, "data": data})
    created = await find(conn, user_id)
    assert created is not None
    return created


async def delete(conn: Connection, user_id: UUID) -> bool:
    """Remove a user with everything of theirs in schema auth; False when there is none."""
    return (await conn.execute("delete from auth.users where id = %s", (user_id,))).rowcount > 0


async def password_matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one the bcrypt hash was made from."""
    given = password.encode()
    if not stored or len(given) > LONGEST_PASSWORD:
        return False
    return await to_thread.run_sync(bcrypt.checkpw, given, stored.encode())


def plain(value: object) -> object:
    """Dates as RFC 3339 in UTC, ids as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


async def _columns(user_id: UUID, email: str, phone: str, wanted: Json) -> Json:
    metadata = dict(wanted.get("user_metadata") or {})
    if wanted.get("email_confirm"):
        metadata["email_verified"] = True
    providers = _providers(email, phone)
    app_metadata = {"provider": providers[0], "providers": providers, **(wanted.get("app_metadata") or {})}
    return {
        "id": user_id,
        "aud": wanted.get("aud") or "authenticated",
        "role": wanted.get("role") or "authenticated",
        "email": email or None,
        "phone": phone or None,
        "password": wanted.get("password_hash") or await _hash(wanted.get("password")),
        "email_confirm": bool(wanted.get("email_confirm")),
        "phone_confirm": bool(wanted.get("phone_confirm")),
        "app_metadata": Jsonb(app_metadata),
        "user_metadata": Jsonb(metadata),
    }


async def _hash(password: str | None) -> str:
    given = (password or secrets.token_urlsafe(32)).encode()
    if len(given) > LONGEST_PASSWORD:
        raise AuthError(400, "validation_failed", "Password cannot be longer than 72 characters")
    return (await to_thread.run_sync(bcrypt.hashpw, given, bcrypt.gensalt(10))).decode()


def _already_there(error: psycopg.errors.UniqueViolation) -> AuthError:
    if error.diag.constraint_name == "users_phone_key":
        return AuthError(422, "phone_exists", "Phone number already registered by another user")
    message = "A user with this email address has already been registered"
    return AuthError(422, "email_exists", message)


def _providers(email: str, phone: str) -> list[str]:
    return [name for name, value in (("email", email), ("phone", phone)) if value]


def _identity_data(user_id: UUID, email: str, phone: str) -> Json:
    contact = {name: value for name, value in (("email", email), ("phone", phone)) if value}
    return {"sub": str(user_id), **contact, "email_verified": False, "phone_verified": False}


def _identity(row: DictRow) -> Json:
    shown = {
        "identity_id": plain(row["id"]),
        "id": row["provider_id"],
        "user_id": plain(row["user_id"]),
        "identity_data": row["identity_data"],
        "provider": row["provider"],
        "created_at": plain(row["created_at"]),
        "updated_at": plain(row["updated_at"]),
    }
    optional = {"last_sign_in_at": row["last_sign_in_at"], "email": row["email"]}
    return shown | {name: plain(value) for name, value in optional.items() if value is not None}
