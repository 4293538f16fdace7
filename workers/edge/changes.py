"""What a signed-in customer changes about the own access, confirmed with password and PIN each time."""

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.core.logs import event
from workers.edge.account_database import Change
from workers.edge.choices import check_password, check_pin
from workers.edge.database import Refusal
from workers.edge.endpoints import edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import (
    ConfirmedBody,
    EmailChangeBody,
    PasswordChangeBody,
    PinChangeBody,
    bearer_token,
    read_body,
)

log = logging.getLogger(__name__)

Value = Callable[[str], Awaitable[str | None]]
"""What is kept of a change, given whose it is; evaluated once password and PIN were right."""


async def change_password(request: Request) -> Response:
    """Set another password, and end all other sessions."""
    body = await read_body(request, PasswordChangeBody)
    password = body.new_password.get_secret_value()
    check_password(password)

    async def value(login: str) -> str:
        check_password(password, login)
        return await edge_of(request).verifier.hash(password)

    await _confirm(request, body, "password_changed", value)
    return Response(status_code=204)


async def change_pin(request: Request) -> Response:
    """Set another PIN for this device, and end all other sessions."""
    body = await read_body(request, PinChangeBody)
    pin = body.new_pin.get_secret_value()
    check_pin(pin)

    async def value(_: str) -> str:
        return await edge_of(request).verifier.hash(pin)

    await _confirm(request, body, "pin_changed", value)
    return Response(status_code=204)


async def change_email(request: Request) -> Response:
    """Have a link mailed to the new address; whether another has it already is not said."""
    body = await read_body(request, EmailChangeBody)

    async def value(_: str) -> str:
        return body.new_email

    await _confirm(request, body, "email_change_asked", value)
    return JSONResponse({}, status_code=202)


async def close_account(request: Request) -> Response:
    """End the customer's own access; the garage's records stay."""
    body = await read_body(request, ConfirmedBody)

    async def value(_: str) -> None:
        return None

    await _confirm(request, body, "account_closed", value)
    return Response(status_code=204)


async def _confirm(request: Request, body: ConfirmedBody, change: Change, value: Value) -> None:
    """Count, hash, settle: as a sign-in, and by the same counter. Raises EdgeError."""
    edge = edge_of(request)
    token = bearer_token(request)
    claims = edge.signer.verify(token)
    with edge.logins.enter():
        device = await edge.device(request, body, token)
        attempt = await edge.accounts.change_reserve(claims, device=device, client=edge.client(request))
        if isinstance(attempt, Refusal):
            raise EdgeError(attempt.error)
        if attempt.is_address_blocked:
            raise EdgeError("confirmation_refused")
        is_match = await edge.verifier.verify_pair(
            body.password.get_secret_value(),
            body.pin.get_secret_value(),
            attempt.password_hash,
            attempt.pin_hash,
        )
        is_ok = is_match and attempt.is_allowed
        refusal = await edge.accounts.change(
            attempt_id=attempt.attempt_id,
            is_ok=is_ok,
            change=change,
            value=await value(attempt.login) if is_ok else None,
        )
    if refusal:
        log.info(event("portal.change_refused", session=claims.session_id, change=change))
        raise EdgeError(refusal.error)
    log.info(event("portal.changed", session=claims.session_id, change=change))
