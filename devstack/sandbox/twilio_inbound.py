"""Customers who write back: POST /sandbox/inbound makes Twilio tell the edge of an SMS or WhatsApp message.

`{"account_id": …, "channel": "sms", "from": "+32…", "to": "+32…", "body": "STOP"}`, and, unless that
account has sent something since the stack started, its `account_sid` and `auth_token`. A `message_sid` of
one's own tells the same message again. The answer has the message's SID and what the edge said.
"""

import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.sandbox.segments import segments
from devstack.sandbox.webhooks import is_local
from devstack.sandbox.world import Sandbox

# Twilio's default keywords for long codes.
_STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
_START = {"START", "YES", "UNSTOP"}
_HELP = {"HELP", "INFO"}


async def receive(request: Request, sandbox: Sandbox) -> Response:
    """Tell the edge of one message, and remember it: it opens WhatsApp's window, or stops further ones."""
    try:
        body = await request.json()
        account_id, channel = str(body["account_id"]), str(body.get("channel", "sms"))
        ours, theirs, text = str(body["to"]), str(body["from"]), str(body["body"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return _refusal("account_id, channel, from, to and body are needed")
    sid = body.get("account_sid") or sandbox.twilio.accounts.get(account_id)
    token = body.get("auth_token") or sandbox.twilio.tokens.get(sid or "")
    url = body.get("url") or f"{sandbox.edge_url}/webhooks/twilio/{account_id}/inbound"
    if channel not in ("sms", "whatsapp") or not sid or not token:
        return _refusal("account_sid and auth_token are not known yet, and channel is sms or whatsapp")
    if not is_local(url):
        return _refusal("this stack has no edge to tell")
    choice = _choice(text)
    _remember(sandbox, (channel, ours, theirs), choice)
    message_sid = str(body.get("message_sid") or f"SM{uuid.uuid4().hex}")
    form = _form(str(sid), message_sid, channel, ours, theirs, text)
    if channel == "whatsapp":
        form |= {"ProfileName": str(body.get("profile_name", "Carla")), "WaId": theirs.removeprefix("+")}
    if choice:
        form["OptOutType"] = choice
    statuses = await sandbox.webhooks.tell_twilio_now(url, str(token), form)
    return JSONResponse({"message_sid": message_sid, "statuses": statuses}, status_code=201)


def _refusal(message: str) -> Response:
    return JSONResponse({"message": message}, status_code=422)


def _choice(text: str) -> str | None:
    word = text.strip().upper()
    kinds: dict[str, set[str]] = {"STOP": _STOP, "START": _START, "HELP": _HELP}
    return next((kind for kind, words in kinds.items() if word in words), None)


def _remember(sandbox: Sandbox, pair: tuple[str, str, str], choice: str | None) -> None:
    sandbox.twilio.wrote_at[pair] = time.time()
    if choice == "STOP":
        sandbox.twilio.opted_out.add(pair)
    elif choice == "START":
        sandbox.twilio.opted_out.discard(pair)


def _form(sid: str, message_sid: str, channel: str, ours: str, theirs: str, text: str) -> dict[str, str]:
    prefix = "whatsapp:" if channel == "whatsapp" else ""
    form: dict[str, Any] = {
        "AccountSid": sid,
        "ApiVersion": "2010-04-01",
        "Body": text,
        "From": f"{prefix}{theirs}",
        "MessageSid": message_sid,
        "NumMedia": "0",
        "NumSegments": str(segments(text).count),
        "SmsMessageSid": message_sid,
        "SmsSid": message_sid,
        "SmsStatus": "received",
        "To": f"{prefix}{ours}",
    }
    return form
