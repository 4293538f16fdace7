"""Buckets: create, list, get, update, empty, delete."""

import re

import psycopg
from starlette.requests import Request

from devstack.storage import body as fields
from devstack.storage.access import bucket_of, jsonable, one, owner_of, rows, storage_of
from devstack.storage.errors import (
    Json,
    StorageError,
    access_denied,
    already_exists,
    no_such_bucket,
)

_NAME = re.compile(r"[\w!.*'() &$@=;:+,?-]{1,100}", re.ASCII)
_GET = "id, name, owner, public, file_size_limit, allowed_mime_types, created_at, updated_at"
_LIST = _GET.replace("public,", "public, type::text,")
_SORTABLE = ("id", "name", "created_at", "updated_at")


async def create(request: Request) -> Json:
    """POST /bucket."""
    body = await fields.read_json(request, "name")
    name = fields.text(body, "name")
    if not _NAME.fullmatch(name):
        raise StorageError(400, "Invalid Input", "InvalidBucketName", "Bucket name invalid")
    limits = fields.size_limit(body.get("file_size_limit")), fields.mime_types(body.get("allowed_mime_types"))
    storage = storage_of(request)
    claims = storage.claims(request)
    async with storage.as_caller(request, "bucket.create", claims) as conn:
        try:
            await conn.execute(
                "insert into storage.buckets"
                " (id, name, public, file_size_limit, allowed_mime_types, owner, owner_id)"
                " values (%s, %s, %s, %s, %s, %s, %s)",
                [fields.text(body, "id", name), name, bool(body.get("public")), *limits, *owner_of(claims)],
            )
        except psycopg.errors.UniqueViolation:
            raise already_exists("BucketAlreadyExists") from None
    return Json({"name": name})


async def index(request: Request) -> Json:
    """GET /bucket, sorted by age unless asked otherwise."""
    query = request.query_params
    column = fields.choice(query.get("sortColumn", "created_at"), "querystring/sortColumn", _SORTABLE)
    order = fields.choice(query.get("sortOrder", "asc"), "querystring/sortOrder", ("asc", "desc"))
    async with storage_of(request).as_caller(request, "bucket.list") as conn:
        found = await rows(
            conn,
            f"select {_LIST} from storage.buckets where strpos(lower(name), lower(%s)) > 0"
            f" order by {column} {order} limit %s offset %s",
            query.get("search", ""),
            query.get("limit"),
            query.get("offset"),
        )
    return Json([jsonable(row) for row in found])


async def get(request: Request) -> Json:
    """GET /bucket/{bucket}."""
    async with storage_of(request).as_caller(request, "bucket.get") as conn:
        found = await one(conn, f"select {_GET} from storage.buckets where id = %s", bucket_of(request))
    if found is None:
        raise no_such_bucket()
    return Json(jsonable(found))


async def update(request: Request) -> Json:
    """PUT /bucket/{bucket}: what the body names is changed, the rest stays."""
    body = await fields.read_json(request)
    changes: dict[str, object] = {"id": bucket_of(request)}
    if "public" in body:
        changes["public"] = bool(body["public"])
    if "file_size_limit" in body:
        changes["file_size_limit"] = fields.size_limit(body["file_size_limit"])
    if "allowed_mime_types" in body:
        changes["allowed_mime_types"] = fields.mime_types(body["allowed_mime_types"])
    assignments = ", ".join(f"{name} = %s" for name in changes)
    async with storage_of(request).as_caller(request, "bucket.update") as conn:
        sql = f"update storage.buckets set {assignments} where id = %s"
        done = await conn.execute(sql.encode(), [*changes.values(), bucket_of(request)])
    if not done.rowcount:
        raise no_such_bucket()
    return Json({"message": "Successfully updated"})


async def empty(request: Request) -> Json:
    """POST /bucket/{bucket}/empty: for the service role only, done before the answer."""
    storage, bucket = storage_of(request), bucket_of(request)
    if storage.claims(request).get("role") != "service_role":
        raise access_denied("Access denied: Invalid role", http_status=403)
    await storage.bucket(bucket)
    async with storage.as_service() as conn:
        gone = await rows(
            conn, "delete from storage.objects where bucket_id = %s returning id, version", bucket
        )
    for row in gone:
        storage.files.remove(row["id"], row["version"])
    return Json({"message": "Empty bucket has been queued. Completion may take up to an hour."})


async def delete(request: Request) -> Json:
    """DELETE /bucket/{bucket}: an empty one only."""
    storage, bucket = storage_of(request), bucket_of(request)
    async with storage.as_caller(request, "bucket.delete") as conn:
        try:
            done = await conn.execute("delete from storage.buckets where id = %s", [bucket])
        except psycopg.errors.ForeignKeyViolation:
            message = "The bucket you tried to delete is not empty"
            raise StorageError(409, "ResourceNotEmpty", "ResourceNotEmpty", message) from None
    if not done.rowcount:
        raise no_such_bucket()
    return Json({"message": "Successfully deleted"})
