"""What the hosted gateway does with `sb_publishable_…` and `sb_secret_…` keys before a service sees them.

They are not JWTs: the gateway puts the JWT of their role in their place, in `apikey` and, unless a user's
token is there, in `Authorization` (https://supabase.com/docs/guides/api/api-keys).
"""

from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from devstack.keys import Keys

INVALID = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}
IN_BROWSER = {
    "message": "Forbidden use of secret API key in browser",
    "hint": "Secret API keys can only be used in a protected environment and should never be used in a"
    " browser. Delete this secret API key immediately.",
}
PREFIX = "sb_"


class ApiKeys:
    """ASGI middleware: requests and sockets pass with JWTs, or are refused with 401."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self.tokens = {keys.publishable_key: keys.anon_key, keys.secret_key: keys.service_role_key}
        self.secret_key = keys.secret_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or socket."""
        key = _api_key(scope)
        if key.startswith(PREFIX):
            if problem := self._problem(scope, key):
                await _refuse(problem, scope, receive, send)
                return
            scope = _with_token(scope, key, self.tokens[key])
        await self.app(scope, receive, send)

    def _problem(self, scope: Scope, key: str) -> dict[str, str] | None:
        if key not in self.tokens:
            return INVALID
        is_browser = Headers(scope=scope).get("user-agent", "").startswith("Mozilla/")
        return IN_BROWSER if is_browser and key == self.secret_key else None


def _api_key(scope: Scope) -> str:
    if scope["type"] not in ("http", "websocket"):
        return ""
    return Headers(scope=scope).get("apikey") or QueryParams(scope["query_string"]).get("apikey") or ""


def _with_token(scope: Scope, key: str, token: str) -> Scope:
    """The same request with the role's token wherever the key was; somebody else's token stays."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    if "apikey" in headers:
        headers["apikey"] = token
    if headers.get("authorization", f"Bearer {key}") == f"Bearer {key}":
        headers["authorization"] = f"Bearer {token}"
    query = scope["query_string"]
    if "apikey" in QueryParams(query):
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        query = urlencode([(n, token if n == "apikey" else v) for n, v in pairs]).encode("latin-1")
    return {**scope, "headers": headers.raw, "query_string": query}


async def _refuse(problem: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    answer = JSONResponse(problem, status_code=401)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)
