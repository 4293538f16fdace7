"""A file that Storage does not give is missing in an export; one it cannot give just now ends the export."""

from typing import Any

import pytest
from storage3.exceptions import StorageApiError
from supabase import Client

from cli.errors import CommandFailed
from cli.subject_export.source import ApiSource


class Answering(Client):
    """The client whose Storage answers every download with one status."""

    def __init__(self, status: int | str) -> None:
        self._status = status

    @property
    def storage(self) -> Any:
        """Itself, as the bucket, too."""
        return self

    def from_(self, bucket: str) -> "Answering":
        return self

    def download(self, path: str) -> bytes:
        raise StorageApiError("no", "code", self._status)


@pytest.mark.req("G3")
@pytest.mark.parametrize("status", [400, 403, "404"])
def test_a_file_that_is_not_there_or_not_for_this_member_is_missing(status: int | str) -> None:
    assert ApiSource(Answering(status), "request").file("invoices", "a/b.pdf") is None


@pytest.mark.req("G3")
@pytest.mark.parametrize("status", [429, 500, "503"])
def test_an_outage_ends_the_export_and_leaves_the_request_open(status: int | str) -> None:
    with pytest.raises(CommandFailed) as caught:
        ApiSource(Answering(status), "request").file("invoices", "a/b.pdf")
    assert caught.value.code == "export_interrupted"
