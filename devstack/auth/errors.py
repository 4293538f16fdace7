"""Refusals in the two shapes that Supabase Auth's API versions have."""

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

VERSION_HEADER = "X-Supabase-Api-Version"
NEW_SHAPE = "2024-01-01"


class AuthError(Exception):
    """A refusal: HTTP status, stable code, message, and what else its body tells."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def invalid(message: str) -> AuthError:
    """What is asked makes no sense: 400 `validation_failed`."""
    return AuthError(400, "validation_failed", message)


async def render(request: Request, error: Exception) -> JSONResponse:
    """The answer for an AuthError, in the shape that the request's API version asks for."""
    assert isinstance(error, AuthError)
    version = request.headers.get(VERSION_HEADER, "")
    headers = {"x-sb-error-code": error.code}
    if version >= NEW_SHAPE:
        body: dict[str, object] = {"code": error.code, "message": error.message}
        headers[VERSION_HEADER] = NEW_SHAPE
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
        if error.status >= 500:
            body["error_id"] = str(uuid.uuid4())
    return JSONResponse(body | error.details, status_code=error.status, headers=headers)


async def render_unexpected(request: Request, _: Exception) -> JSONResponse:
    """The answer for anything nobody foresaw."""
    message = "Unexpected failure, please check server logs for more information"
    return await render(request, AuthError(500, "unexpected_failure", message))
