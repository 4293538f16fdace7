"""Stand-ins for the providers that reach people, their webhooks and faults, and the inbox that shows all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.config import GatewayConfig
from devstack.sandbox import expo, faults, inbox, sendgrid, sendgrid_events, smtp, twilio, twilio_inbound
from devstack.sandbox.world import Sandbox

Handler = Callable[[Request, Sandbox], Awaitable[Response]]


def create_app(config: GatewayConfig) -> Starlette:
    """The application with /sandbox/…, /inbox and /inbox.json."""
    sandbox = Sandbox.of(config)

    def route(path: str, handler: Handler, *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(request, sandbox)

        return Route(path, endpoint, methods=methods or ["GET"])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with smtp.served(sandbox):
            yield
        await sandbox.close()

    events = "/sandbox/sendgrid/v3/user/webhooks/event/settings"
    return Starlette(
        routes=[
            route("/sandbox/sendgrid/v3/mail/send", sendgrid.send, "POST"),
            route(events, sendgrid_events.settings, "GET", "POST", "PATCH"),
            route(f"{events}/signed", sendgrid_events.signed, "GET", "PATCH"),
            route("/sandbox/twilio/2010-04-01/Accounts/{sid}/Messages.json", twilio.send, "POST"),
            route("/sandbox/expo/--/api/v2/push/send", expo.send, "POST"),
            route("/sandbox/expo/--/api/v2/push/getReceipts", expo.receipts, "POST"),
            route("/sandbox/faults", _faults, "GET", "POST", "DELETE"),
            route("/sandbox/settings", _settings, "GET", "POST"),
            route("/sandbox/webhooks", _webhooks),
            route("/sandbox/inbound", twilio_inbound.receive, "POST"),
            route("/inbox", inbox.index),
            route("/inbox.json", inbox.as_json),
            route("/inbox/style.css", inbox.style),
            route("/inbox/{id}", inbox.show),
            route("/inbox/{id}/attachments/{position:int}", inbox.attachment),
        ],
        lifespan=lifespan,
    )


async def _faults(request: Request, sandbox: Sandbox) -> Response:
    return await faults.control(request, sandbox.faults)


async def _settings(request: Request, sandbox: Sandbox) -> Response:
    if request.method == "POST":
        try:
            seconds = float((await request.json())["webhook_delay_seconds"])
        except (ValueError, LookupError, TypeError):
            return JSONResponse({"message": "webhook_delay_seconds is a number"}, status_code=422)
        sandbox.webhooks.delay_seconds = min(max(seconds, 0.0), 3600.0)
    told = {
        "webhook_delay_seconds": sandbox.webhooks.delay_seconds,
        "webhooks_pending": sandbox.webhooks.pending,
    }
    return JSONResponse(told)


async def _webhooks(request: Request, sandbox: Sandbox) -> Response:
    return JSONResponse(list(sandbox.webhooks.sent))
