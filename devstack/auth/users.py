"""Users: their rows and identities, and their JSON."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from devstack.auth.errors import AuthError, invalid

Connection = psycopg.AsyncConnection[DictRow]
Json = dict[str, Any]

AUDIENCE = "authenticated"
EMAIL_EXISTS = "A user with this email address has already been registered"
ALWAYS = ("id", "aud", "role", "email", "phone", "created_at", "updated_at", "is_anonymous")
WHEN_SET = (
    "email_confirmed_at",
    "invited_at",
    "phone_confirmed_at",
    "confirmation_sent_at",
    "confirmed_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "phone_change_sent_at",
    "reauthentication_sent_at",
    "last_sign_in_at",
    "banned_until",
    "deleted_at",
)

INSERT_USER = """
insert into auth.users (
    instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
    is_anonymous, created_at, updated_at,
    confirmation_token, recovery_token, email_change_token_new, email_change
) values (
    '00000000-0000-0000-0000-000000000000', %(id)s, %(aud)s, %(role)s, %(email)s, %(phone)s, %(password)s,
    %(app_metadata)s, %(user_metadata)s, %(is_anonymous)s, now(), now(), '', '', '', ''
)
returning *
"""
INSERT_IDENTITY = """
insert into auth.identities
    (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
values (%(user_id)s::text, %(user_id)s, %(data)s, %(provider)s, now(), now(), now())
"""
UPDATE_IDENTITY = """
update auth.identities set identity_data = identity_data || %s, updated_at = now()
 where user_id = %s and provider = %s
"""
_EMAIL = re.compile(r"[^@\s,;<>()\[\]]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def email_of(value: str) -> str:
    """The address as it is kept. Raises AuthError."""
    if not value:
        raise invalid("An email address is required")
    if len(value) > 255:
        raise invalid("An email address is too long")
    if not _EMAIL.fullmatch(value.lower()):
        raise invalid("Unable to validate email address: invalid format")
    return value.lower()


async def find(conn: Connection, user_id: UUID) -> DictRow | None:
    """The user with that id."""
    return await (await conn.execute("select * from auth.users where id = %s", (user_id,))).fetchone()


async def find_by_login(conn: Connection, column: str, value: str) -> DictRow | None:
    """The user with that `email` or `phone`."""
    query = {
        "email": "select * from auth.users where lower(email) = %s and not is_sso_user",
        "phone": "select * from auth.users where phone = %s and not is_sso_user",
    }[column]
    return await (await conn.execute(query, (value,))).fetchone()


async def insert(conn: Connection, user: Json, failure: str = "Database error saving new user") -> DictRow:
    """A new row from `id`, `email`, `phone`, `password` (hashed), metadata, `role`, `aud`.

    Raises AuthError, saying `failure` when a trigger or constraint of the project objects.
    """
    defaults: Json = {"email": None, "phone": None, "password": None, "is_anonymous": False}
    given = {**defaults, "aud": AUDIENCE, "role": AUDIENCE, **user}
    given |= {name: Jsonb(user.get(name) or {}) for name in ("app_metadata", "user_metadata")}
    try:
        row = await (await conn.execute(INSERT_USER, given)).fetchone()
    except psycopg.Error as error:
        raise _already_there(error) or AuthError(500, "unexpected_failure", failure) from error
    assert row is not None
    return row


async def change(conn: Connection, user_id: UUID, **columns: Any) -> DictRow:
    """Set columns of the user; the new row. Raises AuthError."""
    pairs = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns
    )
    query = sql.SQL("update auth.users set {}, updated_at = now() where id = {} returning *")
    values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in columns.items()}
    try:
        done = await conn.execute(query.format(pairs, sql.Placeholder("id")), {**values, "id": user_id})
    except psycopg.Error as error:
        raise _already_there(error) or AuthError(500, "unexpected_failure", "Error updating user") from error
    row = await done.fetchone()
    assert row is not None
    return row


def merged(before: Json | None, changes: Json) -> Json:
    """Metadata after a change: shallow, and null takes a key away."""
    return {name: value for name, value in {**(before or {}), **changes}.items() if value is not None}


async def add_identity(conn: Connection, user_id: UUID, provider: str, data: Json) -> Json:
    """Give the user an identity of `email` or `phone`; its data as kept."""
    known = {"sub": str(user_id), "email_verified": False, "phone_verified": False, **data}
    values = {"user_id": user_id, "provider": provider, "data": Jsonb(known)}
    await conn.execute(INSERT_IDENTITY, values)
    return known


async def change_identity(conn: Connection, user_id: UUID, provider: str, **data: Any) -> bool:
    """Merge into the data of the user's identity; False when there is none."""
    return (await conn.execute(UPDATE_IDENTITY, (Jsonb(data), user_id, provider))).rowcount > 0


async def identities(conn: Connection, user_id: UUID) -> list[Json]:
    """The user's identities as the API shows them."""
    query = "select * from auth.identities where user_id = %s order by created_at"
    return [_identity(row) for row in await (await conn.execute(query, (user_id,))).fetchall()]


async def as_json(conn: Connection, row: DictRow) -> Json:
    """The user as the API shows it, identities included."""
    shown: Json = {name: plain(row[name]) for name in ALWAYS}
    shown.update({name: plain(row[name]) for name in WHEN_SET if row[name] is not None})
    for name in ("email", "phone", "aud", "role"):
        shown[name] = shown[name] or ""
    pending = {"new_email": row["email_change"], "new_phone": row["phone_change"]}
    shown.update({name: value for name, value in pending.items() if value})
    return shown | {
        "app_metadata": row["raw_app_meta_data"] or {},
        "user_metadata": row["raw_user_meta_data"] or {},
        "identities": await identities(conn, row["id"]),
    }


def is_banned(row: DictRow) -> bool:
    """Whether the user is kept out now."""
    return bool(row["banned_until"] and row["banned_until"] > datetime.now(UTC))


def refuse_banned(row: DictRow, status: int) -> None:
    """Raise AuthError if the user is kept out."""
    if is_banned(row):
        raise AuthError(status, "user_banned", "User is banned")


def plain(value: object) -> object:
    """Dates as RFC 3339 in UTC, ids as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


def _already_there(error: psycopg.Error) -> AuthError | None:
    constraint = error.diag.constraint_name if error.diag.schema_name == "auth" else None
    if constraint == "users_phone_key":
        return AuthError(422, "phone_exists", "Phone number already registered by another user")
    return AuthError(422, "email_exists", EMAIL_EXISTS) if constraint == "users_email_partial_key" else None


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
