"""The one public address of the stack: routes to PostgREST, Auth, Storage, Realtime, the edge, the inbox.

`python -m devstack.gateway` serves it, as the supervisor starts it.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from devstack import auth, keys, realtime, reference_portal, sandbox, storage
from devstack.api_keys import ApiKeys
from devstack.config import CONFIG_FILE, HOST, GatewayConfig, Settings, State, access_token_hook, conninfo
from devstack.proxy import forward

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
EXPOSED = [
    "Content-Range",
    "Content-Location",
    "Content-Profile",
    "Location",
    "Preference-Applied",
    "Link",
    "X-Total-Count",
    "X-Supabase-Api-Version",
    "x-sb-error-code",
]


async def _to_the_portal(_: Request) -> Response:
    return RedirectResponse("/portal/")  # as mails link to it, without the slash


def create_app(config: GatewayConfig) -> Starlette:
    """The gateway with all its parts, in one ASGI application."""
    proxies = _Proxies(config)
    parts = {
        "/auth/v1": auth.create_app(config),
        "/storage/v1": storage.create_app(config),
        "/realtime/v1": realtime.create_app(config),
    }
    inbox = sandbox.create_app(config)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=METHODS,
        allow_headers=["*"],
        expose_headers=EXPOSED,
        max_age=3600,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(proxies.client)
            for part in (*parts.values(), inbox):
                await stack.enter_async_context(part.router.lifespan_context(part))
            yield

    return Starlette(
        routes=[
            Route("/rest/v1", proxies.rest, methods=METHODS),
            Route("/rest/v1/{path:path}", proxies.rest, methods=METHODS),
            Route("/functions/v1/{path:path}", proxies.functions, methods=METHODS),
            *(Mount(path, app=part) for path, part in parts.items()),
            Route("/portal", _to_the_portal),
            Mount("/portal", app=reference_portal.create_app(config)),
            Mount("/", app=inbox),
        ],
        middleware=[cors, Middleware(ApiKeys, keys=config.keys)],
        lifespan=lifespan,
    )


class _Proxies:
    """The two servers behind the gateway."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self.client = httpx.AsyncClient(
            timeout=httpx.Timeout(60),
            limits=httpx.Limits(max_connections=200),
            headers={"accept-encoding": "identity"},  # unless the caller wants it otherwise
            trust_env=False,
        )

    async def rest(self, request: Request) -> Response:
        """PostgREST; an API key alone is the token of its role.

        As on the hosted platform it learns the caller's address from the outermost proxy, whatever the caller
        says about it.
        """
        address = request.client.host if request.client else HOST
        headers = {"cf-connecting-ip": address, "x-forwarded-for": address}
        key = request.headers.get("apikey") or request.query_params.get("apikey")
        if key and "authorization" not in request.headers:
            headers["authorization"] = f"Bearer {key}"
        path = request.path_params.get("path", "")
        return await forward(
            self.client, _without_apikey(request), f"{self.config.postgrest_url}/{path}", headers
        )

    async def functions(self, request: Request) -> Response:
        """The edge; it learns the caller's address from us, whatever the caller says about it."""
        if not self.config.edge_url:
            return JSONResponse({"message": "This stack runs without the edge"}, status_code=503)
        headers = {
            "x-forwarded-for": request.client.host if request.client else HOST,
            "x-forwarded-host": request.headers.get("host", ""),
            "x-forwarded-proto": request.url.scheme,
        }
        url = f"{self.config.edge_url}/{request.path_params['path']}"
        return await forward(self.client, request, url, headers)


def _without_apikey(request: Request) -> Request:
    """The request without `?apikey=`, which PostgREST would take for a filter."""
    if "apikey" not in request.query_params:
        return request
    query = request.url.remove_query_params("apikey").query
    return Request({**request.scope, "query_string": query.encode()}, request.receive)


def config_from_state(settings: Settings) -> GatewayConfig:
    """The gateway's settings, from what the supervisor wrote down."""
    state = State.load(settings.paths.state)
    return GatewayConfig(
        db_url=conninfo(state.ports["postgres"], "supabase_admin"),
        api_url=f"http://{HOST}:{settings.port}",
        keys=keys.load_or_create(settings.paths.keys),
        data_dir=settings.data_dir,
        postgrest_url=f"http://{HOST}:{state.ports['postgrest']}",
        edge_url="" if state.is_bare else f"http://{HOST}:{state.ports['edge']}",
        access_token_hook=None if state.is_bare else access_token_hook(),
        config_file=None if state.is_bare else CONFIG_FILE,
        smtp_tls_port=state.ports.get("smtp_tls", 0),
        smtp_starttls_port=state.ports.get("smtp_starttls", 0),
    )


def main() -> None:
    """Serve until a signal comes."""
    settings = Settings.from_env()
    uvicorn.run(
        create_app(config_from_state(settings)),
        host=HOST,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the first hop is us: what the caller says of its own address is its own talk
        timeout_graceful_shutdown=2,
        ws="websockets-sansio",
        ws_max_size=5_000_000,
    )


if __name__ == "__main__":
    main()
