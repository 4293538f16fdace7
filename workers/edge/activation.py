"""A customer accepts the garage's invitation: password, device and PIN, and is signed in."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from workers.core.logs import event
from workers.edge.choices import check_password, check_pin
from workers.edge.database import Refusal
from workers.edge.endpoints import edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import ActivateBody, read_body
from workers.edge.tokens import sha256_hex

log = logging.getLogger(__name__)


async def activate(request: Request) -> Response:
    """Accept an invitation by the token of its mail, once."""
    edge = edge_of(request)
    body = await read_body(request, ActivateBody)
    password, pin = body.password.get_secret_value(), body.pin.get_secret_value()
    check_pin(pin)
    token_sha256, client = sha256_hex(body.token.get_secret_value()), edge.client(request)
    with edge.logins.enter():
        device = await edge.device(request, body)
        holder = await edge.accounts.activation(token_sha256=token_sha256, client=client)
        if isinstance(holder, Refusal):
            log.info(event("portal.activation_refused", reason=holder.error))
            raise EdgeError(holder.error)
        check_password(password, holder.login)
        refresh_token = edge.refresh_tokens.new()
        answer = await edge.accounts.activate(
            token_sha256=token_sha256,
            password_hash=await edge.verifier.hash(password),
            pin_hash=await edge.verifier.hash(pin),
            device=device,
            label=body.label,
            refresh_token_sha256=sha256_hex(refresh_token),
            client=client,
        )
    if isinstance(answer, Refusal):
        log.info(event("portal.activation_refused", reason=answer.error))
        raise EdgeError(answer.error)
    log.info(event("portal.activated", garage=answer.garage_id, session=answer.session_id))
    return edge.token_answer(answer, refresh_token)
