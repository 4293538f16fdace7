"""The page of `examples/portal`, on the address of the API; supabase-js comes from node_modules."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from devstack.config import ROOT, GatewayConfig

FOLDER = ROOT / "examples" / "portal"
SUPABASE_JS = ROOT / "node_modules" / "@supabase" / "supabase-js" / "dist" / "umd" / "supabase.js"
TYPES = {".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; object-src 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(config: GatewayConfig) -> Starlette:
    """The application with the page's files and its `config.json`."""
    files = {path.name: path for path in FOLDER.glob("*") if path.suffix in TYPES}
    files |= {"supabase.js": SUPABASE_JS, "": FOLDER / "index.html"}
    files["activate"] = files[""]  # where the link of an invitation leads

    async def settings(_: Request) -> Response:
        return JSONResponse({"url": "", "key": config.keys.anon_key, "is_local": True}, headers=_HEADERS)

    async def file(request: Request) -> Response:
        path = files.get(request.path_params.get("name", ""))
        if path is None or not path.is_file():
            return PlainTextResponse("Not found", status_code=404, headers=_HEADERS)
        return FileResponse(path, media_type=TYPES[path.suffix], headers=_HEADERS)

    return Starlette(routes=[Route("/config.json", settings), Route("/{name}", file), Route("/", file)])
