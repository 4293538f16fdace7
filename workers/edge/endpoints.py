"""What each address does. The order of the steps is the security of it: count, hash, settle."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.core.logs import event
from workers.edge.database import Client, Database, Refusal, Session
from workers.edge.documents import Documents
from workers.edge.errors import EdgeError
from workers.edge.requests import (
    DocumentBody,
    LoginBody,
    LogoutBody,
    RefreshBody,
    bearer_token,
    client_of,
    read_body,
)
from workers.edge.secrets import SecretVerifier
from workers.edge.settings import Network
from workers.edge.storage import URL_SECONDS, StorageSigner
from workers.edge.tokens import TOKEN_SECONDS, RefreshTokens, TokenSigner, sha256_hex

MAX_LOGINS = 32
"""Logins in progress or waiting; the next one is told to come back, before anything is counted."""
MAX_RENDERINGS = 8
"""Documents being made or waiting for the one renderer."""

log = logging.getLogger(__name__)


class Admission:
    """A bounded number of things at a time; one more is refused instead of queued."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place. Raises EdgeError `too_busy` when there is none."""
        if self._free == 0:
            raise EdgeError("too_busy")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@dataclass(frozen=True)
class Edge:
    """The parts the endpoints work with, put together once by `workers.edge.app`."""

    database: Database
    ping: Callable[[], Awaitable[None]]
    verifier: SecretVerifier
    signer: TokenSigner
    refresh_tokens: RefreshTokens
    storage: StorageSigner
    documents: Documents
    trusted_proxies: tuple[Network, ...]
    logins: Admission = field(default_factory=lambda: Admission(MAX_LOGINS))
    renderings: Admission = field(default_factory=lambda: Admission(MAX_RENDERINGS))

    def client(self, request: Request) -> Client:
        """Return who is asking."""
        return client_of(request, self.trusted_proxies)


def edge_of(request: Request) -> Edge:
    """Return the edge this request came in at."""
    edge: Edge = request.app.state.edge
    return edge


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
        attempt = await edge.database.login_reserve(
            garage_id=body.garage_id,
            login=body.email,
            device_id=body.device_id,
            fingerprint=body.fingerprint,
            client=edge.client(request),
        )
        if attempt.is_address_blocked:
            log.info(event("portal.login_refused", garage=body.garage_id, reason="address_blocked"))
            raise EdgeError("invalid_login")
        is_match = await edge.verifier.verify_pair(
            body.password.get_secret_value(),
            body.pin.get_secret_value(),
            attempt.password_hash,
            attempt.pin_hash,
        )
        refresh_token = edge.refresh_tokens.new()
        session = await edge.database.login_finish(
            attempt_id=attempt.attempt_id,
            is_ok=is_match and attempt.is_allowed,
            refresh_token_sha256=sha256_hex(refresh_token),
        )
    if session is None:
        log.info(event("portal.login_refused", garage=body.garage_id, attempt=attempt.attempt_id))
        raise EdgeError("invalid_login")
    log.info(event("portal.login", garage=session.garage_id, session=session.session_id))
    return JSONResponse(_token_answer(edge, session, refresh_token))


async def refresh(request: Request) -> Response:
    """Replace a refresh token and hand out a new access token."""
    edge = edge_of(request)
    body = await read_body(request, RefreshBody)
    old = body.refresh_token.get_secret_value()
    successor = edge.refresh_tokens.successor(old)
    answer = await edge.database.refresh(
        refresh_token_sha256=sha256_hex(old),
        next_token_sha256=sha256_hex(successor),
        device_id=body.device_id,
        fingerprint=body.fingerprint,
        client=edge.client(request),
    )
    if isinstance(answer, Refusal):
        log.info(event("portal.refresh_refused", reason=answer.error))
        raise EdgeError(answer.error)
    return JSONResponse(_token_answer(edge, answer, successor))


async def logout(request: Request) -> Response:
    """End the session of a refresh token; an unknown one is answered alike."""
    body = await read_body(request, LogoutBody)
    token = body.refresh_token.get_secret_value()
    await edge_of(request).database.logout(refresh_token_sha256=sha256_hex(token))
    return Response(status_code=204)


async def documents(request: Request) -> Response:
    """Hand out a short-lived address of an invoice's PDF, to its customer only."""
    edge = edge_of(request)
    token = bearer_token(request)
    claims = edge.signer.verify(token)
    body = await read_body(request, DocumentBody)
    grant = secrets.token_urlsafe(32)
    document = await edge.database.grant_document(
        claims, invoice_id=body.invoice_id, grant_sha256=sha256_hex(grant), client=edge.client(request)
    )
    if isinstance(document, Refusal):
        log.info(event("portal.document_refused", session=claims.session_id, reason=document.error))
        raise EdgeError(document.error)
    signed_url = await edge.storage.sign(document, token, grant)
    log.info(event("portal.document_granted", session=claims.session_id, invoice=body.invoice_id))
    return JSONResponse({"signed_url": signed_url, "expires_in": URL_SECONDS, "filename": document.filename})


async def invoice_pdf(request: Request) -> Response:
    """Render an issued invoice for a member of its garage; the PDF is the answer and is kept nowhere."""
    edge = edge_of(request)
    token = bearer_token(request)
    body = await read_body(request, DocumentBody)
    with edge.renderings.enter():
        number, pdf = await edge.documents.render(body.invoice_id, token)
    log.info(event("staff.document_rendered", invoice=body.invoice_id))
    headers = {"content-disposition": f'attachment; filename="{number}.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=headers)


async def jwks(request: Request) -> Response:
    """Publish the keys that verify our access tokens."""
    headers = {"cache-control": "public, max-age=600"}
    return JSONResponse(edge_of(request).signer.jwks(), headers=headers)


async def health(request: Request) -> Response:
    """Say that the process answers; asks nobody else."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Say that the database answers, too; 503 when it does not."""
    await edge_of(request).ping()
    return JSONResponse({"status": "ok"})


def _token_answer(edge: Edge, session: Session, refresh_token: str) -> dict[str, Any]:
    return {
        "access_token": edge.signer.sign(session.account_id, session.session_id, session.garage_id),
        "token_type": "bearer",
        "expires_in": TOKEN_SECONDS,
        "refresh_token": refresh_token,
        "session": session.model_dump(mode="json", include={"idle_seconds", "expires_at"})
        | {"id": str(session.session_id)},
    }
