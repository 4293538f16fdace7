import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from workers.adapters.storage import SupabaseFiles
from workers.core.errors import ProviderRefused, ProviderUnavailable

if TYPE_CHECKING:
    from conftest import Provider


def test_an_upload_replaces_what_a_dead_attempt_left(provider: "Provider") -> None:
    provider.answer.body = b'{"Key":"invoices/g/i/d.pdf","Id":"1"}'
    with closing(SupabaseFiles(provider.url, "service-key")) as files:
        files.upload("invoices", "g/i/d.pdf", b"%PDF-", "application/pdf")
    ((path, headers, body),) = provider.requests
    assert path == "/storage/v1/object/invoices/g/i/d.pdf"
    named = {name.lower(): value for name, value in headers.items()}
    assert (named["authorization"], named["x-upsert"]) == ("Bearer service-key", "true")
    assert b"Content-Type: application/pdf" in body


def test_a_download_is_the_stored_bytes(provider: "Provider") -> None:
    provider.answer.body = b"%PDF-"
    with closing(SupabaseFiles(provider.url, "service-key")) as files:
        assert files.download("invoices", "g/i/d.pdf") == b"%PDF-"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "404", ProviderRefused),
        (400, "403", ProviderRefused),
        (413, "413", ProviderRefused),
        (429, "429", ProviderUnavailable),
        (500, "500", ProviderUnavailable),
    ],
)
def test_answers_are_told_by_their_status(
    provider: "Provider", status: int, code: str, kind: type[Exception]
) -> None:
    provider.answer.status = status
    provider.answer.body = json.dumps({"statusCode": code, "error": "X", "message": "g/i/d.pdf"}).encode()
    with closing(SupabaseFiles(provider.url, "service-key")) as files:
        with pytest.raises(kind, match=f"storage_http_{code}$"):
            files.download("invoices", "g/i/d.pdf")
        with pytest.raises(kind, match=f"storage_http_{code}$"):
            files.upload("invoices", "g/i/d.pdf", b"%PDF-", "application/pdf")


def test_silence_is_tried_again_as_nothing_is_done_twice(provider: "Provider", unused_url: str) -> None:
    provider.answer.hangs_up = True
    for url in (provider.url, unused_url):
        with closing(SupabaseFiles(url, "service-key")) as files, pytest.raises(ProviderUnavailable):
            files.upload("invoices", "g/i/d.pdf", b"%PDF-", "application/pdf")


@pytest.mark.req("G4")
def test_a_proxy_of_the_environment_is_not_used(proxy: "Provider", unused_url: str) -> None:
    with closing(SupabaseFiles(unused_url, "service-key")) as files, pytest.raises(ProviderUnavailable):
        files.download("invoices", "g/i/d.pdf")
    assert not proxy.requests


def test_an_answer_from_something_else_is_tried_again(provider: "Provider") -> None:
    provider.answer.status = 502
    provider.answer.body = b"<html>bad gateway</html>"
    with closing(SupabaseFiles(provider.url, "service-key")) as files, pytest.raises(ProviderUnavailable):
        files.download("invoices", "g/i/d.pdf")


def test_a_removal_names_the_file_and_may_find_none(provider: "Provider") -> None:
    provider.answer.body = b"[]"
    with closing(SupabaseFiles(provider.url, "service-key")) as files:
        files.remove("message_photos", "g/c/p.jpg")
    ((path, _, body),) = provider.requests
    assert (path, json.loads(body)) == ("/storage/v1/object/message_photos", {"prefixes": ["g/c/p.jpg"]})
