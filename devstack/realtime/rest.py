"""Broadcasting over HTTP."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.keys import Claims, Keys
from devstack.realtime.channel import Services
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
        errors = [problems for one in messages if (problems := _problems(one))]
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse({"errors": {"messages": ["is invalid"]}}, status_code=422)
    if errors:
        return JSONResponse({"errors": {"messages": errors}}, status_code=422)
    for one in messages:
        await _publish(
            services, claims, one["topic"], one["event"], one["payload"], one.get("private") is True
        )
    return Response(status_code=202)


async def broadcast_one(request: Request, keys: Keys, services: Services) -> Response:
    """POST /api/broadcast/{topic}/events/{event}: the body is the payload, JSON or bytes."""
    try:
        claims = caller(request, keys)
    except TokenRefused as refused:
        return JSONResponse({"message": refused.text}, status_code=401)
    payload: Any = await request.body()
    kind = request.headers.get("content-type", "").split(";")[0]
    if kind == "application/json":
        try:
            payload = json.loads(payload)
        except ValueError:
            return JSONResponse({"errors": {"payload": ["is invalid"]}}, status_code=422)
    elif kind != "application/octet-stream":
        return Response(status_code=415)
    is_private = request.query_params.get("private") == "true"
    names = request.path_params
    await _publish(services, claims, names["topic"], names["event"], payload, is_private)
    return Response(status_code=202)


def _problems(message: dict[str, Any]) -> dict[str, list[str]]:
    found = {name: ["can't be blank"] for name in ("topic", "event", "payload") if message.get(name) is None}
    if "payload" not in found and not isinstance(message["payload"], dict):
        found["payload"] = ["is invalid"]
    return found


async def _publish(
    services: Services, claims: Claims, name: str, event: str, payload: Any, is_private: bool
) -> None:
    if is_private and not await services.gate.may_write(claims, name):
        return
    content = {"type": "broadcast", "event": event, "payload": payload}
    services.hub.publish(f"realtime:{name}", content, is_private=is_private)
