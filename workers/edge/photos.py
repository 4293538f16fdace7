"""Hands out short-lived addresses of the photos in a customer's own conversation, as for documents."""

import logging
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.core.logs import event
from workers.edge.database import Refusal
from workers.edge.endpoints import edge_of
from workers.edge.errors import EdgeError
from workers.edge.requests import PhotoBody, bearer_token, read_body
from workers.edge.storage import URL_SECONDS
from workers.edge.tokens import sha256_hex

log = logging.getLogger(__name__)


async def photo(request: Request) -> Response:
    """Hand out an address of a message's photo, to the customer of its conversation only."""
    edge = edge_of(request)
    token = bearer_token(request)
    claims = edge.signer.verify(token)
    body = await read_body(request, PhotoBody)
    grant = secrets.token_urlsafe(32)
    granted = await edge.database.grant_photo(
        claims, message_id=body.message_id, grant_sha256=sha256_hex(grant), client=edge.client(request)
    )
    if isinstance(granted, Refusal):
        log.info(event("portal.photo_refused", session=claims.session_id, reason=granted.error))
        raise EdgeError(granted.error)
    signed_url = await edge.storage.sign(granted, token, grant)
    log.info(event("portal.photo_granted", session=claims.session_id, message=body.message_id))
    return JSONResponse({"signed_url": signed_url, "expires_in": URL_SECONDS, "filename": granted.filename})
