"""Who asks, and the transaction in which the database decides."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import jwt
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from devstack.caller import become
from devstack.config import GatewayConfig
from devstack.keys import Claims
from devstack.storage.errors import (
    StorageError,
    access_denied,
    invalid_key,
    invalid_request,
    no_such_bucket,
)
from devstack.storage.files import Files

Row = dict[str, Any]
Connection = AsyncConnection[Row]

OBJECT = (
    "id, name, bucket_id, owner, owner_id, version, created_at, updated_at, last_accessed_at,"
    " metadata, user_metadata"
)
_KEY = re.compile(r"[\w/!.*'() &$@=;:+,?-]+", re.ASCII)


class Storage:
    """What the handlers share: keys, database pool and files."""

    def __init__(self, config: GatewayConfig) -> None:
        self.keys = config.keys
        self.files = Files(config.data_dir / "storage")
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            config.db_url, min_size=1, max_size=8, open=False, kwargs={"row_factory": dict_row}
        )

    @asynccontextmanager
    async def as_caller(
        self, request: Request, operation: str, claims: Claims | None = None
    ) -> AsyncIterator[Connection]:
        """A transaction under the caller's policies; raise `psycopg.Rollback` to undo it."""
        claims = self.claims(request) if claims is None else claims
        async with self.pool.connection() as conn, conn.transaction():
            await become(
                conn,
                claims,
                request__headers=json.dumps(dict(request.headers)),
                request__method=request.method,
                request__path=path_of(request),
                storage__operation=f"storage.{operation}",
                storage__allow_delete_query="true",
            )
            yield conn

    @asynccontextmanager
    async def as_service(self) -> AsyncIterator[Connection]:
        """A transaction that no policy governs."""
        async with self.pool.connection() as conn, conn.transaction():
            await conn.execute("select set_config('storage.allow_delete_query', 'true', true)")
            yield conn

    async def bucket(self, bucket: str) -> Row:
        """The bucket's row, whoever asks. Raises NoSuchBucket."""
        async with self.as_service() as conn:
            found = await one(conn, "select * from storage.buckets where id = %s", bucket)
        if found is None:
            raise no_such_bucket()
        return found

    def claims(self, request: Request) -> Claims:
        """The claims of the bearer token. Raises when it is missing, bad or expired."""
        header = request.headers.get("authorization")
        if header is None:
            raise invalid_request("headers must have required property 'authorization'")
        try:
            return self.verify(header.removeprefix("Bearer "))
        except StorageError as error:
            raise access_denied(error.message) from None

    def verify(self, token: str) -> Claims:
        """The claims of any token of ours. Raises InvalidJWT with the real service's words."""
        try:
            if jwt.get_unverified_header(token).get("alg") not in ("HS256", "ES256"):
                raise jwt.InvalidAlgorithmError
            return self.keys.verify(token)
        except jwt.InvalidTokenError as error:
            raise StorageError(400, "InvalidJWT", "InvalidJWT", _words(error)) from None


def _words(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return '"exp" claim timestamp check failed'
        case jwt.InvalidSignatureError():
            return "signature verification failed"
        case jwt.InvalidAlgorithmError():
            return '"alg" (Algorithm) Header Parameter value not allowed'
        case _:
            return "Invalid Compact JWS"


def storage_of(request: Request) -> Storage:
    """The shared part, from a handler."""
    return cast(Storage, request.app.state.storage)


def path_of(request: Request) -> str:
    """The path below /storage/v1."""
    return cast(str, request.scope["path"]).removeprefix(request.scope.get("root_path", "")) or "/"


def bucket_of(request: Request) -> str:
    """The bucket named in the path."""
    return cast(str, request.path_params["bucket"])


def key_of(request: Request) -> str:
    """The object name in the path."""
    return cast(str, request.path_params["key"])


def check_key(key: str) -> str:
    """The key, when it is one that a new object may have."""
    if not _KEY.fullmatch(key):
        raise invalid_key(key)
    return key


def owner_of(claims: Claims) -> tuple[uuid.UUID | None, str | None]:
    """What goes into `owner` (uuids only) and `owner_id`."""
    subject = claims.get("sub")
    try:
        return uuid.UUID(subject), subject
    except (TypeError, ValueError):
        return None, subject


async def one(conn: Connection, sql: str, *values: object) -> Row | None:
    """The first row, or None."""
    return await (await conn.execute(sql.encode(), values)).fetchone()


async def rows(conn: Connection, sql: str, *values: object) -> list[Row]:
    """All rows."""
    return await (await conn.execute(sql.encode(), values)).fetchall()


def jsonable(row: Row) -> Row:
    """The row as the service writes it: JavaScript times, text ids, no owner as empty text."""
    shown = {name: _plain(value) for name, value in row.items()}
    return {name: value or "" if name in ("owner", "owner_id") else value for name, value in shown.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return value if isinstance(value, dict | list | int | None) else str(value)


def iso(value: datetime) -> str:
    """A time as JavaScript's toISOString writes it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
