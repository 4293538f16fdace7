"""PKCE: what a client has promised to prove, until it exchanges its code for a session (RFC 7636)."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from devstack.auth.errors import AuthError, invalid
from devstack.auth.users import Connection

EXPIRY = timedelta(minutes=5)
METHODS = {"signup": "email/signup"}
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]+")

INSERT = """
insert into auth.flow_state (
    id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
    created_at, updated_at
) values (%s, %s, %s, %s, %s, 'email', %s, now(), now())
"""
LATEST = """
select * from auth.flow_state
 where user_id = %s and authentication_method = %s
 order by created_at desc limit 1
"""


def check(challenge: str, method: str) -> None:
    """Refuse half a promise, or one that RFC 7636 does not know. Raises AuthError."""
    if bool(challenge) != bool(method):
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if not challenge:
        return
    if not 43 <= len(challenge) <= 128:
        raise invalid("code challenge has to be between 43 and 128 characters")
    if not _CHALLENGE.fullmatch(challenge):
        allowed = "alphanumeric characters, hyphens, periods, underscores and tildes"
        raise invalid(f"code challenge can only contain {allowed}")
    if method.lower() not in ("s256", "plain"):
        raise invalid(f'unsupported code_challenge method "{method}"')


async def begin(conn: Connection, user_id: UUID, challenge: str, method: str, kind: str) -> None:
    """Keep the promise that came with a request for a mail; nothing to do for other clients."""
    if challenge:
        values = (uuid4(), user_id, str(uuid4()), challenge, method.lower(), METHODS.get(kind, kind))
        await conn.execute(INSERT, values)


async def code(conn: Connection, user_id: UUID, kind: str) -> str:
    """The code for the redirect after the link of a mail. Raises AuthError."""
    flow = await (await conn.execute(LATEST, (user_id, METHODS.get(kind, kind)))).fetchone()
    if flow is None:
        message = "No valid flow state found for user."
        raise AuthError(404, "flow_state_not_found", message)
    await conn.execute("update auth.flow_state set auth_code_issued_at = now() where id = %s", (flow["id"],))
    return str(flow["auth_code"])


async def redeem(conn: Connection, auth_code: str, verifier: str) -> DictRow:
    """The flow that the code belongs to, used up by this. Raises AuthError."""
    if not auth_code or not verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    query = "delete from auth.flow_state where auth_code = %s returning *"
    flow = await (await conn.execute(query, (auth_code,))).fetchone()
    if flow is None:
        message = "invalid flow state, no valid flow state found"
        raise AuthError(404, "flow_state_not_found", message)
    since = flow["auth_code_issued_at"] or flow["created_at"]
    if since + EXPIRY < datetime.now(UTC):
        raise AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")
    if not hmac.compare_digest(_challenge(verifier, flow["code_challenge_method"]), flow["code_challenge"]):
        message = "code challenge does not match previously saved code verifier"
        raise AuthError(400, "bad_code_verifier", message)
    return flow


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
