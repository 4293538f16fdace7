"""Where links lead back to: the addresses that are allowed, and what is added to them."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request

from devstack.auth.errors import AuthError
from devstack.auth.settings import AuthSettings

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[?::1\]?)$")
_ERRORS = {400: "invalid_request", 401: "unauthorized_client", 403: "access_denied", 500: "server_error"}


def target(request: Request, settings: AuthSettings, wanted: str = "") -> str:
    """The first allowed one of: the wanted one, the query's, the header's, the referrer; else the site."""
    named = request.headers.get("redirect_to", "")
    for url in (wanted, request.query_params.get("redirect_to", ""), named):
        if url and is_allowed(url, settings):
            return url
    referer = request.headers.get("referer", "")
    return referer if referer and is_allowed(referer, settings) else settings.site_url


def is_allowed(url: str, settings: AuthSettings) -> bool:
    """Whether links may lead there: the site's own host, or a pattern of the additional addresses."""
    try:
        base, wanted = urlsplit(settings.site_url), urlsplit(url)
        wanted_host = wanted.hostname or ""
    except ValueError:
        return False
    if wanted_host and wanted_host == base.hostname and wanted.scheme == base.scheme:
        is_local = bool(_LOOPBACK.fullmatch(wanted_host))
        if wanted.port == base.port or is_local:
            return True
    bare = url.split("#")[0]
    return any(_pattern(one).fullmatch(bare) for one in settings.redirect_urls)


def failed(url: str, error: AuthError, *, is_pkce: bool) -> str:
    """The address with the refusal in its fragment and, for PKCE, in its query."""
    told = {"error": _ERRORS[error.status]} if error.status in _ERRORS else {}
    told |= {"error_code": error.code, "error_description": error.message}
    return _with(url, told if is_pkce else {}, {**told, "sb": ""}, keeps_query=False)


def answered(url: str, values: Mapping[str, object], *, is_pkce: bool) -> str:
    """The address with values in its fragment and, for PKCE, in its query."""
    return _with(url, values if is_pkce else {}, {**values, "sb": ""})


def with_code(url: str, code: str) -> str:
    """The address with the code that a PKCE client exchanges for a session."""
    return _with(url, {"code": code}, {})


def _with(
    url: str, query: Mapping[str, object], fragment: Mapping[str, object], *, keeps_query: bool = True
) -> str:
    parts = urlsplit(url)
    kept = [parts.query] if parts.query and keeps_query else []
    added = [urlencode(sorted(query.items()))] if query else []
    return urlunsplit(
        parts._replace(query="&".join(kept + added), fragment=urlencode(sorted(fragment.items())))
    )


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` stops at a dot or slash, `**` does not, `?` is one character of a part."""
    pieces = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", glob)
    known = {"**": ".*", "*": "[^./]*", "?": "[^./]"}
    return re.compile(
        "".join(known.get(one) or (one if one.startswith("[") else re.escape(one)) for one in pieces)
    )
