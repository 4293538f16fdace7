"""Reading objects: bytes and info; public buckets by-pass policies."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from devstack.storage.access import (
    OBJECT,
    Row,
    Storage,
    bucket_of,
    iso,
    jsonable,
    key_of,
    rows,
    storage_of,
)
from devstack.storage.errors import Json, StorageError, no_such_bucket, no_such_key
from devstack.storage.signing import check_token

_FIND = f"select {OBJECT} from storage.objects where bucket_id = %s and name = %s"
_CHUNK = 256 * 1024


async def get(request: Request) -> Response:
    """GET /object/{bucket}/{key}: without a token, public buckets only."""
    return await _serve(request, await _readable(request, "object.get_authenticated"))


async def get_authenticated(request: Request) -> Response:
    """GET /object/authenticated/{bucket}/{key}."""
    storage_of(request).claims(request)
    return await get(request)


async def get_public(request: Request) -> Response:
    """GET /object/public/{bucket}/{key}."""
    return await _serve(request, await _public(request))


async def get_signed(request: Request) -> Response:
    """GET /object/sign/{bucket}/{key}?token=…."""
    storage = storage_of(request)
    check_token(storage, request, "download")
    row = await _as_service(storage, bucket_of(request), key_of(request))
    return await _serve(request, row, is_signed=True)


async def info(request: Request) -> Response:
    """GET /object/info/[authenticated/]{bucket}/{key}."""
    return _info(await _readable(request, "object.info"))


async def info_public(request: Request) -> Response:
    """GET /object/info/public/{bucket}/{key}."""
    return _info(await _public(request))


async def _readable(request: Request, operation: str) -> Row:
    storage, bucket, key = storage_of(request), bucket_of(request), key_of(request)
    claims = storage.claims(request) if "authorization" in request.headers else None
    if (await storage.bucket(bucket))["public"]:
        return await _as_service(storage, bucket, key)
    if claims is None:
        raise no_such_bucket()
    async with storage.as_caller(request, operation, claims) as conn:
        return _found(await rows(conn, _FIND, bucket, key))


async def _public(request: Request) -> Row:
    storage, bucket = storage_of(request), bucket_of(request)
    if not (await storage.bucket(bucket))["public"]:
        raise no_such_bucket()
    return await _as_service(storage, bucket, key_of(request))


async def _as_service(storage: Storage, bucket: str, key: str) -> Row:
    async with storage.as_service() as conn:
        return _found(await rows(conn, _FIND, bucket, key))


def _found(found: list[Row]) -> Row:
    if not found:
        raise no_such_key()
    return found[0]


def _info(row: Row) -> Json:
    facts = row["metadata"]
    shown = jsonable({name: row[name] for name in ("id", "name", "version", "bucket_id")})
    body = {
        **shown,
        "size": facts["size"],
        "content_type": facts["mimetype"],
        "cache_control": facts["cacheControl"],
        "etag": facts["eTag"],
        "metadata": row["user_metadata"] or {},
        "last_modified": iso(row["updated_at"]),
        "created_at": iso(row["created_at"]),
    }
    described = {
        "etag": body["etag"],
        "cache-control": body["cache_control"],
        "last-modified": _modified(row),
    }
    return Json(body, headers=described)


async def _serve(request: Request, row: Row, *, is_signed: bool = False) -> Response:
    headers = _headers(request, row)
    if is_signed:
        del headers["cache-control"]
    if _is_fresh(request, headers):
        return Response(status_code=304, headers=headers)
    start, end, status = _range(request, row["metadata"]["size"])
    headers["content-length"] = str(end - start)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{row['metadata']['size']}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    file = _open(storage_of(request).files.path(row["id"], row["version"]))
    return StreamingResponse(_bytes(file, start, end), status_code=status, headers=headers)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        # Replaced or removed since its row was read.
        raise no_such_key() from None


def _headers(request: Request, row: Row) -> dict[str, str]:
    facts = row["metadata"]
    mime = str(facts["mimetype"])
    headers = {
        # Pages are shown as text, so that nobody's upload runs in our origin.
        "content-type": "text/plain" if mime.startswith("text/html") else mime,
        "cache-control": str(facts["cacheControl"]),
        "etag": str(facts["eTag"]),
        "last-modified": _modified(row),
        "accept-ranges": "bytes",
        "x-robots-tag": "none",
    }
    if "download" in request.query_params:
        name = quote(request.query_params["download"], safe="!'()*")
        headers["content-disposition"] = "attachment;" + (
            f" filename={name}; filename*=UTF-8''{name}" if name else ""
        )
    return headers


def _modified(row: Row) -> str:
    return format_datetime(
        datetime.fromisoformat(row["metadata"]["lastModified"]).astimezone(UTC), usegmt=True
    )


def _is_fresh(request: Request, headers: dict[str, str]) -> bool:
    if tags := request.headers.get("if-none-match"):
        return headers["etag"] in (tag.strip().removeprefix("W/") for tag in tags.split(",")) or tags == "*"
    try:
        since = parsedate_to_datetime(request.headers["if-modified-since"])
    except (KeyError, ValueError):
        return False
    return parsedate_to_datetime(headers["last-modified"]) <= since.replace(tzinfo=since.tzinfo or UTC)


def _range(request: Request, size: int) -> tuple[int, int, int]:
    """First byte, byte after the last, and HTTP status (RFC 9110, section 14; one range only)."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not match or match[0] == "bytes=-":
        return 0, size, 200
    if match[1]:
        start, end = int(match[1]), min(int(match[2] or size), size - 1) + 1
    else:
        start, end = max(size - int(match[2]), 0), size
    if start >= end:
        raise StorageError(416, "invalid_range", "InvalidRange", "invalid range provided", http_status=416)
    return start, end, 206


async def _bytes(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (chunk := await run_in_threadpool(file.read, min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk
