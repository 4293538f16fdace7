"""Where providers tell what became of messages, and hand in what customers answer.

Nothing is believed before its signature was verified over the body as it came. An unknown account and a
wrong signature get the same answer. 2xx means that everything is stored; on 5xx the provider tries again.
"""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from workers.core.logs import event
from workers.edge.endpoints import Edge, edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import read_raw
from workers.edge.webhooks_database import Recorded, WebhookAccount
from workers.edge.webhooks_events import sendgrid_event, twilio_event, twilio_inbound
from workers.edge.webhooks_signatures import is_fresh, sendgrid_signed, twilio_signed

# SendGrid sends a batch off at 768 KiB at the latest.
MAX_SENDGRID_BYTES = 2 * 1024 * 1024
MAX_TWILIO_BYTES = 64 * 1024
EVENTS_AT_ONCE = 200
PLATFORM = "platform"
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

log = logging.getLogger(__name__)


async def sendgrid(request: Request) -> Response:
    """A batch of SendGrid's Event Webhook, for a garage's account or Autexor's own."""
    edge = edge_of(request)
    with edge.webhook_places.enter():
        body = await read_raw(request, MAX_SENDGRID_BYTES)
        account_id, key = await _sendgrid_key(edge, request.path_params["account_id"])
        timestamp = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
        signature = request.headers.get("x-twilio-email-event-webhook-signature", "")
        if not sendgrid_signed(key, signature, timestamp, body) or not is_fresh(timestamp, time.time()):
            raise _refusal("sendgrid", account_id)
        recorded = await _record_batch(edge, account_id, _json(body, list))
    log.info(event("webhook.events", provider="sendgrid", account=account_id or PLATFORM, **dict(recorded)))
    return Response(status_code=204)


async def twilio_status(request: Request) -> Response:
    """A status callback of one message."""
    edge = edge_of(request)
    with edge.webhook_places.enter():
        account_id, form = await _twilio_form(edge, request)
        told = twilio_event(form, request.query_params.get("communication_id"), datetime.now(UTC))
        recorded = await edge.webhooks.database.record(account_id, [told]) if told else Recorded(malformed=1)
    log.info(event("webhook.events", provider="twilio", account=account_id, **dict(recorded)))
    return Response(status_code=204)


async def twilio_inbound_message(request: Request) -> Response:
    """An SMS or WhatsApp message that came in; answered with an empty document, so nothing is sent back."""
    edge = edge_of(request)
    with edge.webhook_places.enter():
        account_id, form = await _twilio_form(edge, request)
        inbound = twilio_inbound(form)
        if inbound is None:
            raise EdgeError("invalid_request")
        is_new = await edge.webhooks.database.receive(account_id, inbound)
    log.info(event("webhook.inbound", channel=inbound.channel, account=account_id, is_new=is_new))
    return Response(EMPTY_TWIML, media_type="text/xml")


async def _sendgrid_key(edge: Edge, name: str) -> tuple[UUID | None, str | None]:
    if name == PLATFORM:
        return None, edge.webhooks.sendgrid_key
    account_id, account = await _account(edge, name)
    is_theirs = account is not None and account.provider == "sendgrid"
    return account_id, account.public_key if account and is_theirs else None


async def _record_batch(edge: Edge, account_id: UUID | None, told: list[Any]) -> Recorded:
    now = datetime.now(UTC)
    events = [found for one in told if (found := sendgrid_event(one, now)) is not None]
    recorded = Recorded(malformed=len(told) - len(events))
    for start in range(0, len(events), EVENTS_AT_ONCE):
        recorded += await edge.webhooks.database.record(account_id, events[start : start + EVENTS_AT_ONCE])
    return recorded


async def _twilio_form(edge: Edge, request: Request) -> tuple[UUID, QueryParams]:
    """The account and what it told, verified. Raises EdgeError."""
    body = await read_raw(request, MAX_TWILIO_BYTES)
    account_id, account = await _account(edge, request.path_params["account_id"])
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    form = QueryParams(body.decode("latin-1")) if not is_json else QueryParams()
    token = account.secret.get_secret_value() if account and account.secret else None
    signature = request.headers.get("x-twilio-signature", "")
    is_signed = twilio_signed(token, signature, _called(edge, request), body if is_json else form)
    if is_signed and is_json:
        form = QueryParams({name: str(value) for name, value in _json(body, dict).items()})
    is_theirs = account is not None and form.get("AccountSid") == account.account_sid
    if account_id is None or not (is_signed and is_theirs):
        raise _refusal("twilio", account_id)
    return account_id, form


async def _account(edge: Edge, name: str) -> tuple[UUID | None, WebhookAccount | None]:
    try:
        account_id = UUID(name)
    except ValueError:
        return None, None
    return account_id, await edge.webhooks.database.account(account_id)


def _called(edge: Edge, request: Request) -> str:
    """The address the provider called, from our settings: headers are the caller's to choose."""
    query = request.scope["query_string"].decode("latin-1")
    return f"{edge.webhooks.public_url}{request.url.path}" + (f"?{query}" if query else "")


def _json(body: bytes, kind: type[Any]) -> Any:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise EdgeError("invalid_request") from None
    if not isinstance(found, kind):
        raise EdgeError("invalid_request")
    return found


def _refusal(provider: str, account_id: UUID | None) -> EdgeError:
    log.info(event("webhook.refused", provider=provider, account=account_id))
    return EdgeError("webhook_refused")
