"""SendGrid's Event Webhook: what becomes of mails, and the settings that say where it is told.

Rules: SendGrid's "Event Webhook Reference" and "Event Webhook Security Features". Mails by the platform's own
key are told to the edge's …/webhooks/sendgrid/platform; another key says where with POST (and again PATCH)
/v3/user/webhooks/event/settings. A recipient `bounce@…`, `blocked@…`, `dropped@…`, `deferred@…`, `spam@…` or
`unsubscribe@…` has that happen to the mail.
"""

import json
import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.parts import SENDGRID_KEY
from devstack.sandbox.webhooks import Event, is_local
from devstack.sandbox.world import Sandbox

_FATES: dict[str, list[tuple[str, dict[str, str]]]] = {
    "bounce": [
        ("processed", {}),
        (
            "bounce",
            {
                "type": "bounce",
                "status": "5.1.1",
                "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
                "bounce_classification": "Invalid Address",
            },
        ),
    ],
    "blocked": [
        ("processed", {}),
        (
            "bounce",
            {
                "type": "blocked",
                "status": "5.7.1",
                "reason": "550 5.7.1 Message rejected due to the reputation of the sender.",
                "bounce_classification": "Reputation",
            },
        ),
    ],
    "dropped": [("dropped", {"reason": "Bounced Address", "status": "5.0.0"})],
    "deferred": [
        ("processed", {}),
        ("deferred", {"response": "400 try again later", "attempt": "1"}),
        ("delivered", {"response": "250 OK"}),
    ],
    "spam": [("processed", {}), ("delivered", {"response": "250 OK"}), ("spamreport", {})],
    "unsubscribe": [("processed", {}), ("delivered", {"response": "250 OK"}), ("unsubscribe", {})],
}
_DELIVERED: list[tuple[str, dict[str, str]]] = [("processed", {}), ("delivered", {"response": "250 OK"})]


async def settings(request: Request, sandbox: Sandbox) -> Response:
    """GET, POST and PATCH /v3/user/webhooks/event/settings: where the events of this key's mails are told."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if request.method == "GET":
        return JSONResponse(sandbox.event_settings.get(key, {"enabled": False, "url": ""}))
    try:
        body = json.loads(await request.body())
        url, is_enabled = str(body["url"]), bool(body.get("enabled", True))
    except (ValueError, LookupError, AttributeError):
        return _refusal("url is required", "url")
    if not is_local(url):
        return _refusal("This stack calls nobody beyond this machine", "url")
    public_key = sandbox.config.keys.webhook_public_key
    about = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)), "public_key": public_key}
    sandbox.event_settings[key] = {**about, "enabled": is_enabled, "url": url}
    return JSONResponse(sandbox.event_settings[key])


async def signed(request: Request, sandbox: Sandbox) -> Response:
    """GET and PATCH /v3/user/webhooks/event/settings/signed: the key that events are verified with."""
    return JSONResponse({"public_key": sandbox.config.keys.webhook_public_key})


def tell(sandbox: Sandbox, key: str, message_id: str, mail: dict[str, Any]) -> None:
    """Let the mail's events follow, if anybody wants to know."""
    if url := _url(sandbox, key):
        for part in mail["personalizations"]:
            arguments = {**(mail.get("custom_args") or {}), **(part.get("custom_args") or {})}
            for person in part["to"]:
                sandbox.webhooks.tell_sendgrid(url, _events(message_id, person["email"], arguments))


def _refusal(message: str, field: str) -> Response:
    return JSONResponse({"errors": [{"message": message, "field": field}]}, status_code=400)


def _url(sandbox: Sandbox, key: str) -> str:
    chosen = sandbox.event_settings.get(key)
    if chosen is not None:
        return str(chosen["url"]) if chosen["enabled"] else ""
    is_platform = key == SENDGRID_KEY and sandbox.edge_url
    return f"{sandbox.edge_url}/webhooks/sendgrid/platform" if is_platform else ""


def _events(message_id: str, email: str, arguments: dict[str, str]) -> list[Event]:
    fate = email.partition("@")[0].partition("+")[0].lower()
    return [
        {
            "email": email,
            "timestamp": int(time.time()) + n,
            "smtp-id": f"<{message_id}@geopod-ismtpd-1>",
            "event": event,
            "sg_event_id": uuid.uuid4().hex[:22],
            "sg_message_id": f"{message_id}.recvd-5f6d7c8b9-0001-1-0.0",
            **details,
            # Custom arguments stand beside the rest.
            **arguments,
        }
        for n, (event, details) in enumerate(_FATES.get(fate, _DELIVERED))
    ]
