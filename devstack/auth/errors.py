"""Refusals in the two shapes that Supabase Auth's API versions have."""

from starlette.requests import Request
from starlette.responses import JSONResponse

VERSION_HEADER = "X-Supabase-Api-Version"
NEW_SHAPE = "2024-01-01"


class AuthError(Exception):
    """A refusal: HTTP status, stable code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


async def render(request: Request, error: Exception) -> JSONResponse:
    """The answer for an AuthError, in the shape that the request's API version asks for."""
    assert isinstance(error, AuthError)
    version = request.headers.get(VERSION_HEADER, "")
    headers = {"x-sb-error-code": error.code}
    if version >= NEW_SHAPE:
        body: dict[str, object] = {"code": error.code, "message": error.message}
        headers[VERSION_HEADER] = version
    else:
        body = {"code": error.status, "error_code": error.code, "msg": error.message}
    return JSONResponse(body, status_code=error.status, headers=headers)


async def render_unexpected(request: Request, _: Exception) -> JSONResponse:
    """The answer for anything nobody foresaw."""
    message = "Unexpected failure, please check server logs for more information"
    return await render(request, AuthError(500, "unexpected_failure", message))
