"""The person's data through the API, as the member who is signed in: the rules of the database hold."""

from typing import Any

import httpx
from storage3.exceptions import StorageApiError
from supabase import Client

from cli.errors import CommandFailed
from cli.lookups import Record, records

# Not there, or not for this member (a module that is off): Storage says 400 for most of it.
NOT_GIVEN = frozenset({"400", "403", "404"})


class ApiSource:
    """The data of one request."""

    def __init__(self, client: Client, request_id: str) -> None:
        self._client = client
        self._request_id = request_id

    def export(self) -> Record:
        """What the export holds; the garage's access log says that it was made."""
        answer: Any = self._client.rpc("rights_export", {"request_id": self._request_id}).execute().data
        return dict(answer)

    def rows(self, table: str, first: int, limit: int) -> list[Record]:
        """Some rows of a table."""
        arguments = {
            "request_id": self._request_id,
            "table_name": table,
            "first_row": first,
            "max_rows": limit,
        }
        return records(self._client.rpc("rights_export_rows", arguments).execute().data)

    def file(self, bucket: str, path: str) -> bytes | None:
        """A stored file, by the member's own token; None when Storage has none or does not give it.

        Whatever else it says ends the export: an outage is no reason to hand out less.
        """
        try:
            return bytes(self._client.storage.from_(bucket).download(path))
        except StorageApiError as error:
            status = str(error.status)
        except httpx.HTTPStatusError as error:
            status = str(error.response.status_code)
        if status in NOT_GIVEN:
            return None
        raise CommandFailed(
            "export_interrupted",
            "A file could not be read, so the export was not finished",
            f"Storage answered {status}",
            "Try again later: the request is still open",
        )

    def finish(self, sha256: str, counts: dict[str, int]) -> Record:
        """Leave the evidence; the request as it is now."""
        arguments = {"request_id": self._request_id, "sha256": sha256, "counts": counts}
        (request,) = as_rows(self._client.rpc("finish_rights_export", arguments).execute().data)
        return request


def as_rows(data: object) -> list[Record]:
    """One row or many, as the API answers calls that return a row."""
    return records(data if isinstance(data, list) else [data])
