"""Reading JSON bodies with the messages of the real service's schema validator."""

import json
import re
from typing import Any

from starlette.requests import Request

from devstack.storage.errors import invalid_request, mime_not_supported, too_large

MAX_BYTES = 50 * 1024 * 1024
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([gmk]?)b", re.IGNORECASE)
_FACTOR = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_MIME = re.compile(r"(\*|[\w+.-]+)/(\*|[\w+.-]+)", re.ASCII)
_BAD_SIZE = (
    'body/file_size_limit must be integer, body/file_size_limit must pass "finite" keyword validation, '
    'body/file_size_limit must match pattern "^[0-9]+(?:\\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$", '
    "body/file_size_limit must match a schema in anyOf"
)

Body = dict[str, Any]


async def read_json(request: Request, *required: str) -> Body:
    """The body as an object that has the required properties."""
    raw = await request.body()
    is_json = request.headers.get("content-type", "").startswith("application/json")
    value = _parse(raw) if is_json else None
    if not isinstance(value, dict):
        raise invalid_request("body must be object")
    for name in required:
        if value.get(name) is None:
            raise invalid_request(f"body must have required property '{name}'")
    return value


def _parse(raw: bytes) -> Any:
    content_type = "content-type is set to 'application/json'"
    if not raw:
        raise invalid_request(f"Body cannot be empty when {content_type}", "FastifyError")
    try:
        return json.loads(raw)
    except ValueError:
        raise invalid_request(f"Body is not valid JSON but {content_type}", "FastifyError") from None


def text(body: Body, name: str, default: str = "") -> str:
    """A string property."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise invalid_request(f"body/{name} must be string")
    return value


def integer(body: Body, name: str, default: int = 0, *, minimum: int = 0) -> int:
    """A whole number, also one written as text."""
    try:
        value = int(body.get(name, default))
    except (TypeError, ValueError):
        raise invalid_request(f"body/{name} must be integer") from None
    if value < minimum:
        raise invalid_request(f"body/{name} must be >= {minimum}")
    return value


def texts(body: Body, name: str) -> list[str]:
    """A list of at least one string."""
    value = body[name]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid_request(f"body/{name} must be array")
    if not value:
        raise invalid_request(f"body/{name} must NOT have fewer than 1 items")
    return value


def choice(value: object, where: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words; `where` is the place as the validator names it."""
    if value not in allowed:
        raise invalid_request(f"{where} must be equal to one of the allowed values")
    return str(value)


def size_limit(value: object) -> int | None:
    """A bucket's limit in bytes from a number or a text such as "1MB" (decimal units)."""
    if value is None:
        return None
    match = _SIZE.fullmatch(str(value))
    if match:
        size = int(float(match[1]) * _FACTOR[match[2].lower()])
    elif re.fullmatch(r"[0-9]+", str(value)):
        size = int(str(value))
    else:
        raise invalid_request(_BAD_SIZE)
    if size > MAX_BYTES:
        raise too_large()
    return size


def mime_types(value: object) -> list[str] | None:
    """A bucket's allowed media types; each is type/subtype, either may be a star."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid_request("body/allowed_mime_types must be array")
    for item in value:
        if not _MIME.fullmatch(str(item)):
            raise mime_not_supported(str(item))
    return [str(item) for item in value]
