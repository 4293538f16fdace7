"""Listings of a bucket, of what the caller's policies show: by folders, and page by page."""

import base64
from typing import Any

from starlette.requests import Request

from devstack.storage import body as fields
from devstack.storage.access import Connection, Row, bucket_of, jsonable, storage_of
from devstack.storage.body import Body
from devstack.storage.errors import Json, StorageError

_SORTABLE = ("name", "updated_at", "created_at", "last_accessed_at")
_SORTABLE_V2 = ("name", "updated_at", "created_at")
_ORDERS = ("asc", "desc")
_MOST = 1000
_LIST = """
    with found as (
        select o.*, o.path_tokens[%(level)s] as part, cardinality(o.path_tokens) > %(level)s as is_folder
        from storage.objects as o
        where o.bucket_id = %(bucket)s and starts_with(lower(o.name), lower(%(start)s))
    ), entries as (
        select distinct part as name, null::uuid as id, null::timestamptz as updated_at,
            null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
        from found where is_folder
        union all
        select part, id, updated_at, created_at, last_accessed_at, metadata
        from found where not is_folder
    )
    select * from entries order by {order} limit %(limit)s offset %(offset)s
"""
_LIST_V2 = """
    with found as (
        select o.*, o.path_tokens[%(level)s] as key,
            %(with_delimiter)s and cardinality(o.path_tokens) > %(level)s as is_folder
        from storage.objects as o
        where o.bucket_id = %(bucket)s and starts_with(o.name, %(prefix)s)
    ), entries as (
        select distinct key, array_to_string(path_tokens[:%(level)s], '/') || '/' as name, null::uuid as id,
            null::timestamptz as updated_at, null::timestamptz as created_at,
            null::timestamptz as last_accessed_at, null::jsonb as metadata
        from found where is_folder
        union all
        select key, name, id, updated_at, created_at, last_accessed_at, metadata
        from found where not is_folder
    )
    select * from entries
    where %(after)s::text is null
        or ({moment}, name collate "C") {beyond} (%(after_moment)s::timestamptz, %(after)s)
    order by {moment} {order}, name collate "C" {order}
    limit %(limit)s
"""


async def index(request: Request) -> Json:
    """POST /object/list/{bucket}: what lies directly below the prefix, folders as rows of nulls."""
    body = await fields.read_json(request, "prefix")
    column, order = _sorting(body, _SORTABLE)
    folder = fields.text(body, "prefix")
    folder += "/" if folder and not folder.endswith("/") else ""
    values = {
        "bucket": bucket_of(request),
        "level": folder.count("/") + 1,
        "start": folder + fields.text(body, "search"),
        "limit": fields.integer(body, "limit", 100, minimum=1),
        "offset": fields.integer(body, "offset"),
    }
    by_name = f'lower(name) collate "C" {order}'
    sorting = by_name if column == "name" else f"{column} {order} nulls first, {by_name}"
    async with storage_of(request).as_caller(request, "object.list") as conn:
        found = await _rows(conn, _LIST.replace("{order}", sorting), values)
    return Json([jsonable(row) for row in found])


async def index_v2(request: Request) -> Json:
    """POST /object/list-v2/{bucket}: all keys with the prefix, in pages; with a delimiter, by folders."""
    body = await fields.read_json(request)
    cursor = _decoded(fields.text(body, "cursor"))
    column, order = _sorting(body, _SORTABLE_V2)
    column, order = cursor.get("c", column), cursor.get("o", order)
    prefix, limit = fields.text(body, "prefix"), min(fields.integer(body, "limit", _MOST, minimum=1), _MOST)
    values = {
        "bucket": bucket_of(request),
        "prefix": prefix,
        "level": prefix.count("/") + 1,
        "with_delimiter": body.get("with_delimiter") is True,
        "after": cursor.get("l"),
        "after_moment": cursor.get("a", "-infinity"),
        "limit": limit + 1,
    }
    # Folders have no times; and by name alone, all times are one.
    moment = "'-infinity'::timestamptz" if column == "name" else f"coalesce({column}, '-infinity')"
    sql = _LIST_V2.format(moment=moment, order=order, beyond=">" if order == "asc" else "<")
    async with storage_of(request).as_caller(request, "object.list_v2") as conn:
        found = await _rows(conn, sql, values)
    return Json(_page(found, limit, column, order, has_keys=bool(values["with_delimiter"])))


def _page(found: list[Row], limit: int, column: str, order: str, *, has_keys: bool) -> dict[str, Any]:
    names = [name for name in found[0] if has_keys or name != "key"] if found else []
    shown = [jsonable({name: row[name] for name in names}) for row in found[:limit]]
    page: dict[str, Any] = {"hasNext": len(found) > limit}
    if page["hasNext"]:
        last = found[limit - 1]
        moment = last[column].isoformat() if column != "name" and last[column] else None
        page["nextCursor"] = _encoded({"l": last["name"], "o": order, "c": column, "a": moment})
        page["nextCursorKey"] = last["name"]
    folders, objects = (
        [row for row in shown if (row["id"] is None) is is_folder] for is_folder in (True, False)
    )
    return {**page, "folders": folders, "objects": objects}


def _sorting(body: Body, columns: tuple[str, ...]) -> tuple[str, str]:
    sort = body.get("sortBy") or {}
    column = fields.choice(sort.get("column", "name"), "body/sortBy/column", columns)
    return column, fields.choice(sort.get("order", "asc"), "body/sortBy/order", _ORDERS)


def _encoded(parts: dict[str, str | None]) -> str:
    text = "\n".join(f"{name}:{value}" for name, value in parts.items() if value)
    return base64.b64encode(text.encode()).decode()


def _decoded(cursor: str) -> dict[str, str]:
    """The parts of a cursor: `l` last name, `o` order, `c` column, `a` its last value."""
    try:
        lines = base64.b64decode(cursor, validate=True).decode().splitlines()
        parts = dict(line.split(":", 1) for line in lines)
    except ValueError:
        parts = {"": ""}
    is_ours = parts.get("c", "name") in _SORTABLE_V2 and parts.get("o", "asc") in _ORDERS
    if not is_ours or not parts.keys() <= {"l", "o", "c", "a"}:
        raise StorageError(400, "InvalidParameter", "InvalidParameter", "Invalid Parameter cursor")
    return parts


async def _rows(conn: Connection, sql: str, values: dict[str, Any]) -> list[Row]:
    return await (await conn.execute(sql.encode(), values)).fetchall()
