"""A further device, or a forgotten PIN: the password and a code from the mail bind an installation."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from workers.core.logs import event
from workers.edge.choices import check_pin
from workers.edge.database import Attempt, Device
from workers.edge.endpoints import Edge, accepted, edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import (
    DeviceConfirmBody,
    DeviceRequestBody,
    DeviceRevokeBody,
    bearer_token,
    read_body,
)
from workers.edge.tokens import sha256_hex

log = logging.getLogger(__name__)


async def request_code(request: Request) -> Response:
    """Have a code mailed when the password is right; settled after the answer, which is always the same."""
    edge = edge_of(request)
    body = await read_body(request, DeviceRequestBody)
    device = Device(body.device_id, body.fingerprint)
    with edge.logins.enter():
        attempt = await _reserve(edge, request, body, device)
        if attempt.is_address_blocked:
            return accepted(None)
        is_match = await edge.verifier.verify(body.password.get_secret_value(), attempt.password_hash)
    return accepted(
        lambda: edge.accounts.device_ask(
            attempt_id=attempt.attempt_id, is_ok=is_match and attempt.is_allowed, device=device
        )
    )


async def confirm(request: Request) -> Response:
    """Bind this installation by password and code, give it its PIN and sign in; refused as a login is."""
    edge = edge_of(request)
    body = await read_body(request, DeviceConfirmBody)
    pin = body.pin.get_secret_value()
    check_pin(pin)
    with edge.logins.enter():
        device = await edge.device(request, body)
        attempt = await _reserve(edge, request, body, device)
        if attempt.is_address_blocked:
            raise EdgeError("invalid_login")
        is_match = await edge.verifier.verify(body.password.get_secret_value(), attempt.password_hash)
        refresh_token = edge.refresh_tokens.new()
        session = await edge.accounts.device_finish(
            attempt_id=attempt.attempt_id,
            is_ok=is_match and attempt.is_allowed,
            code_sha256=sha256_hex(_code(body)),
            device=device,
            label=body.label,
            pin_hash=await edge.verifier.hash(pin),
            refresh_token_sha256=sha256_hex(refresh_token),
        )
    if session is None:
        log.info(event("portal.device_refused", garage=body.garage_id, attempt=attempt.attempt_id))
        raise EdgeError("invalid_login")
    log.info(event("portal.device_added", garage=session.garage_id, session=session.session_id))
    return edge.token_answer(session, refresh_token)


async def _reserve(edge: Edge, request: Request, body: DeviceRequestBody, device: Device) -> Attempt:
    return await edge.database.login_reserve(
        garage_id=body.garage_id,
        login=body.email,
        device=device,
        client=edge.client(request),
        purpose="device",
    )


def _code(body: DeviceConfirmBody) -> str:
    """As it was mailed: in capitals, without the spaces and dashes of people who type."""
    return body.code.get_secret_value().upper().replace(" ", "").replace("-", "")


async def revoke(request: Request) -> Response:
    """Put a device of one's own out of use, with its sessions."""
    edge = edge_of(request)
    claims = edge.signer.verify(bearer_token(request))
    body = await read_body(request, DeviceRevokeBody)
    refusal = await edge.accounts.revoke_device(claims, revoked_id=body.id)
    if refusal:
        raise EdgeError(refusal.error)
    log.info(event("portal.device_revoked", session=claims.session_id, device=body.id))
    return Response(status_code=204)
