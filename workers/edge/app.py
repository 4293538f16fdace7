"""Puts the edge together and serves it: `python -m workers edge`."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.core.logs import event
from workers.edge import activation, changes, devices, endpoints, opt_out, photos, recovery, sign_in, webhooks
from workers.edge.account_database import AccountDatabase
from workers.edge.database import Database, PostgresCalls
from workers.edge.documents import Documents
from workers.edge.endpoints import Edge
from workers.edge.errors import EdgeError, error_response
from workers.edge.opt_out_database import OptOuts
from workers.edge.proofs import Proofs
from workers.edge.secrets import SecretVerifier
from workers.edge.settings import EdgeSettings
from workers.edge.storage import StorageSigner
from workers.edge.tokens import RefreshTokens, TokenSigner
from workers.edge.webhooks_database import WebhookDatabase, Webhooks
from workers.ports import Pdf

HOST = "127.0.0.1"
SUPABASE_TIMEOUT_SECONDS = 10
_SAFE_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

ROUTES = [
    Route("/portal/login", sign_in.login, methods=["POST"]),
    Route("/portal/refresh", sign_in.refresh, methods=["POST"]),
    Route("/portal/logout", sign_in.logout, methods=["POST"]),
    Route("/portal/activate", activation.activate, methods=["POST"]),
    Route("/portal/password/forgot", recovery.forgot_password, methods=["POST"]),
    Route("/portal/password/reset", recovery.reset_password, methods=["POST"]),
    Route("/portal/devices/request", devices.request_code, methods=["POST"]),
    Route("/portal/devices/confirm", devices.confirm, methods=["POST"]),
    Route("/portal/devices/revoke", devices.revoke, methods=["POST"]),
    Route("/portal/password/change", changes.change_password, methods=["POST"]),
    Route("/portal/pin/change", changes.change_pin, methods=["POST"]),
    Route("/portal/email/change", changes.change_email, methods=["POST"]),
    Route("/portal/email/confirm", recovery.confirm_email, methods=["POST"]),
    Route("/portal/account/close", changes.close_account, methods=["POST"]),
    Route("/portal/sessions/end", sign_in.end_session, methods=["POST"]),
    Route("/portal/documents", endpoints.documents, methods=["POST"]),
    Route("/portal/photos", photos.photo, methods=["POST"]),
    Route("/webhooks/sendgrid/{account_id}", webhooks.sendgrid, methods=["POST"]),
    Route("/webhooks/twilio/{account_id}/status", webhooks.twilio_status, methods=["POST"]),
    Route("/webhooks/twilio/{account_id}/inbound", webhooks.twilio_inbound_message, methods=["POST"]),
    Route("/opt-out/{token}", opt_out.ask),
    Route("/opt-out/{token}", opt_out.stop, methods=["POST"]),
    Route("/invoices/pdf", endpoints.invoice_pdf, methods=["POST"]),
    Route("/portal/.well-known/jwks.json", endpoints.jwks),
    Route("/health", endpoints.health),
    Route("/ready", endpoints.ready),
]

log = logging.getLogger(__name__)


class SafeHeaders:
    """ASGI middleware: nothing is cached or sniffed unless the endpoint says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safe)


def build_app(settings: EdgeSettings, pdf: Pdf) -> Starlette:
    """Return the edge as an ASGI application; it connects when its lifespan starts."""
    calls = PostgresCalls(settings.edge_database_url.get_secret_value())
    http = httpx.AsyncClient(timeout=SUPABASE_TIMEOUT_SECONDS, trust_env=False)
    anon_key = settings.anon_key.get_secret_value()
    accounts = AccountDatabase(calls)
    peppers = settings.peppers
    edge = Edge(
        database=Database(calls),
        accounts=accounts,
        proofs=Proofs(accounts.take_proof, settings.public_urls),
        ping=calls.ping,
        verifier=SecretVerifier(peppers),
        signer=TokenSigner(settings.portal_signing_keys),
        refresh_tokens=RefreshTokens(next(iter(peppers.values()))),
        storage=StorageSigner(http, settings.supabase_url, anon_key),
        documents=Documents(http, settings.supabase_url, anon_key, pdf),
        webhooks=Webhooks(
            WebhookDatabase(calls), settings.webhook_url, settings.sendgrid_webhook_key or None
        ),
        opt_outs=OptOuts(calls),
        trusted_proxies=settings.trusted_proxies,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with calls, http:
            yield

    app = assemble(edge, settings.portal_origins)
    app.router.lifespan_context = lifespan
    return app


def assemble(edge: Edge, origins: tuple[str, ...]) -> Starlette:
    """Return the application around ready-made parts: routes, refusals, headers, CORS."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "apikey", "x-client-info", "dpop"],
        expose_headers=["retry-after"],
    )
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(SafeHeaders), cors],
        exception_handlers={
            EdgeError: _refuse,
            HTTPException: _refuse_route,
            psycopg.OperationalError: _refuse_for_now,
            Exception: _refuse_unexpected,
        },
    )
    app.state.edge = edge
    return app


def _language(request: Request) -> str:
    return request.headers.get("accept-language", "")


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, EdgeError)
    return error_response(error, _language(request))


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    return error_response(EdgeError(code), _language(request), error.headers)


async def _refuse_for_now(request: Request, error: Exception) -> Response:
    log.warning(event("edge.database_away", error=type(error).__name__))
    return error_response(EdgeError("service_unavailable"), _language(request))


async def _refuse_unexpected(request: Request, error: Exception) -> Response:
    # Outermost: no middleware adds its headers here, and the server logs the traceback.
    return error_response(EdgeError("internal_error"), _language(request), _SAFE_HEADERS)


def main(pdf: Pdf) -> None:
    """Serve until told to stop (SIGTERM or Ctrl-C); `pdf` renders what staff ask for."""
    settings = EdgeSettings.model_validate({})
    # Libraries only from WARNING on: httpx would print every address it asks.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("workers").setLevel(logging.INFO)
    log.info(event("edge.starting", port=settings.edge_port))
    # proxy_headers off: whom X-Forwarded-For may speak for is decided in client_address alone.
    uvicorn.run(
        build_app(settings, pdf),
        host=HOST,
        port=settings.edge_port,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
    )
