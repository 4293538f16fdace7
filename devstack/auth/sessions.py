"""Sessions: refresh tokens of version 1, rotated at each use, and what happens when one comes back."""

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from devstack.auth.errors import AuthError
from devstack.auth.users import Connection

TOKEN_LENGTH = 12
TOKEN_ALPHABET = string.ascii_lowercase + string.digits

INSERT_SESSION = """
insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
values (%s, %s, now(), now(), 'aal1', %s, %s)
"""
INSERT_AMR = """
insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
values (%s, %s, now(), now(), %s)
"""
INSERT_TOKEN = """
insert into auth.refresh_tokens
    (instance_id, token, user_id, revoked, parent, session_id, created_at, updated_at)
values ('00000000-0000-0000-0000-000000000000', %s, %s, false, %s, %s, now(), now())
"""
REVOKE_TOKEN = "update auth.refresh_tokens set revoked = true, updated_at = now() where token = %s"
REVOKE_FAMILY = """
update auth.refresh_tokens set revoked = true, updated_at = now()
 where session_id = %s and not revoked
"""
ACTIVE_TOKEN = """
select * from auth.refresh_tokens where session_id = %s and not revoked order by id desc limit 1
"""


@dataclass(frozen=True)
class Grant:
    """A session and the refresh token that goes on with it."""

    session_id: UUID
    user_id: UUID
    refresh_token: str


async def begin(conn: Connection, user_id: UUID, method: str, user_agent: str, ip: str | None) -> Grant:
    """A new session of the user."""
    session_id = uuid4()
    await conn.execute(INSERT_SESSION, (session_id, user_id, user_agent, ip))
    await conn.execute(INSERT_AMR, (uuid4(), session_id, method))
    return Grant(session_id, user_id, await _insert_token(conn, user_id, session_id, None))


async def rotate(conn: Connection, token: str, reuse_interval: timedelta) -> Grant | AuthError:
    """Exchange a refresh token for its successor.

    A refusal is returned, not raised, because it is to be committed: a token that comes back too late
    ends its whole family.
    """
    found = await _one(conn, "select session_id from auth.refresh_tokens where token = %s", token)
    if found is None:
        message = "Invalid Refresh Token: Refresh Token Not Found"
        return AuthError(400, "refresh_token_not_found", message)
    lock = "select * from auth.sessions where id = %s for update"
    session = await _one(conn, lock, found["session_id"])
    if session is None:
        return AuthError(400, "session_not_found", "Invalid Refresh Token: No Valid Session Found")
    row = await _one(conn, "select * from auth.refresh_tokens where token = %s", token)
    assert row is not None  # locked through its session
    successor = await (_successor(conn, row, reuse_interval) if row["revoked"] else _swap(conn, row))
    if isinstance(successor, AuthError):
        return successor
    refreshed = (
        "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = %s"
    )
    await conn.execute(refreshed, (session["id"],))
    return Grant(session["id"], session["user_id"], successor)


async def amr(conn: Connection, session_id: UUID) -> list[dict[str, Any]]:
    """How the session was begun, newest first, as the `amr` claim."""
    rows = await conn.execute(
        "select authentication_method, updated_at from auth.mfa_amr_claims where session_id = %s"
        " order by updated_at desc",
        (session_id,),
    )
    return [
        {"method": row["authentication_method"], "timestamp": int(row["updated_at"].timestamp())}
        for row in await rows.fetchall()
    ]


async def end(conn: Connection, user_id: UUID, session_id: str | None, scope: str) -> None:
    """Sign out: `global` all sessions of the user, `local` this one, `others` all but this one."""
    condition = {"global": "true", "local": "id::text = %(session)s", "others": "id::text <> %(session)s"}
    if scope not in condition:
        raise AuthError(400, "validation_failed", f'Unsupported logout scope "{scope}"')
    query = "delete from auth.sessions where user_id = %(user)s and " + condition[scope]
    await conn.execute(query, {"user": user_id, "session": session_id or ""})


async def exists(conn: Connection, session_id: str) -> bool:
    """Whether the session named in a token still lives."""
    return await _one(conn, "select id from auth.sessions where id::text = %s", session_id) is not None


async def begun_at(conn: Connection, session_id: str) -> datetime | None:
    """When the session began, None when there is none."""
    row = await _one(conn, "select created_at from auth.sessions where id::text = %s", session_id)
    return row["created_at"] if row else None


async def _successor(conn: Connection, row: DictRow, reuse_interval: timedelta) -> str | AuthError:
    """What a token that was used before still gets.

    The parent of the active token gets that one again (the answer was lost); another one gets a
    further token within the reuse interval, and after it ends the family. An ended family stays ended.
    """
    active = await _one(conn, ACTIVE_TOKEN, row["session_id"])
    if active and active["parent"] == row["token"]:
        return str(active["token"])
    if active and row["updated_at"] + reuse_interval > datetime.now(UTC):
        return await _swap(conn, row)
    await conn.execute(REVOKE_FAMILY, (row["session_id"],))
    return AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")


async def _swap(conn: Connection, row: DictRow) -> str:
    await conn.execute(REVOKE_TOKEN, (row["token"],))
    return await _insert_token(conn, row["user_id"], row["session_id"], row["token"])


async def _insert_token(conn: Connection, user_id: object, session_id: UUID, parent: str | None) -> str:
    token = "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))
    await conn.execute(INSERT_TOKEN, (token, str(user_id), parent, session_id))
    return token


async def _one(conn: Connection, query: str, argument: object) -> DictRow | None:
    return await (await conn.execute(query.encode(), (argument,))).fetchone()
