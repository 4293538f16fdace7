"""Private files in Supabase Storage, through the official client."""

from __future__ import annotations

from typing import Any

import httpx
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from workers.core.errors import ProviderError, ProviderRefused, ProviderUnavailable

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_YEAR = "31536000"


class SupabaseFiles:
    """Downloads, uploads and removals; all can be repeated, so an unanswered call is simply unavailable."""

    def __init__(self, supabase_url: str, service_role_key: str) -> None:
        # Straight to the registered host: a proxy named in the environment would see the service key.
        self._http = httpx.Client(timeout=_TIMEOUT, trust_env=False)
        headers = {"apikey": service_role_key, "Authorization": f"Bearer {service_role_key}"}
        self._storage = SyncStorageClient(f"{supabase_url}/storage/v1/", headers, http_client=self._http)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def download(self, bucket: str, path: str) -> bytes:
        """A stored file."""
        try:
            return bytes(self._storage.from_(bucket).download(path))
        except (StorageApiError, httpx.HTTPError) as error:
            raise _translated(error) from error

    def upload(self, bucket: str, path: str, content: bytes, media_type: str) -> None:
        """Store a file, replacing what is there."""
        options: Any = {"content-type": media_type, "upsert": "true", "cache-control": _YEAR}
        try:
            self._storage.from_(bucket).upload(path, content, options)
        except (StorageApiError, httpx.HTTPError) as error:
            raise _translated(error) from error

    def remove(self, bucket: str, path: str) -> None:
        """Remove a stored file for good; Storage answers with an empty list when it was not there."""
        try:
            self._storage.from_(bucket).remove([path])
        except (StorageApiError, httpx.HTTPError) as error:
            raise _translated(error) from error


def _translated(error: StorageApiError | httpx.HTTPError) -> ProviderError:
    if isinstance(error, httpx.HTTPError):
        return ProviderUnavailable(f"storage_{type(error).__name__}")
    status = int(error.status) if str(error.status).isdigit() else 500
    reason = f"storage_http_{status}"
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ProviderUnavailable(reason)
    return ProviderRefused(reason)
