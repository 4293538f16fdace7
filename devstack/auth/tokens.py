"""Access tokens: their claims, and the hook in the database that has the last word on them."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from devstack.auth import sessions
from devstack.auth.errors import AuthError
from devstack.auth.users import Connection
from devstack.config import GatewayConfig
from devstack.keys import Claims

HOOK_TIMEOUT_MS = 2000
REQUIRED: dict[str, type | tuple[type, ...]] = {
    "aud": (str, list),
    "exp": int,
    "iat": int,
    "sub": str,
    "email": str,
    "phone": str,
    "role": str,
    "aal": str,
    "session_id": str,
    "is_anonymous": bool,
}


async def issue(
    conn: Connection, config: GatewayConfig, user: DictRow, session_id: UUID, method: str, lifetime: int
) -> dict[str, Any]:
    """A signed access token for the session, good for `lifetime` seconds, with its type and times.

    Raises AuthError.
    """
    claims = await _claims(conn, config, user, session_id, lifetime)
    if config.access_token_hook:
        claims = await _call_hook(conn, config.access_token_hook, claims, method)
    return {
        "access_token": config.keys.sign(claims),
        "token_type": "bearer",
        "expires_in": lifetime,
        "expires_at": claims["exp"],
    }


async def _claims(
    conn: Connection, config: GatewayConfig, user: DictRow, session_id: UUID, lifetime: int
) -> Claims:
    now = int(time.time())
    return {
        "iss": f"{config.api_url}/auth/v1",
        "sub": str(user["id"]),
        "aud": user["aud"] or "authenticated",
        "exp": now + lifetime,
        "iat": now,
        "email": user["email"] or "",
        "phone": user["phone"] or "",
        "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "role": user["role"] or "authenticated",
        "aal": "aal1",
        "amr": await sessions.amr(conn, session_id),
        "session_id": str(session_id),
        "is_anonymous": user["is_anonymous"],
    }


async def _call_hook(conn: Connection, hook: str, claims: Claims, method: str) -> Claims:
    """The claims that `schema.function` answers, as Supabase Auth calls and checks it."""
    event = {
        "metadata": {
            "uuid": str(uuid4()),
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "name": "customize-access-token",
        },
        "user_id": claims["sub"],
        "claims": claims,
        "authentication_method": method,
    }
    call = sql.SQL("select {}(%s) as answer").format(sql.Identifier(*hook.split(".")))
    try:
        await conn.execute(f"set local statement_timeout = {HOOK_TIMEOUT_MS}".encode())
        row = await (await conn.execute(call, (Jsonb(event),))).fetchone()
        await conn.execute("set local statement_timeout = 0")
    except psycopg.errors.QueryCanceled as error:
        message = f"Failed to reach hook within maximum time of {HOOK_TIMEOUT_MS / 1000:f} seconds"
        raise AuthError(422, "hook_timeout", message) from error
    except psycopg.Error as error:
        message = f"Error running hook URI: pg-functions://postgres/{hook.replace('.', '/')}"
        raise AuthError(500, "unexpected_failure", f"{message}: {error.diag.message_primary}") from error
    return _checked(row["answer"] if row else None)


def _checked(answer: Any) -> Claims:
    answer = answer or {}
    refusal = answer.get("error") or {}
    if refusal.get("message"):
        status = int(refusal.get("http_code") or 500)
        code = "unexpected_failure" if status == 500 else "unknown"
        raise AuthError(status, code, str(refusal["message"]))
    claims = answer.get("claims")
    if not claims:
        raise AuthError(500, "unexpected_failure", "output claims field is missing")
    wrong = [name for name, kind in REQUIRED.items() if not isinstance(claims.get(name), kind)]
    if wrong:
        message = "output claims do not conform to the expected schema: " + ", ".join(
            f"{name}: missing or of the wrong type" for name in wrong
        )
        raise AuthError(500, "unexpected_failure", message)
    return dict(claims)
