"""What the edge accepts: JSON bodies of a known shape, at most 16 KiB, from a known address.

A malformed body is refused with 422 before anything is looked up or counted, alike for everyone.
"""

import asyncio
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
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


def _long_enough(password: SecretStr) -> SecretStr:
    # Counted as it is hashed: a letter and its accent are one character, however they were typed.
    if not 8 <= len(unicodedata.normalize("NFC", password.get_secret_value())) <= 128:
        raise ValueError("has 8 to 128 characters")
    return password


# PostgreSQL's text has no NUL.
Text = Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=r"\A[^\x00]+\z")]
Label = Annotated[str, StringConstraints(max_length=80, pattern=r"\A[^\x00]+\z")]
# As private.is_email has it.
Email = Annotated[
    Text,
    StringConstraints(
        strip_whitespace=True, max_length=254, pattern=r'\A[^\s@"<>(),;:\\]+@[^\s@.]+(\.[^\s@.]+)+\z'
    ),
]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
Pin = Annotated[SecretStr, _shaped("[0-9]{6}")]
Code = Annotated[SecretStr, _shaped("[0-9A-Za-z -]{12,24}")]
MailedToken = Annotated[SecretStr, _shaped("[A-Za-z0-9_-]{16,128}")]
RefreshToken = Annotated[SecretStr, _shaped(REFRESH_TOKEN_PATTERN)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DeviceBody(_Body):
    """What the app derived on this installation, beside what else it says."""

    device_id: Text
    fingerprint: Text


class LoginBody(DeviceBody):
    """POST /portal/login."""

    garage_id: UUID
    email: Text
    password: Secret
    pin: Pin


class RefreshBody(DeviceBody):
    """POST /portal/refresh."""

    refresh_token: RefreshToken


class LogoutBody(_Body):
    """POST /portal/logout."""

    refresh_token: RefreshToken


class ActivateBody(DeviceBody):
    """POST /portal/activate: the token of an invitation's mail, and what its owner chose."""

    token: MailedToken
    password: Secret
    pin: Pin
    label: Label | None = None


class ForgotBody(_Body):
    """POST /portal/password/forgot."""

    garage_id: UUID
    email: Text


class ResetBody(_Body):
    """POST /portal/password/reset."""

    token: MailedToken
    password: Secret


class DeviceRequestBody(DeviceBody):
    """POST /portal/devices/request."""

    garage_id: UUID
    email: Text
    password: Secret


class DeviceConfirmBody(DeviceRequestBody):
    """POST /portal/devices/confirm: the code of the mail, and the PIN for this device."""

    code: Code
    pin: Pin
    label: Label | None = None


class ConfirmedBody(DeviceBody):
    """What every change is confirmed with; POST /portal/account/close says no more."""

    password: Secret
    pin: Pin


class PasswordChangeBody(ConfirmedBody):
    """POST /portal/password/change."""

    new_password: Secret


class PinChangeBody(ConfirmedBody):
    """POST /portal/pin/change."""

    new_pin: Pin


class EmailChangeBody(ConfirmedBody):
    """POST /portal/email/change."""

    new_email: Email


class EmailConfirmBody(_Body):
    """POST /portal/email/confirm."""

    token: MailedToken


class DeviceRevokeBody(_Body):
    """POST /portal/devices/revoke: an id of `portal.devices`."""

    id: UUID


class SessionEndBody(_Body):
    """POST /portal/sessions/end: an id of `portal.sessions`; null is every one."""

    id: UUID | None


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
    raw = await read_raw(request, MAX_BODY_BYTES)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise EdgeError("invalid_request", fields=_wrong_fields(model, error)) from None


async def read_raw(request: Request, max_bytes: int) -> bytes:
    """Return the body as it came. Raises EdgeError: `request_too_large`, `request_timeout`."""
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > max_bytes:
                    raise EdgeError("request_too_large")
    except TimeoutError:
        raise EdgeError("request_timeout") from None
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
