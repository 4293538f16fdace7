"""Signed URLs: tokens that carry one permission for one object for a while."""

import time
from typing import Any
from urllib.parse import quote

import jwt
from psycopg import Rollback
from starlette.requests import Request

from devstack.keys import Claims
from devstack.storage import body as fields
from devstack.storage.access import (
    Storage,
    bucket_of,
    check_key,
    key_of,
    one,
    owner_of,
    rows,
    storage_of,
)
from devstack.storage.errors import Json, StorageError, invalid_request, no_such_key

_UPLOAD_SECONDS = 2 * 3600
_REFUSED = "Either the object does not exist or you do not have access to it"


def _token(storage: Storage, scope: str, path: str, seconds: int, **more: object) -> str:
    now = int(time.time())
    payload = {**more, "url": path, "scope": scope, "iat": now, "exp": now + seconds}
    # The real service's tokens have no `typ`.
    return jwt.encode(payload, storage.keys.jwt_secret, algorithm="HS256", headers={"typ": ""})


def check_token(storage: Storage, request: Request, scope: str) -> dict[str, Any]:
    """The payload of ?token=…, when it opens this very object for this scope."""
    token = request.query_params.get("token")
    if token is None:
        raise invalid_request("querystring must have required property 'token'")
    payload = storage.verify(token)
    if payload.get("url") != f"{bucket_of(request)}/{key_of(request)}":
        raise StorageError(400, "InvalidSignature", "InvalidSignature", "Invalid signature")
    if payload.get("scope") != scope:
        message = f"Token is not scoped for {scope}"
        raise StorageError(400, "InvalidSignature", "InvalidSignature", message)
    return payload


async def sign(request: Request) -> Json:
    """POST /object/sign/{bucket}/{key}: needs the right to read the object."""
    body = await fields.read_json(request, "expiresIn")
    seconds = fields.integer(body, "expiresIn", minimum=1)
    storage, bucket, key = storage_of(request), bucket_of(request), key_of(request)
    async with storage.as_caller(request, "object.sign") as conn:
        sql = "select id from storage.objects where bucket_id = %s and name = %s"
        if await one(conn, sql, bucket, key) is None:
            raise no_such_key()
    return Json({"signedURL": _download_url(storage, bucket, key, seconds)})


async def sign_many(request: Request) -> Json:
    """POST /object/sign/{bucket}: one answer per path, refused ones with an error."""
    body = await fields.read_json(request, "expiresIn", "paths")
    seconds, paths = fields.integer(body, "expiresIn", minimum=1), fields.texts(body, "paths")
    storage, bucket = storage_of(request), bucket_of(request)
    async with storage.as_caller(request, "object.sign_many") as conn:
        sql = "select name from storage.objects where bucket_id = %s and name = any(%s)"
        readable = {row["name"] for row in await rows(conn, sql, bucket, paths)}
    signed = []
    for path in paths:
        url = _download_url(storage, bucket, path, seconds) if path in readable else None
        signed.append({"error": None if url else _REFUSED, "path": path, "signedURL": url})
    return Json(signed)


def _download_url(storage: Storage, bucket: str, key: str, seconds: int) -> str:
    path = f"{bucket}/{key}"
    return f"/object/sign/{quote(path)}?token={_token(storage, 'download', path, seconds)}"


async def sign_upload(request: Request) -> Json:
    """POST /object/upload/sign/{bucket}/{key}: needs the right to insert the object."""
    storage, bucket, key = storage_of(request), bucket_of(request), check_key(key_of(request))
    claims = storage.claims(request)
    await _check_may_insert(request, claims)
    path, is_upsert = f"{bucket}/{key}", request.headers.get("x-upsert") == "true"
    more = {"owner": claims.get("sub"), "upsert": is_upsert}
    token = _token(storage, "upload", path, _UPLOAD_SECONDS, **more)
    return Json({"url": f"/object/upload/sign/{quote(path)}?token={token}", "token": token})


async def _check_may_insert(request: Request, claims: Claims) -> None:
    async with storage_of(request).as_caller(request, "object.sign_upload_url", claims) as conn:
        await conn.execute(
            "insert into storage.objects (bucket_id, name, owner, owner_id, version)"
            " values (%s, %s, %s, %s, '1') on conflict do nothing",
            [bucket_of(request), key_of(request), *owner_of(claims)],
        )
        raise Rollback
