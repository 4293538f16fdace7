"""What a mail gives back: a forgotten password, and the proof that a new address is one's own."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from workers.core.logs import event
from workers.edge.choices import check_password
from workers.edge.database import Refusal
from workers.edge.endpoints import accepted, edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import EmailConfirmBody, ForgotBody, ResetBody, read_body
from workers.edge.tokens import sha256_hex

log = logging.getLogger(__name__)


async def forgot_password(request: Request) -> Response:
    """Have a link mailed, if there is such a login; the answer is out before anybody looked."""
    edge = edge_of(request)
    body = await read_body(request, ForgotBody)
    client = edge.client(request)
    return accepted(
        lambda: edge.accounts.forgot_password(garage_id=body.garage_id, login=body.email, client=client)
    )


async def reset_password(request: Request) -> Response:
    """Set a new password by the token of a mail, once, and end every session."""
    edge = edge_of(request)
    body = await read_body(request, ResetBody)
    password = body.password.get_secret_value()
    token_sha256, client = sha256_hex(body.token.get_secret_value()), edge.client(request)
    with edge.logins.enter():
        holder = await edge.accounts.reset(token_sha256=token_sha256, client=client)
        if isinstance(holder, Refusal):
            log.info(event("portal.reset_refused", reason=holder.error))
            raise EdgeError(holder.error)
        check_password(password, holder.login)
        refusal = await edge.accounts.reset_password(
            token_sha256=token_sha256, password_hash=await edge.verifier.hash(password), client=client
        )
    if refusal:
        raise EdgeError(refusal.error)
    log.info(event("portal.password_reset"))
    return Response(status_code=204)


async def confirm_email(request: Request) -> Response:
    """Make the address the login that the token of this mail was sent to."""
    edge = edge_of(request)
    body = await read_body(request, EmailConfirmBody)
    refusal = await edge.accounts.confirm_email(
        token_sha256=sha256_hex(body.token.get_secret_value()), client=edge.client(request)
    )
    if refusal:
        raise EdgeError(refusal.error)
    log.info(event("portal.email_changed"))
    return Response(status_code=204)
