"""The inbox page: what the product "sent" in this stack, for people and, as JSON, for programs."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from devstack.sandbox.store import Delivery
from devstack.sandbox.world import Sandbox

_FOLDER = Path(__file__).parent.parent / "inbox"
_PAGES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
# Mails bring their own inline styles; their frame inherits this policy and has no scripts or origin.
_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def index(request: Request, sandbox: Sandbox) -> Response:
    """GET /inbox: the list, newest first."""
    return _page("list.html", deliveries=[_with_summary(delivery) for delivery in sandbox.store.all()])


async def show(request: Request, sandbox: Sandbox) -> Response:
    """GET /inbox/{id}."""
    delivery = sandbox.store.get(request.path_params["id"])
    if delivery is None:
        return PlainTextResponse("No such message", status_code=404, headers=_HEADERS)
    return _page("message.html", delivery=_with_summary(delivery))


async def attachment(request: Request, sandbox: Sandbox) -> Response:
    """GET /inbox/{id}/attachments/{position}: always a download, never shown."""
    found = sandbox.store.attachment(request.path_params["id"], request.path_params["position"])
    if found is None:
        return PlainTextResponse("No such attachment", status_code=404, headers=_HEADERS)
    disposition = f"attachment; filename*=UTF-8''{quote(found.filename, safe='')}"
    headers = {**_HEADERS, "Content-Disposition": disposition}
    return Response(found.content, media_type="application/octet-stream", headers=headers)


async def as_json(request: Request, sandbox: Sandbox) -> Response:
    """GET /inbox.json: the same as a list of objects, attachments as size and sha256."""
    return JSONResponse(sandbox.store.all(), headers={"Cache-Control": "no-store"})


async def style(request: Request, sandbox: Sandbox) -> Response:
    """GET /inbox/style.css."""
    return Response((_FOLDER / "style.css").read_text(), media_type="text/css", headers=_HEADERS)


def _page(template: str, **values: Any) -> Response:
    return HTMLResponse(_PAGES.get_template(template).render(**values), headers=_HEADERS)


def _with_summary(delivery: Delivery) -> Delivery:
    sender = _person(delivery["from"]) if delivery["from"] else "—"
    people = ", ".join(_person(one) for one in delivery["to"])
    subject = delivery.get("subject") or delivery.get("title") or "(no subject)"
    return {**delivery, "sender": sender, "recipients": people, "title_line": subject}


def _person(person: Any) -> str:
    if isinstance(person, str):
        return person
    name, email = person.get("name"), person["email"]
    return f"{name} <{email}>" if name else email
