"""Moving, copying and removing objects."""

from starlette.requests import Request

from devstack.storage import body as fields
from devstack.storage.access import (
    OBJECT,
    Connection,
    Row,
    bucket_of,
    check_key,
    jsonable,
    key_of,
    one,
    owner_of,
    rows,
    storage_of,
)
from devstack.storage.errors import Json, access_denied, no_such_key
from devstack.storage.uploads import Upload, check_may_write, row_values, write

_FIND = f"select {OBJECT} from storage.objects where bucket_id = %s and name = %s"


async def move(request: Request) -> Json:
    """POST /object/move: needs SELECT and UPDATE."""
    body = await fields.read_json(request, "bucketId", "sourceKey", "destinationKey")
    bucket, source = fields.text(body, "bucketId"), fields.text(body, "sourceKey")
    target = check_key(fields.text(body, "destinationKey"))
    storage = storage_of(request)
    claims = storage.claims(request)
    async with storage.as_caller(request, "object.move", claims) as conn:
        done = await conn.execute(
            "update storage.objects set bucket_id = %s, name = %s, owner = %s, owner_id = %s"
            " where bucket_id = %s and name = %s",
            [fields.text(body, "destinationBucket", bucket), target, *owner_of(claims), bucket, source],
        )
        if not done.rowcount:
            raise no_such_key()
    return Json({"message": "Successfully moved"})


async def copy(request: Request) -> Json:
    """POST /object/copy: needs SELECT on the source and INSERT on the copy; `x-upsert` replaces."""
    body = await fields.read_json(request, "bucketId", "sourceKey", "destinationKey")
    bucket, source = fields.text(body, "bucketId"), fields.text(body, "sourceKey")
    target = check_key(fields.text(body, "destinationKey"))
    target_bucket = fields.text(body, "destinationBucket", bucket)
    is_upsert = request.headers.get("x-upsert") == "true"
    storage = storage_of(request)
    claims = storage.claims(request)
    async with storage.as_caller(request, "object.copy", claims) as conn:
        original = await _visible(conn, bucket, source)
    draft = storage.files.twin(original["id"], original["version"])
    try:
        upload = Upload(draft, original["metadata"], original["user_metadata"] or {})
        values = row_values(target_bucket, target, claims, upload)
        await check_may_write(storage, request, "object.copy", claims, values, is_upsert=is_upsert)
        row = await write(storage, draft, values, is_upsert=is_upsert)
    finally:
        draft.unlink(missing_ok=True)
    shown = {name: row[name] for name in OBJECT.split(", ")}
    return Json({"Key": f"{target_bucket}/{target}", "Id": str(row["id"]), **jsonable(shown)})


async def remove(request: Request) -> Json:
    """DELETE /object/{bucket}/{key}: needs SELECT and DELETE."""
    storage, where = storage_of(request), (bucket_of(request), key_of(request))
    claims = storage.claims(request)
    async with storage.as_service() as conn:
        await _visible(conn, *where)
    async with storage.as_caller(request, "object.delete", claims) as conn:
        sql = "delete from storage.objects where bucket_id = %s and name = %s returning id, version"
        gone = await one(conn, sql, *where)
    if gone is None:
        raise access_denied("Access denied")
    storage.files.remove(gone["id"], gone["version"])
    return Json({"message": "Successfully deleted"})


async def remove_many(request: Request) -> Json:
    """DELETE /object/{bucket}: the rows that went; what is missing or refused is left out."""
    body = await fields.read_json(request, "prefixes")
    keys, storage = fields.texts(body, "prefixes"), storage_of(request)
    async with storage.as_caller(request, "object.delete_many") as conn:
        sql = f"delete from storage.objects where bucket_id = %s and name = any(%s) returning {OBJECT}"
        gone = await rows(conn, sql, bucket_of(request), keys)
    for row in gone:
        storage.files.remove(row["id"], row["version"])
    return Json([jsonable(row) for row in gone])


async def _visible(conn: Connection, bucket: str, key: str) -> Row:
    found = await one(conn, _FIND, bucket, key)
    if found is None:
        raise no_such_key()
    return found
