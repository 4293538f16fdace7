"""Signing in and out. The order of the steps is the security of it: count, hash, settle."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from workers.core.logs import event
from workers.edge.database import Attempt, Refusal
from workers.edge.endpoints import Edge, edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import (
    LoginBody,
    LogoutBody,
    RefreshBody,
    SessionEndBody,
    bearer_token,
    read_body,
)
from workers.edge.tokens import sha256_hex

log = logging.getLogger(__name__)


async def login(request: Request) -> Response:
    """Sign a customer in with e-mail, password, PIN and device.

    Whatever is wrong (garage, e-mail, password, PIN, device, too many tries), the work, the status and
    the body are the same, so the answer tells nothing about who exists (ASVS 6.3.8). Only an address
    that tried too much gets its refusal unhashed: its counter knows no accounts, and a flood from it
    must not keep others waiting for the hashing threads.
    """
    edge = edge_of(request)
    body = await read_body(request, LoginBody)
    with edge.logins.enter():
        device = await edge.device(request, body)
        attempt = await edge.database.login_reserve(
            garage_id=body.garage_id, login=body.email, device=device, client=edge.client(request)
        )
        if attempt.is_address_blocked:
            log.info(event("portal.login_refused", garage=body.garage_id, reason="address_blocked"))
            raise EdgeError("invalid_login")
        password, pin = body.password.get_secret_value(), body.pin.get_secret_value()
        is_match = await edge.verifier.verify_pair(password, pin, attempt.password_hash, attempt.pin_hash)
        refresh_token = edge.refresh_tokens.new()
        session = await edge.database.login_finish(
            attempt_id=attempt.attempt_id,
            is_ok=is_match and attempt.is_allowed,
            refresh_token_sha256=sha256_hex(refresh_token),
        )
        if session is not None:
            await _hash_anew(edge, attempt, password, pin)
    if session is None:
        log.info(event("portal.login_refused", garage=body.garage_id, attempt=attempt.attempt_id))
        raise EdgeError("invalid_login")
    log.info(event("portal.login", garage=session.garage_id, session=session.session_id))
    return edge.token_answer(session, refresh_token)


async def _hash_anew(edge: Edge, attempt: Attempt, password: str, pin: str) -> None:
    """After a good sign-in only: what was hashed under an older pepper moves to the present one."""
    if edge.verifier.is_outdated(attempt.password_hash) or edge.verifier.is_outdated(attempt.pin_hash):
        password_hash, pin_hash = await edge.verifier.hash(password), await edge.verifier.hash(pin)
        await edge.accounts.rehash(attempt, password_hash=password_hash, pin_hash=pin_hash)


async def refresh(request: Request) -> Response:
    """Replace a refresh token and hand out a new access token."""
    edge = edge_of(request)
    body = await read_body(request, RefreshBody)
    old = body.refresh_token.get_secret_value()
    successor = edge.refresh_tokens.successor(old)
    answer = await edge.database.refresh(
        refresh_token_sha256=sha256_hex(old),
        next_token_sha256=sha256_hex(successor),
        device=await edge.device(request, body),
        client=edge.client(request),
    )
    if isinstance(answer, Refusal):
        log.info(event("portal.refresh_refused", reason=answer.error))
        raise EdgeError(answer.error)
    return edge.token_answer(answer, successor)


async def logout(request: Request) -> Response:
    """End the session of a refresh token; an unknown one is answered alike."""
    body = await read_body(request, LogoutBody)
    token = body.refresh_token.get_secret_value()
    await edge_of(request).database.logout(refresh_token_sha256=sha256_hex(token))
    return Response(status_code=204)


async def end_session(request: Request) -> Response:
    """End a session of one's own, wherever it is, or all of them, this one too."""
    edge = edge_of(request)
    claims = edge.signer.verify(bearer_token(request))
    body = await read_body(request, SessionEndBody)
    refusal = await edge.accounts.end_session(claims, ended_id=body.id)
    if refusal:
        raise EdgeError(refusal.error)
    log.info(event("portal.session_ended", session=claims.session_id, ended=body.id or "all"))
    return Response(status_code=204)
