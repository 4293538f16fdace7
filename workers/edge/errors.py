"""What the edge refuses with: one exception, one JSON shape, three languages.

Body: `{"code", "message", "hint"}`; the code is stable, the texts follow Accept-Language.
"""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from workers.edge.messages import LOCALES, MESSAGES

STATUS = {
    "invalid_login": 401,
    "invalid_token": 401,
    "refresh_token_invalid": 401,
    "refresh_token_reused": 401,
    "session_ended": 401,
    "device_mismatch": 401,
    "proof_invalid": 401,
    "not_allowed": 403,
    "confirmation_refused": 403,
    "webhook_refused": 403,
    "document_not_found": 404,
    "link_invalid": 404,
    "device_not_found": 404,
    "session_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "request_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "password_too_common": 422,
    "pin_too_weak": 422,
    "internal_error": 500,
    "too_busy": 503,
    "service_unavailable": 503,
}

_HEADERS: dict[int, dict[str, str]] = {
    401: {"www-authenticate": "Bearer"},
    503: {"retry-after": "5"},
}


class EdgeError(Exception):
    """A refusal by its stable code. `fields` names the parts of the body that were wrong."""

    def __init__(self, code: str, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields


def error_response(
    error: EdgeError, accept_language: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the refusal as JSON in the best of our languages for `accept_language`."""
    locale = negotiate(accept_language)
    message, hint = MESSAGES[error.code][locale]
    if error.fields:
        hint = f"{hint} ({', '.join(error.fields)})"
    status = STATUS[error.code]
    return JSONResponse(
        {"code": error.code, "message": message, "hint": hint},
        status_code=status,
        headers={**_HEADERS.get(status, {}), **(headers or {}), "content-language": locale},
    )


def negotiate(accept_language: str) -> str:
    """Return nl, fr or en: the most wanted one (RFC 9110, 12.5.4), English when none is."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, parameter = part.partition(";")
        locale = tag.strip().lower().split("-")[0]
        if locale in LOCALES:
            wanted.append((_quality(parameter), locale))
    best = max(wanted, key=lambda pair: pair[0], default=(0.0, "en"))
    return best[1] if best[0] > 0 else "en"


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
