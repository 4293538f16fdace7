"""One-time tokens: six digits for people, their hash for links, kept on the user and beside it."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from devstack.auth import users
from devstack.auth.users import Connection

PKCE_PREFIX = "pkce_"
# The column of auth.users that tells when a token of that type was sent.
SENT_AT = {
    "confirmation_token": "confirmation_sent_at",
    "recovery_token": "recovery_sent_at",
    "email_change_token_current": "email_change_sent_at",
    "email_change_token_new": "email_change_sent_at",
    "reauthentication_token": "reauthentication_sent_at",
}

INSERT = """
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to)
values (%(id)s, %(user_id)s, %(kind)s, %(hash)s, %(relates_to)s)
on conflict (user_id, token_type) do update
   set token_hash = excluded.token_hash, relates_to = excluded.relates_to, updated_at = now()
"""
FIND = """
select u.*, t.token_type from auth.one_time_tokens t join auth.users u on u.id = t.user_id
 where t.token_hash = any (%s) and t.token_type::text = any (%s)
 limit 1
"""


@dataclass(frozen=True)
class Secret:
    """A new token: what the person types, and what the link carries."""

    otp: str
    token_hash: str


def new(address: str, length: int, *, is_pkce: bool = False) -> Secret:
    """A token for that address; a PKCE client's link says so."""
    otp = str(secrets.randbelow(10**length)).zfill(length)
    return Secret(otp, (PKCE_PREFIX if is_pkce else "") + hash_of(address, otp))


def hash_of(address: str, otp: str) -> str:
    """SHA-224 over address and digits, in hex, as Supabase Auth keeps it."""
    return hashlib.sha224((address + otp).encode()).hexdigest()


async def keep(conn: Connection, user: DictRow, kind: str, token_hash: str, relates_to: str) -> DictRow:
    """Make this the user's only token of its kind, sent now; the new row of the user."""
    values = {"id": uuid4(), "user_id": user["id"], "kind": kind, "hash": token_hash}
    await conn.execute(INSERT, {**values, "relates_to": relates_to})
    return await users.change(conn, user["id"], **{kind: token_hash, SENT_AT[kind]: datetime.now(UTC)})


async def find(conn: Connection, token_hash: str, kinds: tuple[str, ...]) -> DictRow | None:
    """The user who has that token, with its `token_type`."""
    both = [token_hash, PKCE_PREFIX + token_hash]
    return await (await conn.execute(FIND, (both, list(kinds)))).fetchone()


def is_fresh(user: DictRow, kind: str, expiry: timedelta) -> bool:
    """Whether the user's token of that kind still counts."""
    sent_at = user[SENT_AT[kind]]
    return bool(sent_at and sent_at + expiry > datetime.now(UTC))


def agrees(user: DictRow, kind: str, token_hash: str, expiry: timedelta) -> bool:
    """Whether that is the user's token of that kind, and it still counts."""
    kept = str(user[kind] or "").removeprefix(PKCE_PREFIX)
    return bool(kept) and is_fresh(user, kind, expiry) and hmac.compare_digest(kept, token_hash)


async def forget(conn: Connection, user_id: UUID) -> None:
    """Make every link sent to the user worthless."""
    await conn.execute("delete from auth.one_time_tokens where user_id = %s", (user_id,))
