"""The error bodies of Supabase Storage: nearly all HTTP 400, the meant status inside the body."""

from typing import Any

import psycopg
from starlette.responses import JSONResponse


class Json(JSONResponse):
    """JSON with the content type of the real service."""

    media_type = "application/json; charset=utf-8"


class StorageError(Exception):
    """A refusal: `status` goes into the body, `http_status` is what HTTP says."""

    def __init__(self, status: int, error: str, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(message)
        self.status, self.error, self.code, self.message = status, error, code, message
        self.http_status = http_status

    def response(self) -> Json:
        """The refusal as the service words it."""
        body = {"statusCode": str(self.status), "error": self.error, "message": self.message}
        return Json({**body, "code": self.code}, status_code=self.http_status)


def invalid_request(message: str, error: str = "Error") -> StorageError:
    """A body, query or header that does not fit its schema."""
    return StorageError(400, error, "InvalidRequest", message)


def no_such_bucket() -> StorageError:
    """The bucket is not there, or not for this caller."""
    return StorageError(404, "Bucket not found", "NoSuchBucket", "Bucket not found")


def no_such_key() -> StorageError:
    """The object is not there, or not for this caller."""
    return StorageError(404, "not_found", "NoSuchKey", "Object not found")


def access_denied(message: str, http_status: int = 400) -> StorageError:
    """The token is bad, or a policy refuses."""
    return StorageError(403, "Unauthorized", "AccessDenied", message, http_status)


def already_exists(code: str) -> StorageError:
    """`code` says what exists: BucketAlreadyExists, KeyAlreadyExists or ResourceAlreadyExists."""
    return StorageError(409, "Duplicate", code, "The resource already exists")


def invalid_key(key: str) -> StorageError:
    """The object name has characters that S3 does not take."""
    return StorageError(400, "InvalidKey", "InvalidKey", f"Invalid key: {key}")


def mime_not_supported(mime: str) -> StorageError:
    """The bucket does not take this media type."""
    return StorageError(415, "invalid_mime_type", "InvalidMimeType", f"mime type {mime} is not supported")


def too_large() -> StorageError:
    """More bytes than the bucket or the server takes."""
    return StorageError(
        413, "Payload too large", "EntityTooLarge", "The object exceeded the maximum allowed size"
    )


def from_database(error: psycopg.Error) -> StorageError:
    """What the service answers when PostgreSQL refuses."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return access_denied("new row violates row-level security policy")
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        return StorageError(404, "InvalidRequest", "InvalidRequest", "The related resource does not exist")
    if isinstance(error, psycopg.errors.UniqueViolation):
        return already_exists("ResourceAlreadyExists")
    message = f"database error, code: {error.sqlstate}"
    return StorageError(500, "DatabaseError", "DatabaseError", message, http_status=500)


def not_found_body(method: str, url: str) -> dict[str, Any]:
    """The body for an unknown route; image transformation is a known but disabled one."""
    message = f"Route {method}:{url} not found"
    body: dict[str, Any] = {"statusCode": 404, "error": "Not Found", "message": message}
    return {**body, "statusCode": "404", "code": "InvalidRequest"} if url.startswith("/render/") else body
