"""Broadcasting over HTTP."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.keys import Claims, Keys
from devstack.realtime import limits
from devstack.realtime.channel import Services
from devstack.realtime.protocol import pack, size
from devstack.realtime.tokens import TokenRefused, verify


def caller(request: Request, keys: Keys) -> Claims:
    """The claims of the bearer token or the API key. Raises TokenRefused."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return verify(keys, bearer or request.headers.get("apikey", ""))


async def broadcast(request: Request, keys: Keys, services: Services) -> Response:
    """POST /api/broadcast: many messages; those to private topics the caller may not send to are skipped."""
    try:
        claims = caller(request, keys)
    except TokenRefused as refused:
        return JSONResponse({"message": refused.text}, status_code=401)
    try:
        messages = json.loads(await request.body())["messages"]
        errors = [_problems(one) for one in messages]
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse({"errors": {"messages": ["is invalid"]}}, status_code=422)
    if any(errors):
        return JSONResponse({"errors": {"messages": errors}}, status_code=422)
    if refusal := _too_many(services, len(messages)):
        return refusal
    for one in messages:
        is_private = one.get("private") is True
        await _publish(services, claims, one["topic"], one["event"], one["payload"], is_private)
    return Response(status_code=202)


async def broadcast_one(request: Request, keys: Keys, services: Services) -> Response:
    """POST /api/broadcast/{topic}/events/{event}: the body is the payload, JSON or bytes."""
    try:
        claims = caller(request, keys)
    except TokenRefused as refused:
        return JSONResponse({"message": refused.text}, status_code=401)
    payload: Any = await request.body()
    kind = request.headers.get("content-type", "").split(";")[0]
    if kind not in ("application/json", "application/octet-stream"):
        return Response(status_code=415)
    try:
        payload = json.loads(payload) if kind == "application/json" else payload
    except ValueError:
        return JSONResponse({"errors": {"payload": ["is invalid"]}}, status_code=422)
    if _is_too_large(payload):
        return JSONResponse({"errors": {"payload": [_TOO_LARGE]}}, status_code=422)
    if refusal := _too_many(services, 1):
        return refusal
    is_private = request.query_params.get("private") == "true"
    names = request.path_params
    await _publish(services, claims, names["topic"], names["event"], payload, is_private)
    return Response(status_code=202)


_TOO_LARGE = "Payload size exceeds tenant limit"


def _problems(message: dict[str, Any]) -> dict[str, list[str]]:
    found = {name: ["can't be blank"] for name in ("topic", "event", "payload") if message.get(name) is None}
    if "payload" not in found and not isinstance(message["payload"], dict):
        found["payload"] = ["is invalid"]
    elif _is_too_large(message.get("payload")):
        found["payload"] = [_TOO_LARGE]
    return found


def _is_too_large(payload: Any) -> bool:
    return (len(payload) if isinstance(payload, bytes) else size(pack(payload))) > limits.PAYLOAD_BYTES


def _too_many(services: Services, count: int) -> Response | None:
    events = services.limits.events
    if events.take(count):
        return None
    words = "Too many messages to broadcast, please reduce the batch size"
    message = words if events.has_room() else "You have exceeded your rate limit"
    return JSONResponse({"message": message}, status_code=429)


async def _publish(
    services: Services, claims: Claims, name: str, event: str, payload: Any, is_private: bool
) -> None:
    if is_private and not await services.gate.may_write(claims, name):
        return
    content = {"type": "broadcast", "event": event, "payload": payload}
    services.hub.publish(f"realtime:{name}", "broadcast", content, is_private=is_private)
