"""What the edge accepts: JSON bodies of a known shape, at most 16 KiB, from a known address.

A malformed body is refused with 422 before anything is looked up or counted, alike for everyone.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from starlette.requests import Request

from workers.edge.client_address import client_address
from workers.edge.database import Client
from workers.edge.errors import EdgeError
from workers.edge.settings import Network
from workers.edge.tokens import REFRESH_TOKEN_PATTERN

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10
MAX_USER_AGENT = 300


def _shaped(pattern: str) -> AfterValidator:
    def check(secret: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError("has another shape")
        return secret

    return AfterValidator(check)


# PostgreSQL's text has no NUL.
Text = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"\A[^\x00]+\z")]
Secret = Annotated[SecretStr, Field(min_length=8, max_length=128)]
Pin = Annotated[SecretStr, _shaped("[0-9]{6}")]
RefreshToken = Annotated[SecretStr, _shaped(REFRESH_TOKEN_PATTERN)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LoginBody(_Body):
    """POST /portal/login. `device_id` and `fingerprint` are what the app derived on this install."""

    garage_id: UUID
    email: Text
    password: Secret
    pin: Pin
    device_id: Text
    fingerprint: Text


class RefreshBody(_Body):
    """POST /portal/refresh."""

    refresh_token: RefreshToken
    device_id: Text
    fingerprint: Text


class LogoutBody(_Body):
    """POST /portal/logout."""

    refresh_token: RefreshToken


class DocumentBody(_Body):
    """POST /portal/documents and POST /invoices/pdf."""

    invoice_id: UUID


class PhotoBody(_Body):
    """POST /portal/photos: the message that brought the photo."""

    message_id: UUID


Body = TypeVar("Body", bound=_Body)


async def read_body(request: Request, model: type[Body]) -> Body:
    """Return the JSON body as `model`.

    Raises EdgeError: `unsupported_media_type`, `request_too_large`, `request_timeout`, `invalid_request`.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise EdgeError("unsupported_media_type")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await _read_limited(request)
    except TimeoutError:
        raise EdgeError("request_timeout") from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise EdgeError("invalid_request", fields=_wrong_fields(model, error)) from None


async def _read_limited(request: Request) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise EdgeError("request_too_large")
    return bytes(raw)


def _wrong_fields(model: type[BaseModel], error: ValidationError) -> tuple[str, ...]:
    # Only names of ours: an unknown field's name is the caller's text, and might be a secret.
    wrong = {part for details in error.errors(include_input=False) for part in details["loc"][:1]}
    return tuple(name for name in model.model_fields if name in wrong)


def bearer_token(request: Request) -> str:
    """Return the Authorization header's bearer token. Raises EdgeError `invalid_token`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise EdgeError("invalid_token")
    return token.strip()


def client_of(request: Request, trusted_proxies: Sequence[Network]) -> Client:
    """Return who is asking, behind the proxies we trust."""
    peer = request.client.host if request.client else ""
    forwarded_for = request.headers.getlist("x-forwarded-for")
    user_agent = request.headers.get("user-agent", "")[:MAX_USER_AGENT]
    return Client(client_address(peer, forwarded_for, trusted_proxies), user_agent)
