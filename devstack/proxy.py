"""Handing a request on to another local server and its answer back, both as streams."""

from collections.abc import AsyncIterator, Mapping

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

# RFC 9110, 7.6.1: these concern one connection only; the rest is named by the proxy itself.
PER_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "date",
}


async def forward(
    client: httpx.AsyncClient, request: Request, url: str, headers: Mapping[str, str]
) -> Response:
    """Send the request to `url` (its query is added) with further or replaced `headers`.

    Everything else passes untouched, but for the CORS headers of the answer: the gateway makes its own.
    """
    replaced = {name.lower() for name in headers}
    passed = [
        (name, value)
        for name, value in request.headers.raw
        if name.decode("latin-1") not in PER_CONNECTION | replaced
    ]
    target = httpx.URL(url, query=request.url.query.encode())
    outgoing = client.build_request(
        request.method,
        target,
        headers=[*passed, *((name.encode(), value.encode("latin-1")) for name, value in headers.items())],
        content=_content(request),
    )
    try:
        answer = await client.send(outgoing, stream=True)
    except httpx.TransportError as error:
        return JSONResponse({"message": f"The upstream server does not answer: {error}"}, status_code=503)
    return _streamed(answer)


def _content(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None


def _streamed(answer: httpx.Response) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        finally:
            await answer.aclose()

    response = StreamingResponse(chunks(), status_code=answer.status_code)
    response.raw_headers = [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower().decode("latin-1") not in PER_CONNECTION
        and not name.lower().startswith(b"access-control-")
    ]
    return response
