"""Acting in the database as the holder of a token, as Supabase's services do."""

import json
from typing import Any

import psycopg

from devstack.keys import Claims

# The login role of the REST API: what it may become is what a token may name.
LOGIN_ROLE = "authenticator"


async def become(conn: psycopg.AsyncConnection[Any], claims: Claims, **settings: str) -> None:
    """For the rest of the transaction, be the role of `claims` (without one: anon).

    `settings` are further transaction-local settings; two underscores stand for the dot, as in
    `request__method`. Raises `psycopg.errors.InvalidParameterValue` for an unknown role and
    `InsufficientPrivilege` for one that a token may not name.
    """
    role = str(claims.get("role") or "anon")
    values = {
        "request.jwt.claims": json.dumps(claims),
        "request.jwt.claim.sub": str(claims.get("sub") or ""),
        "request.jwt.claim.role": role,
        **{name.replace("__", "."): value for name, value in settings.items()},
        # Superusers may become anyone, so give that up first: the order of these two matters.
        "session_authorization": LOGIN_ROLE,
        "role": role,
    }
    await conn.execute("select set_config(key, value, true) from json_each_text(%s)", [json.dumps(values)])
