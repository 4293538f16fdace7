"""Expo's push service, checked as Expo checks it, delivered to the inbox page.

Rules: Expo's "Send notifications with the Expo Push Service". A token holding `Dead` belongs to no
device any more; one holding `fail-500` or `fail-429` makes the whole call fail with that status.
"""

import json
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.sandbox.store import Store

MAX_MESSAGES = 100
MAX_RECEIPTS = 1000
MAX_PAYLOAD = 4096
_TOKEN = re.compile(r"Expo(?:nent)?PushToken\[[\w-]+\]")
_FAIL = re.compile(r"fail-([45]\d\d)")
_KEYS = frozenset(
    {
        "to",
        "data",
        "title",
        "body",
        "sound",
        "ttl",
        "expiration",
        "priority",
        "badge",
        "subtitle",
        "channelId",
        "categoryId",
        "mutableContent",
        "interruptionLevel",
        "richContent",
        "icon",
        "_displayInForeground",
        "_contentAvailable",
    }
)

Ticket = dict[str, Any]


async def send(request: Request, store: Store) -> Response:
    """POST /--/api/v2/push/send: one ticket per recipient, or errors for the whole request."""
    body = await _body(request)
    messages = body if isinstance(body, list) else [body]
    if problem := _request_problem(messages):
        return _errors(400, *problem)
    if match := _FAIL.search(json.dumps([message["to"] for message in messages])):
        answer = _errors(int(match[1]), "SANDBOX", f"The sandbox was asked to fail with {match[1]}")
        if match[1] == "429":
            answer.headers["Retry-After"] = "2"
        return answer
    tickets = [_ticket(store, message, token) for message in messages for token in _recipients(message)]
    is_one = isinstance(body, dict) and isinstance(body["to"], str)
    return JSONResponse({"data": tickets[0] if is_one else tickets})


async def receipts(request: Request, store: Store) -> Response:
    """POST /--/api/v2/push/getReceipts: a receipt for each ticket we know."""
    body = await _body(request)
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return _errors(400, "VALIDATION_ERROR", '"ids" must be an array of strings.')
    if len(ids) > MAX_RECEIPTS:
        message = f"You are trying to get more than {MAX_RECEIPTS} push receipts in one request."
        return _errors(400, "PUSH_TOO_MANY_RECEIPTS", message)
    return JSONResponse({"data": {one: {"status": "ok"} for one in ids if store.get(one)}})


async def _body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _errors(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status_code=status)


def _recipients(message: dict[str, Any]) -> list[str]:
    return message["to"] if isinstance(message["to"], list) else [message["to"]]


def _request_problem(messages: list[Any]) -> tuple[str, str] | None:
    for n, message in enumerate(messages):
        if not isinstance(message, dict):
            return "VALIDATION_ERROR", f'"[{n}]" must be of type object.'
        tokens = _recipients(message) if message.get("to") else []
        if not tokens or not all(isinstance(token, str) for token in tokens):
            return "VALIDATION_ERROR", f'"[{n}].to" is required.'
        if unknown := sorted(message.keys() - _KEYS):
            return "VALIDATION_ERROR", f'"[{n}].{unknown[0]}" is not allowed.'
        if not isinstance(message.get("data", {}), dict):
            return "VALIDATION_ERROR", f'"[{n}].data" must be of type object.'
    if sum(len(_recipients(message)) for message in messages) > MAX_MESSAGES:
        message = f"You are trying to send more than {MAX_MESSAGES} push notifications in one request."
        return "PUSH_TOO_MANY_NOTIFICATIONS", message
    return None


def _ticket(store: Store, message: dict[str, Any], token: str) -> Ticket:
    if not _TOKEN.fullmatch(token):
        return _failed("DeviceNotRegistered", f'"{token}" is not a valid Expo push token')
    if "Dead" in token:
        message_text = f'"{token}" is not a registered push notification recipient'
        return _failed("DeviceNotRegistered", message_text, expoPushToken=token)
    payload = {name: value for name, value in message.items() if name != "to"}
    if len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_PAYLOAD:
        return _failed("MessageTooBig", f"The payload is larger than {MAX_PAYLOAD} bytes")
    ticket_id = str(uuid.uuid4())
    shown = {"title": message.get("title"), "body": message.get("body"), "data": message.get("data")}
    store.add(ticket_id, "push", {"from": None, "to": [token], **shown, "request": message})
    return {"status": "ok", "id": ticket_id}


def _failed(error: str, message: str, **details: str) -> Ticket:
    return {"status": "error", "message": message, "details": {"error": error, **details}}
