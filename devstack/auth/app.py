"""The routes of Supabase Auth below `/auth/v1`."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devstack.auth import account, admin, grants, links, public, requests, signup, verify
from devstack.auth.errors import AuthError, render, render_unexpected
from devstack.auth.service import Service
from devstack.config import GatewayConfig

Handler = Callable[[Service, Request], Awaitable[Response]]

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/health", public.health),
    ("GET", "/settings", public.settings),
    ("GET", "/.well-known/jwks.json", public.jwks),
    ("POST", "/signup", signup.signup),
    ("POST", "/token", grants.token),
    ("POST", "/recover", requests.recover),
    ("POST", "/otp", requests.otp),
    ("POST", "/magiclink", requests.magic_link),
    ("POST", "/resend", requests.resend),
    ("GET", "/reauthenticate", requests.reauthenticate),
    ("POST", "/reauthenticate", requests.reauthenticate),
    ("GET", "/verify", verify.get),
    ("POST", "/verify", verify.post),
    ("GET", "/user", account.show),
    ("PUT", "/user", account.update),
    ("POST", "/logout", account.logout),
    ("POST", "/invite", signup.invite),
    ("GET", "/admin/users", admin.listed),
    ("POST", "/admin/users", admin.create),
    ("GET", "/admin/users/{user_id}", admin.show),
    ("PUT", "/admin/users/{user_id}", admin.update),
    ("DELETE", "/admin/users/{user_id}", admin.delete),
    ("POST", "/admin/generate_link", links.generate),
    ("GET", "/authorize", public.authorize),
    ("POST", "/factors", public.mfa),
    ("POST", "/sso", public.saml),
    ("GET", "/user/identities/authorize", public.linking),
    ("DELETE", "/user/identities/{identity_id}", public.linking),
]


def create_app(config: GatewayConfig) -> Starlette:
    """The Starlette application of Supabase Auth, with a connection pool of its own."""
    service = Service(config)

    def route(method: str, path: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(service, request)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[route(*one) for one in ROUTES],
        exception_handlers={AuthError: render, Exception: render_unexpected},
        lifespan=service.lifespan,
    )
