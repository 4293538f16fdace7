"""The parts all endpoints share, and those about documents, keys and health."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.core.logs import event
from workers.edge.account_database import AccountDatabase
from workers.edge.database import Client, Database, Device, Refusal, Session
from workers.edge.documents import Documents
from workers.edge.errors import EdgeError
from workers.edge.opt_out_database import OptOuts
from workers.edge.proofs import Proofs
from workers.edge.requests import DeviceBody, DocumentBody, bearer_token, client_of, read_body
from workers.edge.secrets import SecretVerifier
from workers.edge.settings import Network
from workers.edge.storage import URL_SECONDS, StorageSigner
from workers.edge.tokens import TOKEN_SECONDS, RefreshTokens, TokenSigner, sha256_hex
from workers.edge.webhooks_database import Webhooks

MAX_LOGINS = 32
"""Logins in progress or waiting; the next one is told to come back, before anything is counted."""
MAX_RENDERINGS = 8
"""Documents being made or waiting for the one renderer."""
MAX_WEBHOOKS = 32
"""Webhooks being taken in; the provider of one more tries again later."""
MAX_OPT_OUTS = 16
"""Links of mails being looked up; one more is told to come back."""

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
    accounts: AccountDatabase
    proofs: Proofs
    ping: Callable[[], Awaitable[None]]
    verifier: SecretVerifier
    signer: TokenSigner
    refresh_tokens: RefreshTokens
    storage: StorageSigner
    documents: Documents
    webhooks: Webhooks
    opt_outs: OptOuts
    trusted_proxies: tuple[Network, ...]
    logins: Admission = field(default_factory=lambda: Admission(MAX_LOGINS))
    renderings: Admission = field(default_factory=lambda: Admission(MAX_RENDERINGS))
    webhook_places: Admission = field(default_factory=lambda: Admission(MAX_WEBHOOKS))
    opt_out_places: Admission = field(default_factory=lambda: Admission(MAX_OPT_OUTS))

    def client(self, request: Request) -> Client:
        """Return who is asking."""
        return client_of(request, self.trusted_proxies)

    async def device(self, request: Request, body: DeviceBody, token: str | None = None) -> Device:
        """Return the asking device, with the key it proved. Raises EdgeError `proof_invalid`."""
        thumbprint = await self.proofs.thumbprint(request, token)
        return Device(body.device_id, body.fingerprint, thumbprint)

    def token_answer(self, session: Session, refresh_token: str) -> JSONResponse:
        """Return what a signed-in app gets: both tokens, and the limits of its session."""
        token = self.signer.sign(
            session.account_id, session.session_id, session.garage_id, session.key_thumbprint
        )
        limits = session.model_dump(mode="json", include={"idle_seconds", "expires_at"})
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": TOKEN_SECONDS,
                "refresh_token": refresh_token,
                "session": limits | {"id": str(session.session_id)},
            }
        )


def edge_of(request: Request) -> Edge:
    """Return the edge this request came in at."""
    edge: Edge = request.app.state.edge
    return edge


def accepted(work: Callable[[], Awaitable[object]] | None) -> Response:
    """Answer 202 first and do the work then, so that its length tells nothing."""

    async def later() -> None:
        try:
            if work:
                await work()
        except psycopg.OperationalError as error:
            log.warning(event("edge.database_away", error=type(error).__name__))

    return JSONResponse({}, status_code=202, background=BackgroundTask(later))


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
