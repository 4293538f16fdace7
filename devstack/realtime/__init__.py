"""Supabase Realtime for the local stack: broadcasts, presence, private channels, changes from the WAL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from devstack.config import GatewayConfig
from devstack.keys import Keys
from devstack.realtime import rest
from devstack.realtime.authorization import Gate
from devstack.realtime.channel import Services
from devstack.realtime.feed import Feed
from devstack.realtime.hub import Hub
from devstack.realtime.limits import Limits
from devstack.realtime.presence import Presences
from devstack.realtime.protocol import V1, V2
from devstack.realtime.sockets import Socket
from devstack.realtime.tokens import TokenRefused, verify


def create_app(config: GatewayConfig) -> Starlette:
    """The application below /realtime/v1; its lifespan runs the task that reads the WAL."""
    hub = Hub()
    services = Services(hub, Feed(config.db_url, hub), Gate(config.db_url), Presences(hub), Limits())

    async def websocket(socket: WebSocket) -> None:
        token = socket.headers.get("x-api-key") or socket.query_params.get("apikey", "")
        if problem := _handshake_problem(config.keys, token):
            await socket.send_denial_response(JSONResponse({"error": problem}, status_code=401))
            return
        if not services.limits.joins.has_room():
            problem = "Too many joins per second"
            await socket.send_denial_response(JSONResponse({"error": problem}, status_code=429))
            return
        await socket.accept()
        version = V2 if socket.query_params.get("vsn") == V2 else V1
        await Socket(socket, version, token, config.keys, services).run()

    async def broadcast(request: Request) -> Response:
        return await rest.broadcast(request, config.keys, services)

    async def broadcast_one(request: Request) -> Response:
        return await rest.broadcast_one(request, config.keys, services)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        feed = asyncio.create_task(services.feed.run())
        yield
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)

    return Starlette(
        routes=[
            WebSocketRoute("/websocket", websocket),
            Route("/api/broadcast", broadcast, methods=["POST"]),
            Route("/api/broadcast/{topic}/events/{event}", broadcast_one, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def _handshake_problem(keys: Keys, token: str) -> str | None:
    if not token:
        return "API key is missing"
    try:
        verify(keys, token)
    except TokenRefused as refused:
        # A refused handshake says less about the token than a refused join does.
        return "Token has expired" if refused.text.startswith("Token has expired") else refused.text
    return None
