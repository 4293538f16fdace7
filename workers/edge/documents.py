"""Renders an invoice for a member of staff who asks, and keeps nothing.

The snapshot comes from PostgREST under the caller's own token, so that the database decides who may
have it, and writes down who had it: the edge's own role reads no invoice.
"""

import asyncio
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from workers.core.errors import RenderFailed
from workers.core.jobs import Snapshot
from workers.edge.errors import EdgeError
from workers.handlers.render_invoice import render_document
from workers.ports import Pdf

_REFUSED = {401: "invalid_token", 403: "not_allowed", 404: "document_not_found"}


class RenderSource(BaseModel):
    """The answer of `rpc/render_source`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    invoice_number: str
    snapshot: Snapshot
    logo_png_base64: str | None


class Documents:
    """Asks PostgREST for what a document is made of, and makes it."""

    def __init__(self, http: httpx.AsyncClient, supabase_url: str, anon_key: str, pdf: Pdf) -> None:
        self._http = http
        self._url = f"{supabase_url}/rest/v1/rpc/render_source"
        self._anon_key = anon_key
        self._pdf = pdf

    async def render(self, invoice_id: UUID, token: str) -> tuple[str, bytes]:
        """Return the invoice's number and its PDF.

        Raises EdgeError: `invalid_token`, `not_allowed`, `document_not_found` as the database says,
        `service_unavailable` when PostgREST or the renderer does not answer as it should.
        """
        source = await self._source(invoice_id, token)
        try:
            document = await asyncio.to_thread(
                render_document, source.snapshot, source.logo_png_base64, self._pdf
            )
        except RenderFailed:
            raise EdgeError("service_unavailable") from None
        return source.invoice_number, document.pdf

    async def _source(self, invoice_id: UUID, token: str) -> RenderSource:
        headers = {"authorization": f"Bearer {token}", "apikey": self._anon_key}
        try:
            response = await self._http.post(self._url, headers=headers, json={"invoice_id": str(invoice_id)})
        except httpx.TransportError:
            raise EdgeError("service_unavailable") from None
        if response.status_code in _REFUSED:
            raise EdgeError(_REFUSED[response.status_code])
        try:
            return RenderSource.model_validate_json(response.raise_for_status().content)
        except (httpx.HTTPStatusError, ValidationError):
            raise EdgeError("service_unavailable") from None
