"""Stand-ins for the providers that reach people (SendGrid, Expo), and the inbox page that shows it all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devstack.config import GatewayConfig
from devstack.sandbox import expo, inbox, sendgrid
from devstack.sandbox.store import Store

Handler = Callable[[Request, Store], Awaitable[Response]]


def create_app(config: GatewayConfig) -> Starlette:
    """The application with /sandbox/…, /inbox and /inbox.json."""
    store = Store(config.data_dir / "sandbox")

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(request, store)

        return Route(path, endpoint, methods=[method])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    return Starlette(
        routes=[
            route("/sandbox/sendgrid/v3/mail/send", sendgrid.send, "POST"),
            route("/sandbox/expo/--/api/v2/push/send", expo.send, "POST"),
            route("/sandbox/expo/--/api/v2/push/getReceipts", expo.receipts, "POST"),
            route("/inbox", inbox.index),
            route("/inbox.json", inbox.as_json),
            route("/inbox/style.css", inbox.style),
            route("/inbox/{id}", inbox.show),
            route("/inbox/{id}/attachments/{position:int}", inbox.attachment),
        ],
        lifespan=lifespan,
    )
