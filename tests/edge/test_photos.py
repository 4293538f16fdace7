"""Addresses of photos at the edge: as those of documents, and no name of a file ever comes from outside."""

from collections.abc import Callable
from typing import Any

import pytest

from workers.edge.keys import SigningKey, SigningKeys
from workers.edge.tokens import TokenSigner, sha256_hex

MakeEdge = Callable[..., Any]
GARAGE = "11111111-0000-4000-8000-000000000001"
ACCOUNT = "55555555-0000-4000-8000-000000000001"
SESSION = "77777777-0000-4000-8000-000000000001"
MESSAGE = "99999999-0000-4000-8000-000000000001"
GRANTED = {"bucket": "message_photos", "path": f"{GARAGE}/c/p.png", "filename": "p.png"}


@pytest.fixture
def bearer(signing_key: SigningKey) -> dict[str, str]:
    signer = TokenSigner(SigningKeys(keys=(signing_key,)))
    return {"authorization": f"Bearer {signer.sign(ACCOUNT, SESSION, GARAGE)}"}


@pytest.mark.req("P12", "S3")
def test_a_photo_is_signed_as_the_customer_with_a_grant_of_one_use(
    make_edge: MakeEdge, bearer: dict[str, str]
) -> None:
    edge = make_edge(portal_grant_photo=GRANTED)
    answer = edge.post("/portal/photos", {"message_id": MESSAGE}, headers=bearer)
    assert (answer.status_code, answer.json()["expires_in"]) == (200, 60)
    (request,) = edge.storage_requests
    assert request.url.path == f"/storage/v1/object/sign/message_photos/{GARAGE}/c/p.png"
    assert request.headers["authorization"] == bearer["authorization"]
    granted = edge.calls.arguments_of("portal_grant_photo")
    assert granted["grant_sha256"] == sha256_hex(request.headers["x-document-grant"])
    assert (str(granted["message_id"]), str(granted["session_id"])) == (MESSAGE, SESSION)


@pytest.mark.req("P12", "S3")
def test_a_photo_that_the_database_refuses_is_never_asked_of_storage(
    make_edge: MakeEdge, bearer: dict[str, str]
) -> None:
    for code, status in [("document_not_found", 404), ("session_ended", 401)]:
        edge = make_edge(portal_grant_photo={"error": code})
        refused = edge.post("/portal/photos", {"message_id": MESSAGE}, headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert edge.storage_requests == []
    assert make_edge().post("/portal/photos", {"message_id": MESSAGE}).status_code == 401


@pytest.mark.req("P13", "S3")
@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../" + MESSAGE,
        MESSAGE + "/..",
        MESSAGE + "%2f",
        MESSAGE + "\x00",
        MESSAGE.replace("9", "９"),
        "*",
    ],
)
@pytest.mark.parametrize(("path", "field"), [("documents", "invoice_id"), ("photos", "message_id")])
def test_hostile_names_are_refused_before_anybody_is_asked(
    make_edge: MakeEdge, bearer: dict[str, str], path: str, field: str, name: str
) -> None:
    edge = make_edge(portal_grant_photo=GRANTED)
    refused = edge.post(f"/portal/{path}", {field: name}, headers=bearer)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert edge.calls.calls == [] and edge.storage_requests == []
    assert edge.post(f"/portal/{path}", {field: MESSAGE}, headers=bearer).status_code == 200
