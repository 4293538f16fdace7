"""Writing objects: upload, update, upsert, and uploads by signed URL."""

import base64
import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from devstack.keys import Claims
from devstack.storage.access import (
    Row,
    Storage,
    bucket_of,
    check_key,
    iso,
    key_of,
    one,
    owner_of,
    storage_of,
)
from devstack.storage.body import MAX_BYTES
from devstack.storage.errors import (
    Json,
    StorageError,
    already_exists,
    invalid_key,
    invalid_request,
    mime_not_supported,
    too_large,
)
from devstack.storage.signing import check_token

_CHUNK = 256 * 1024
_COLUMNS = "(id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)"
_VALUES = (
    "(%(id)s, %(bucket)s, %(key)s, %(owner)s, %(owner_id)s, %(version)s, %(metadata)s, %(user_metadata)s)"
)
_INSERT = f"insert into storage.objects {_COLUMNS} values {_VALUES}"
_UPSERT = (
    f"{_INSERT} on conflict (bucket_id, name) do update set owner = excluded.owner,"
    " owner_id = excluded.owner_id, version = excluded.version, metadata = excluded.metadata,"
    " user_metadata = excluded.user_metadata, last_accessed_at = now()"
)


@dataclass(frozen=True)
class Upload:
    """Bytes received into a draft file, and what was said about them."""

    draft: Path
    metadata: dict[str, Any]
    user_metadata: dict[str, Any]


async def post(request: Request) -> Json:
    """POST /object/{bucket}/{key}: a new object; replaces only with `x-upsert: true`."""
    return await _upload(request, "object.upload", is_upsert=request.headers.get("x-upsert") == "true")


async def put(request: Request) -> Json:
    """PUT /object/{bucket}/{key}: replaces, or creates what is not there."""
    return await _upload(request, "object.upload_update", is_upsert=True)


async def put_signed(request: Request) -> Json:
    """PUT /object/upload/sign/{bucket}/{key}?token=…: the token carries the permission."""
    storage, bucket, key = storage_of(request), bucket_of(request), key_of(request)
    token = check_token(storage, request, "upload")
    limits = await storage.bucket(bucket)
    async with receive(storage, request, limits) as upload:
        values = row_values(bucket, key, {"sub": token.get("owner")}, upload)
        await write(storage, upload.draft, values, is_upsert=bool(token.get("upsert")))
    return Json({"Key": f"{bucket}/{key}"})


async def _upload(request: Request, operation: str, *, is_upsert: bool) -> Json:
    storage, bucket, key = storage_of(request), bucket_of(request), check_key(key_of(request))
    claims = storage.claims(request)
    limits = await storage.bucket(bucket)
    async with receive(storage, request, limits) as upload:
        values = row_values(bucket, key, claims, upload)
        await check_may_write(storage, request, operation, claims, values, is_upsert=is_upsert)
        written = await write(storage, upload.draft, values, is_upsert=is_upsert)
    return Json({"Key": f"{bucket}/{key}", "Id": str(written["id"])})


def row_values(bucket: str, key: str, claims: Claims, upload: Upload) -> Row:
    """The values of a row for these bytes. Raises InvalidKey for a path that climbs."""
    version = str(uuid.uuid4())
    if {".", ".."} & set(key.split("/")):
        # The words of the file backend, which names its tenant "stub".
        raise invalid_key(f"stub/stub/{bucket}/{key}/{version} contains dot path segment")
    owner, owner_id = owner_of(claims)
    return {
        "id": uuid.uuid4(),
        "bucket": bucket,
        "key": key,
        "owner": owner,
        "owner_id": owner_id,
        "version": version,
        "metadata": Jsonb(upload.metadata),
        "user_metadata": Jsonb(upload.user_metadata),
    }


async def check_may_write(
    storage: Storage, request: Request, operation: str, claims: Claims, values: Row, *, is_upsert: bool
) -> None:
    """Try the write under the caller's policies and undo it."""
    async with storage.as_caller(request, operation, claims) as conn:
        try:
            await conn.execute((_UPSERT if is_upsert else _INSERT).encode(), values)
        except psycopg.errors.UniqueViolation:
            raise already_exists("KeyAlreadyExists") from None
        raise psycopg.Rollback


async def write(storage: Storage, draft: Path, values: Row, *, is_upsert: bool) -> Row:
    """Place the bytes and write the row, which is returned; the replaced version's bytes go last."""
    where = "where bucket_id = %s and name = %s"
    async with storage.as_service() as conn:
        old = await one(
            conn,
            f"select id, version from storage.objects {where} for update",
            values["bucket"],
            values["key"],
        )
        try:
            sql = (_UPSERT if is_upsert else _INSERT) + " returning *"
            row = await (await conn.execute(sql.encode(), values)).fetchone()
        except psycopg.errors.UniqueViolation:
            raise already_exists("KeyAlreadyExists") from None
        assert row is not None
        storage.files.place(draft, row["id"], values["version"])
    if old:
        storage.files.remove(old["id"], old["version"])
    return row


@contextlib.asynccontextmanager
async def receive(storage: Storage, request: Request, bucket: Row) -> AsyncIterator[Upload]:
    """The request's bytes in a draft that vanishes unless it is placed."""
    draft = storage.files.draft()
    limit = min(bucket["file_size_limit"] or MAX_BYTES, MAX_BYTES)
    is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
    try:
        received = await (_form if is_form else _raw)(request, bucket, draft, limit)
        yield received
    finally:
        draft.unlink(missing_ok=True)


async def _raw(request: Request, bucket: Row, draft: Path, limit: int) -> Upload:
    mime = request.headers.get("content-type", "application/octet-stream")
    check_mime(mime, bucket["allowed_mime_types"])
    size, md5 = await _save(_limited(request.stream(), limit), draft)
    cache_control = request.headers.get("cache-control", "no-cache")
    user_metadata = _decoded(request.headers.get("x-metadata"))
    return Upload(draft, _metadata(mime, cache_control, size, md5), user_metadata)


async def _form(request: Request, bucket: Row, draft: Path, limit: int) -> Upload:
    # The other parts and the boundaries need some room beside the file.
    parser = MultiPartParser(request.headers, _limited(request.stream(), limit + 64 * 1024))
    form = await parser.parse()
    try:
        file = next((part for part in form.values() if isinstance(part, UploadFile)), None)
        if file is None:
            raise invalid_request("body must have required property 'file'")
        mime = file.content_type or "application/octet-stream"
        check_mime(mime, bucket["allowed_mime_types"])
        size, md5 = await _save(_limited(_chunks(file), limit), draft)
        age = form.get("cacheControl")
        cache_control = f"max-age={age}" if age else "no-cache"
        return Upload(draft, _metadata(mime, cache_control, size, md5), _parsed(form.get("metadata")))
    finally:
        await form.close()


def check_mime(mime: str, allowed: list[str] | None) -> None:
    """Raise when the bucket does not take this media type, or when it is none."""
    plain = mime.split(";")[0].strip().lower()
    if not re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", plain, re.ASCII):
        raise StorageError(415, "invalid_mime_type", "InvalidMimeType", "Invalid Content-Type header")
    for pattern in allowed or ["*/*"]:
        if pattern in ("*", "*/*", plain) or (pattern.endswith("/*") and plain.startswith(pattern[:-1])):
            return
    raise mime_not_supported(plain)


def _metadata(mime: str, cache_control: str, size: int, md5: str) -> dict[str, Any]:
    return {
        "eTag": f'"{md5}"',
        "size": size,
        "mimetype": mime,
        "cacheControl": cache_control,
        "lastModified": iso(datetime.now(UTC)),
        "contentLength": size,
        "httpStatusCode": 200,
    }


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncGenerator[bytes, None]:
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if seen > limit:
            raise too_large()
        yield chunk


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK):
        yield chunk


async def _save(chunks: AsyncIterator[bytes], target: Path) -> tuple[int, str]:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with target.open("wb") as out:
        async for chunk in chunks:
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _decoded(header: str | None) -> dict[str, Any]:
    try:
        return _parsed(base64.b64decode(header or "", validate=True).decode())
    except ValueError:
        return {}


def _parsed(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
