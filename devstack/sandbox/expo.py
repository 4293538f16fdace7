"""Expo's push service, checked as Expo checks it, delivered to the inbox page.

Rules: Expo's "Send notifications with the Expo Push Service". A token holding `Dead` belongs to no device
any more; one holding `fail-500` or `fail-429` makes the whole call fail with that status, `silent` takes it
and hangs up. A receipt is there at once; it tells of DeviceNotRegistered for a token holding `Gone`, and of
MessageRateExceeded, MismatchSenderId or InvalidCredentials for one holding `Rate`, `Sender` or
`Credentials`; for one holding `Never` there is none.
"""

import json
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.sandbox import faults
from devstack.sandbox.faults import Fault
from devstack.sandbox.store import Delivery, Store
from devstack.sandbox.world import Sandbox

MAX_MESSAGES = 100
MAX_RECEIPTS = 1000
MAX_PAYLOAD = 4096
_TOKEN = re.compile(r"Expo(?:nent)?PushToken\[[\w-]+\]")
_FAIL = re.compile(r"fail-([45]\d\d)")
_RECEIPT_ERRORS = {
    "Gone": "DeviceNotRegistered",
    "Rate": "MessageRateExceeded",
    "Sender": "MismatchSenderId",
    "Credentials": "InvalidCredentials",
}
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


async def send(request: Request, sandbox: Sandbox) -> Response:
    """POST /--/api/v2/push/send: one ticket per recipient, or errors for the whole request."""
    body = await _body(request)
    messages = body if isinstance(body, list) else [body]
    if problem := _request_problem(messages):
        return _errors(400, *problem)

    async def accept() -> Response:
        store = sandbox.store
        tickets = [_ticket(store, message, token) for message in messages for token in _recipients(message)]
        is_one = isinstance(body, dict) and isinstance(body["to"], str)
        return JSONResponse({"data": tickets[0] if is_one else tickets})

    fault = sandbox.faults.of_call("expo") or _wanted_fault(messages)
    return await faults.suffer(fault, request, accept, _failure)


async def receipts(request: Request, sandbox: Sandbox) -> Response:
    """POST /--/api/v2/push/getReceipts: a receipt for each ticket we know."""
    body = await _body(request)

    async def accept() -> Response:
        return _receipts(body, sandbox.store)

    return await faults.suffer(sandbox.faults.of_call("expo"), request, accept, _failure)


def _receipts(body: Any, store: Store) -> Response:
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return _errors(400, "VALIDATION_ERROR", '"ids" must be an array of strings.')
    if len(ids) > MAX_RECEIPTS:
        message = f"You are trying to get more than {MAX_RECEIPTS} push receipts in one request."
        return _errors(400, "PUSH_TOO_MANY_RECEIPTS", message)
    found = {one: delivery for one in ids if (delivery := store.get(one))}
    told = {one: _receipt(delivery) for one, delivery in found.items()}
    return JSONResponse({"data": {one: receipt for one, receipt in told.items() if receipt}})


def _receipt(delivery: Delivery) -> Ticket | None:
    token = str(delivery["to"][0])
    if "Never" in token:
        return None
    error = next((error for mark, error in _RECEIPT_ERRORS.items() if mark in token), None)
    if error is None:
        return {"status": "ok"}
    return _failed(error, f'The notification for "{token}" could not be delivered', expoPushToken=token)


def _failure(status: int) -> Response:
    code = "TOO_MANY_REQUESTS" if status == 429 else "INTERNAL_SERVER_ERROR"
    return _errors(status, code, f"The sandbox was asked to fail with {status}")


def _wanted_fault(messages: list[dict[str, Any]]) -> Fault | None:
    tokens = json.dumps([message["to"] for message in messages])
    if "silent" in tokens:
        return Fault("expo", "silent")
    match = _FAIL.search(tokens)
    return match and Fault("expo", f"status-{match[1]}", retry_after=2 if match[1] == "429" else None)


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
