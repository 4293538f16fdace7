"""Supabase Storage's stand-in against what a real server answered, and against the official clients."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from storage3 import SyncStorageClient

from devstack import storage
from devstack.config import GatewayConfig
from devstack.testing import Database

TRANSCRIPT = json.loads((Path(__file__).parent / "storage_transcripts.json").read_text())
USER_A = TRANSCRIPT["meta"]["users"]["userA"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HEADERS = (
    "content-type",
    "content-length",
    "etag",
    "cache-control",
    "accept-ranges",
    "x-robots-tag",
    "content-disposition",
    "content-range",
)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


@pytest.fixture(scope="module")
def url(serve: Any) -> str:
    return str(serve(storage.create_app))


@pytest.fixture
def tokens(config: GatewayConfig) -> dict[str | None, str]:
    user = {"aud": "authenticated", "exp": time.time() + 3600, "role": "authenticated"}
    return {
        "service": config.keys.service_role_key,
        "anon": config.keys.anon_key,
        "userA": config.keys.sign({**user, "sub": USER_A}),
        "userB": config.keys.sign({**user, "sub": TRANSCRIPT["meta"]["users"]["userB"]}),
        "expired": config.keys.sign({**user, "exp": 1}),
        "badsig": jwt.encode(user, "another secret of at least 32 bytes, too", algorithm="HS256"),
        "garbage": "garbage",
        "norole": config.keys.sign({"exp": user["exp"]}),
        "unknownrole": config.keys.sign({**user, "role": "nobody_we_know"}),
        "algnone": jwt.encode(user, "", algorithm="none"),
    }


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        yield client


class Replay:
    """Sends the recorded steps and compares; ids may differ, but one recorded id stays one id."""

    def __init__(self, client: httpx.Client, tokens: dict[str | None, str]) -> None:
        self.client, self.tokens = client, tokens
        self.captured: dict[str, str] = {"<userA access token>": tokens["userA"]}
        self.ids: dict[str, str] = {}

    def send(self, step: dict[str, Any]) -> httpx.Response:
        request = step["request"]
        path = request["path"]
        for name, value in self.captured.items():
            path = path.replace(name, value)
        headers = dict(request["headers"])
        if step["auth"] == "rawgarbage":
            headers["authorization"] = "garbage"
        elif step["auth"]:
            headers["authorization"] = f"Bearer {self.tokens[step['auth']]}"
        return self.client.request(request["method"], path, headers=headers, **_content(request["body"]))

    def capture(self, step_id: str, response: httpx.Response) -> None:
        name = {"sign.ok": "s1", "sign.short": "s2", "sign.object_deleted_sign": "s3"}.get(step_id)
        if not name:
            return
        signed = response.json()["signedURL"]
        token = signed.partition("token=")[2]
        self.captured[f"{{{name}}}"] = signed
        self.captured[f"{{{name}tok}}"] = token
        self.captured[f"{{{name}sigbad}}"] = token.rpartition(".")[0] + "." + "A" * 43
        if step_id == "sign.short":
            time.sleep(2)

    def differences(self, step: dict[str, Any], response: httpx.Response) -> list[str]:
        expected = step["response"]
        pairs = [("status", expected["status"], response.status_code)]
        pairs += [(name, expected["headers"].get(name), response.headers.get(name)) for name in HEADERS]
        pairs.append(
            ("last-modified", *("last-modified" in r for r in (expected["headers"], response.headers)))
        )
        if "json" in expected:
            pairs.append(("body", *self.comparable(expected["json"], response.json())))
        elif "sha256" in expected:
            pairs.append(("body", expected["sha256"], hashlib.sha256(response.content).hexdigest()))
        return [
            f"{step['id']}: {what} {is_!r}, expected {want!r}" for what, want, is_ in pairs if want != is_
        ]

    def comparable(self, expected: Any, actual: Any) -> tuple[str, str]:
        texts = [json.dumps(value, sort_keys=True) for value in (expected, actual)]
        for want, is_ in zip(*(UUID.findall(text) for text in texts), strict=False):
            texts[1] = texts[1].replace(is_, want) if self.ids.setdefault(want, is_) == is_ else texts[1]
        want_text, is_text = (TOKEN.sub("token", TIME.sub("time", text)) for text in texts)
        return want_text, is_text


def _content(body: dict[str, Any] | None) -> dict[str, Any]:
    match body:
        case {"kind": "json", "value": value}:
            return {"json": value}
        case {"kind": "raw", "text": text}:
            return {"content": text.encode()}
        case {"kind": "multipart", "fields": fields, "parts": parts}:
            files = {name: (part["filename"], PNG, part["content_type"]) for name, part in parts.items()}
            return {"data": fields, "files": files}
        case _:
            return {}


def test_every_recorded_step_is_answered_as_the_real_server_did(
    bare: Database, client: httpx.Client, tokens: dict[str | None, str]
) -> None:
    with bare.connect("supabase_admin") as connection:
        connection.execute(
            "create policy see_one on storage.buckets for select to authenticated using (id = 'tr-rls')"
        )
    replay, differences = Replay(client, tokens), []
    for step in TRANSCRIPT["steps"]:
        response = replay.send(step)
        replay.capture(step["id"], response)
        differences += replay.differences(step, response)
    with bare.connect("supabase_admin") as connection:
        connection.execute("drop policy see_one on storage.buckets")
    assert not differences, "\n".join(differences)


# The table of the real server: which policies on a folder let a user do what. Cells: ok, the status in
# the refusal's body, or whether the answer has rows.
OPERATIONS = [
    *("upload_new", "upload_existing", "upsert_new", "upsert_existing", "put_existing", "download", "info"),
    *("list", "sign", "upload_sign", "move", "copy", "delete", "delete_many"),
]
MATRIX = {
    "insert": "ok 409 403 403 403 404 404 none 404 ok 404 404 403 none",
    "insert update": "ok 409 403 403 403 404 404 none 404 ok 404 404 403 none",
    "insert select": "ok 409 ok 403 403 ok ok rows ok ok 404 ok 403 none",
    "insert select update": "ok 409 ok ok ok ok ok rows ok ok ok ok 403 none",
    "select": "403 403 403 403 403 ok ok rows ok 403 404 403 403 none",
    "delete": "403 403 403 403 403 404 404 none 404 403 404 404 403 none",
    "select delete": "403 403 403 403 403 ok ok rows ok 403 404 403 ok rows",
    "": "403 403 403 403 403 404 404 none 404 403 404 404 403 none",
}


def _attempt(client: httpx.Client, operation: str, bucket: str) -> httpx.Response:
    at = f"/object/{bucket}/f/existing.txt"
    names = {"bucketId": bucket, "sourceKey": "f/existing.txt", "destinationKey": f"f/{operation}.txt"}
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "upload_new": ("POST", f"/object/{bucket}/f/new.txt", {"content": b"x"}),
        "upload_existing": ("POST", at, {"content": b"x"}),
        "upsert_new": (
            "POST",
            f"/object/{bucket}/f/up.txt",
            {"content": b"x", "headers": {"x-upsert": "true"}},
        ),
        "upsert_existing": ("POST", at, {"content": b"x", "headers": {"x-upsert": "true"}}),
        "put_existing": ("PUT", at, {"content": b"x"}),
        "download": ("GET", at, {}),
        "info": ("GET", f"/object/info/{bucket}/f/existing.txt", {}),
        "list": ("POST", f"/object/list/{bucket}", {"json": {"prefix": "f"}}),
        "sign": ("POST", f"/object/sign/{bucket}/f/existing.txt", {"json": {"expiresIn": 60}}),
        "upload_sign": ("POST", f"/object/upload/sign/{bucket}/f/signed.txt", {}),
        "move": ("POST", "/object/move", {"json": {**names, "sourceKey": "f/movable.txt"}}),
        "copy": ("POST", "/object/copy", {"json": names}),
        "delete": ("DELETE", at, {}),
        "delete_many": ("DELETE", f"/object/{bucket}", {"json": {"prefixes": ["f/spare.txt"]}}),
    }
    method, path, more = calls[operation]
    return client.request(method, path, **more)


def _cell(response: httpx.Response) -> str:
    if response.status_code != 200:
        return str(response.json()["statusCode"])
    if response.headers["content-type"].startswith("application/json") and isinstance(response.json(), list):
        return "rows" if response.json() else "none"
    return "ok"


@pytest.mark.parametrize("verbs", MATRIX)
def test_policies_decide_as_on_the_real_server(
    verbs: str, bare: Database, url: str, tokens: dict[str | None, str]
) -> None:
    bucket = "matrix" + verbs.replace(" ", "")
    operator = httpx.Client(base_url=url, headers={"authorization": f"Bearer {tokens['service']}"})
    user = httpx.Client(base_url=url, headers={"authorization": f"Bearer {tokens['userA']}"})
    with operator, user, bare.connect("supabase_admin", autocommit=True) as connection:
        operator.post("/bucket", json={"name": bucket})
        for name in ("existing", "movable", "spare"):
            operator.post(f"/object/{bucket}/f/{name}.txt", content=b"x").raise_for_status()
        rule = f"bucket_id = '{bucket}' and (storage.foldername(name))[1] = 'f'"
        for verb in verbs.split():
            clause = f"with check ({rule})" if verb == "insert" else f"using ({rule})"
            policy = f"create policy {bucket}_{verb} on storage.objects for {verb} to authenticated {clause}"
            connection.execute(policy.encode())
        cells = {operation: _cell(_attempt(user, operation, bucket)) for operation in OPERATIONS}
    assert cells == dict(zip(OPERATIONS, MATRIX[verbs].split(), strict=True))


@pytest.fixture
def official(url: str, tokens: dict[str | None, str]) -> Iterator[SyncStorageClient]:
    with httpx.Client() as http:
        yield SyncStorageClient(url + "/", {"authorization": f"Bearer {tokens['service']}"}, http_client=http)


def test_the_official_client_does_all_it_can(official: SyncStorageClient, url: str) -> None:
    official.create_bucket("official", options={"file_size_limit": 100, "allowed_mime_types": ["text/*"]})
    box = official.from_("official")
    box.upload("a/b.txt", b"hello", {"content-type": "text/plain", "cache-control": "60"})
    assert box.download("a/b.txt") == b"hello"
    assert box.info("a/b.txt")["cache_control"] == "max-age=60"
    assert [row["name"] for row in box.list("a")] == ["b.txt"]
    box.copy("a/b.txt", "a/c.txt")
    box.move("a/c.txt", "a/d.txt")
    box.update("a/d.txt", b"changed", {"content-type": "text/plain"})
    assert box.download("a/d.txt") == b"changed"
    assert httpx.get(box.create_signed_url("a/d.txt", 60)["signedURL"]).content == b"changed"
    signed = box.create_signed_urls(["a/d.txt", "a/zzz.txt"], 60)
    assert [bool(one["error"]) for one in signed] == [False, True]
    upload = box.create_signed_upload_url("a/e.txt")
    box.upload_to_signed_url(upload["path"], upload["token"], b"signed", {"content-type": "text/plain"})
    assert box.download("a/e.txt") == b"signed"
    assert len(box.remove(["a/b.txt", "a/d.txt", "a/e.txt", "a/zzz.txt"])) == 3
    official.delete_bucket("official")


def test_a_buckets_limits_hold(official: SyncStorageClient) -> None:
    official.create_bucket("limits", options={"file_size_limit": 5, "allowed_mime_types": ["text/plain"]})
    box = official.from_("limits")
    box.upload("right.txt", b"12345", {"content-type": "text/plain"})
    for name, content, mime in (("big.txt", b"123456", "text/plain"), ("odd.pdf", b"1", "application/pdf")):
        with pytest.raises(Exception, match=r"exceeded|not supported"):
            box.upload(name, content, {"content-type": mime})
    assert [row["name"] for row in box.list("")] == ["right.txt"]


def test_tokens_for_uploading_and_downloading_are_not_interchangeable(
    official: SyncStorageClient, client: httpx.Client
) -> None:
    official.create_bucket("scopes")
    box = official.from_("scopes")
    box.upload("a.txt", b"x", {"content-type": "text/plain"})
    upload = box.create_signed_upload_url("a.txt")["token"]
    download = box.create_signed_url("a.txt", 60)["signedURL"].partition("token=")[2]
    assert client.get("/object/sign/scopes/a.txt", params={"token": download}).status_code == 200
    refused = client.get("/object/sign/scopes/a.txt", params={"token": upload})
    assert refused.json()["message"] == "Token is not scoped for download"
    refused = client.put("/object/upload/sign/scopes/a.txt", params={"token": download}, content=b"y")
    assert refused.json()["message"] == "Token is not scoped for upload"


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "a/%2e%2e/b", "a%00b", "%2Fetc%2Fpasswd", "~"])
def test_no_name_reaches_the_file_system(
    name: str, config: GatewayConfig, client: httpx.Client, tokens: dict[str | None, str]
) -> None:
    client.headers["authorization"] = f"Bearer {tokens['service']}"
    client.post("/bucket", json={"name": "hostile"})
    client.post(f"/object/hostile/{name}", content=b"x")
    files = [path for path in (config.data_dir / "storage" / "objects").rglob("*") if path.is_file()]
    assert all(
        re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}-[0-9a-f]{32}", "/".join(path.parts[-2:])) for path in files
    )
    assert not list((config.data_dir / "storage" / "drafts").iterdir())


def test_replaced_and_removed_objects_leave_no_bytes(
    official: SyncStorageClient, bare: Database, config: GatewayConfig
) -> None:
    official.create_bucket("tidy")
    box = official.from_("tidy")
    for content in (b"1", b"2", b"3"):
        box.upload("a.txt", content, {"upsert": "true"})
    with bare.connect("supabase_admin") as connection:
        known = {row["version"] for row in connection.execute("select version from storage.objects")}
    folder = config.data_dir / "storage" / "objects"
    kept = {path.name.rpartition("-")[2] for path in folder.rglob("*-*")}
    assert kept == {version.replace("-", "") for version in known}
    box.remove(["a.txt"])
    assert len(list(folder.rglob("*-*"))) == len(known) - 1


def test_a_token_may_not_name_a_role_of_the_platform(config: GatewayConfig, client: httpx.Client) -> None:
    for role, allowed in (("service_role", True), ("postgres", False), ("supabase_admin", False)):
        token = config.keys.sign({"role": role, "exp": time.time() + 60})
        answer = client.get("/bucket", headers={"authorization": f"Bearer {token}"})
        assert answer.is_success == allowed


def test_policies_see_operation_and_headers(
    bare: Database, official: SyncStorageClient, client: httpx.Client, tokens: dict[str | None, str]
) -> None:
    official.create_bucket("granted")
    official.from_("granted").upload("a.txt", b"x")
    with bare.connect("supabase_admin") as connection:
        connection.execute(
            "create policy granted on storage.objects for select to authenticated using ("
            " bucket_id = 'granted' and storage.operation() = 'storage.object.sign'"
            " and current_setting('request.headers')::json ->> 'x-document-grant' = 'nonce')"
        )
    headers = {"authorization": f"Bearer {tokens['userA']}", "x-document-grant": "nonce"}
    sign, body = "/object/sign/granted/a.txt", {"expiresIn": 60}
    assert client.post(sign, json=body, headers=headers).status_code == 200
    assert client.post(sign, json=body, headers={**headers, "x-document-grant": "no"}).status_code == 400
    assert client.get("/object/granted/a.txt", headers=headers).status_code == 400
    with bare.connect("supabase_admin") as connection:
        connection.execute("drop policy granted on storage.objects")


def test_rows_may_not_be_deleted_behind_the_services_back(bare: Database) -> None:
    with bare.connect("postgres") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from storage.objects")


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


@pytest.fixture
def shelf(official: SyncStorageClient, client: httpx.Client, tokens: dict[str | None, str]) -> Iterator[Any]:
    """POST list-v2 of a bucket with a few objects; gives the answer's JSON."""
    keys = ("b.txt", "B.txt", "a/1.txt", "a/2.txt", "a/deep/3.txt", "z.txt")
    official.create_bucket("shelf")
    for key in keys:
        official.from_("shelf").upload(key, b"x", {"content-type": "text/plain"})
    client.headers["authorization"] = f"Bearer {tokens['service']}"
    yield lambda **body: client.post("/object/list-v2/shelf", json=body).json()
    official.from_("shelf").remove(list(keys))
    official.delete_bucket("shelf")


def test_the_second_listing_is_flat_and_in_byte_order(shelf: Any) -> None:
    answer = shelf()
    names = ["B.txt", "a/1.txt", "a/2.txt", "a/deep/3.txt", "b.txt", "z.txt"]
    assert (_names(answer["objects"]), answer["folders"], answer["hasNext"]) == (names, [], False)
    assert "nextCursor" not in answer
    columns = {"id", "name", "metadata", "updated_at", "created_at", "last_accessed_at"}
    assert answer["objects"][0].keys() == columns
    assert _names(shelf(prefix="a/")["objects"]) == names[1:4]
    assert _names(shelf(prefix="a/", sortBy={"column": "name", "order": "desc"})["objects"]) == names[3:0:-1]
    assert shelf(prefix="A/")["objects"] == []


def test_the_second_listing_has_folders_with_a_delimiter(shelf: Any) -> None:
    answer = shelf(with_delimiter=True)
    nulls = dict.fromkeys(("id", "updated_at", "created_at", "last_accessed_at", "metadata"))
    assert answer["folders"] == [{"key": "a", "name": "a/", **nulls}]
    assert _names(answer["objects"]) == ["B.txt", "b.txt", "z.txt"]
    inner = shelf(with_delimiter=True, prefix="a/")
    assert (_names(inner["folders"]), _names(inner["objects"])) == (["a/deep/"], ["a/1.txt", "a/2.txt"])
    assert [row["key"] for row in inner["objects"]] == ["1.txt", "2.txt"]


@pytest.mark.parametrize("sort", [{}, *({"column": c, "order": "desc"} for c in ("name", "created_at"))])
@pytest.mark.parametrize("with_delimiter", [False, True])
def test_pages_are_joined_by_a_cursor(shelf: Any, sort: dict[str, str], with_delimiter: bool) -> None:
    asked = {"with_delimiter": with_delimiter, **({"sortBy": sort} if sort else {})}
    whole, pages = shelf(**asked), []
    page: dict[str, Any] = shelf(**asked, limit=2)
    pages.append(page)
    while page["hasNext"]:
        page = shelf(with_delimiter=with_delimiter, limit=2, cursor=page["nextCursor"])
        pages.append(page)
    for kind in ("folders", "objects"):
        assert [row for page in pages for row in page[kind]] == whole[kind]
    assert len(pages) == -(-(len(whole["folders"]) + len(whole["objects"])) // 2)


def test_the_second_listing_obeys_policies_and_refuses_nonsense(
    shelf: Any, client: httpx.Client, tokens: dict[str | None, str]
) -> None:
    bad = shelf(cursor="not ours")
    assert (bad["statusCode"], bad["error"]) == ("400", "InvalidParameter")
    assert shelf(limit=0)["message"] == "body/limit must be >= 1"
    column = {"column": "last_accessed_at"}
    assert shelf(sortBy=column)["message"] == "body/sortBy/column must be equal to one of the allowed values"
    client.headers["authorization"] = f"Bearer {tokens['userA']}"
    assert shelf() == {"hasNext": False, "folders": [], "objects": []}


def test_the_official_client_lists_by_pages(official: SyncStorageClient, shelf: Any) -> None:
    page = official.from_("shelf").list_v2({"with_delimiter": True, "limit": 3})
    assert ([row.name for row in page.folders], page.hasNext) == (["a/"], True)
    rest = official.from_("shelf").list_v2({"with_delimiter": True, "cursor": page.nextCursor or ""})
    assert [row.name for row in page.objects + rest.objects] == ["B.txt", "b.txt", "z.txt"]


def test_a_move_answers_in_one_sentence(client: httpx.Client, shelf: Any) -> None:
    def move(source: str, target: str) -> Any:
        names = {"bucketId": "shelf", "sourceKey": source, "destinationKey": target}
        return client.post("/object/move", json=names).json()

    assert move("z.txt", "z.txt") == {"message": "Successfully moved"}
    assert move("z.txt", "y.txt") == move("y.txt", "z.txt") == {"message": "Successfully moved"}
    assert (move("z.txt", "b.txt")["statusCode"], move("z.txt", "b.txt")["code"]) == (
        "409",
        "ResourceAlreadyExists",
    )


@pytest.mark.parametrize("path", ["/upload/resumable", "/s3/bucket/key", "/render/image/public/b/k"])
def test_what_is_switched_off_is_not_there(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["message"]) == (404, f"Route GET:{path} not found")
