"""Has Supabase Storage sign a document's address, as the customer and never as the service."""

from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from workers.edge.database import GrantedDocument
from workers.edge.errors import EdgeError

URL_SECONDS = 60
"""How long a signed address opens: it cannot be revoked, so it must be short."""


class _Signed(BaseModel):
    """Storage's answer: an address relative to its own root."""

    signed_url: str = Field(alias="signedURL", pattern="^/object/sign/")


class StorageSigner:
    """Asks `POST /storage/v1/object/sign/…` with the caller's own token and the one-time grant."""

    def __init__(self, http: httpx.AsyncClient, supabase_url: str, anon_key: str) -> None:
        self._http = http
        self._root = f"{supabase_url}/storage/v1"
        self._anon_key = anon_key

    async def sign(self, document: GrantedDocument, token: str, grant: str) -> str:
        """Return an absolute address that opens `document` for `URL_SECONDS`.

        Raises EdgeError: `document_not_found` when Storage's policies refuse, `service_unavailable`
        when Storage does not answer as it should.
        """
        headers = {"authorization": f"Bearer {token}", "apikey": self._anon_key, "x-document-grant": grant}
        path = quote(f"{document.bucket}/{document.path}")
        try:
            response = await self._http.post(
                f"{self._root}/object/sign/{path}", headers=headers, json={"expiresIn": URL_SECONDS}
            )
        except httpx.TransportError:
            raise EdgeError("service_unavailable") from None
        # Storage says 400 to everything its policies hide, with the real status in the body.
        if response.status_code in {400, 401, 403, 404}:
            raise EdgeError("document_not_found")
        try:
            answer = _Signed.model_validate_json(response.raise_for_status().content)
        except (httpx.HTTPStatusError, ValidationError):
            raise EdgeError("service_unavailable") from None
        return self._root + answer.signed_url
