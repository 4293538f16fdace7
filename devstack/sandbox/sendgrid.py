"""SendGrid's v3 mail send, checked as SendGrid checks it, delivered to the inbox page.

Rules and messages: SendGrid's "Mail Send" reference and its page of v3 mail errors. A recipient
`fail-500@…`, `fail-429@…` or `fail-400@…` makes the call fail with that status; one `silent@…` gets the
mail, and its sender no answer.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.sandbox import faults, sendgrid_events
from devstack.sandbox.faults import Fault
from devstack.sandbox.store import Attachment
from devstack.sandbox.world import Sandbox

MAX_BYTES = 30 * 1024 * 1024
_KEY = re.compile(r"Bearer SG\.[\w-]{3,}\.[\w-]{3,}")
_EMAIL = re.compile(r"[^\s@<>,;\"]{1,64}@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
_FAIL = re.compile(r"fail-([45]\d\d)@")
_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_FIELDS = frozenset(
    {
        "personalizations",
        "from",
        "reply_to",
        "reply_to_list",
        "subject",
        "content",
        "attachments",
        "template_id",
        "headers",
        "categories",
        "custom_args",
        "send_at",
        "batch_id",
        "asm",
        "ip_pool_name",
        "mail_settings",
        "tracking_settings",
    }
)

_RESERVED_HEADERS = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)

Problem = tuple[str, str]


async def send(request: Request, sandbox: Sandbox) -> Response:
    """POST /v3/mail/send: 202 without a body, or SendGrid's list of errors."""
    if not _KEY.fullmatch(request.headers.get("authorization", "")):
        return _refusal(401, [("The provided authorization grant is invalid, expired, or revoked", "")])
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        return _refusal(415, [("Content-Type should be application/json.", "")])
    raw = await request.body()
    if len(raw) > MAX_BYTES:
        return _refusal(413, [("The total size of the message exceeds 30 MB.", "")])
    try:
        mail = json.loads(raw)
    except ValueError:
        return _refusal(400, [("Bad Request", "")])
    if not isinstance(mail, dict):
        return _refusal(400, [("Bad Request", "")])
    if problems := list(_problems(mail)):
        return _refusal(400, problems)

    async def accept() -> Response:
        message_id = uuid.uuid4().hex[:22]
        files = [_attachment(file) for file in mail.get("attachments", [])]
        sandbox.store.add(message_id, "email", _content(mail), files)
        sendgrid_events.tell(
            sandbox, request.headers["authorization"].removeprefix("Bearer "), message_id, mail
        )
        return Response(status_code=202, headers={"X-Message-Id": message_id})

    fault = sandbox.faults.of_call("sendgrid") or _wanted_fault(mail)
    return await faults.suffer(fault, request, accept, _failure)


def _refusal(status: int, problems: list[Problem]) -> Response:
    errors = [
        {"message": message, "field": field or None, "help": _HELP + field if field else None}
        for message, field in problems
    ]
    return JSONResponse({"errors": errors}, status_code=status)


def _failure(status: int) -> Response:
    return _refusal(status, [(f"The sandbox was asked to fail with {status}", "")])


def _wanted_fault(mail: dict[str, Any]) -> Fault | None:
    people = json.dumps(mail["personalizations"])
    if '"silent@' in people:
        return Fault("sendgrid", "silent")
    match = _FAIL.search(people)
    return match and Fault("sendgrid", f"status-{match[1]}", retry_after=2 if match[1] == "429" else None)


def _problems(mail: dict[str, Any]) -> Iterator[Problem]:
    for name in mail.keys() - _FIELDS:
        yield f"Additional property {name} is not allowed", name
    yield from _personalization_problems(mail.get("personalizations"))
    sender = mail.get("from")
    if not isinstance(sender, dict) or not sender.get("email"):
        yield "The from object must be provided for every email send.", "from.email"
    elif not _is_address(sender):
        yield "The from email does not contain a valid address.", "from.email"
    if mail.get("reply_to") is not None and not _is_address(mail["reply_to"]):
        yield "The reply_to email does not contain a valid address.", "reply_to.email"
    if not mail.get("template_id"):
        yield from _subject_problems(mail)
        yield from _content_problems(mail.get("content"))
    yield from _attachment_problems(mail.get("attachments", []))
    yield from _header_problems(mail.get("headers", {}))


def _personalization_problems(parts: Any) -> Iterator[Problem]:
    if not isinstance(parts, list) or not parts:
        message = "The personalizations field is required and must have at least one personalization."
        yield message, "personalizations"
        return
    if len(parts) > 1000:
        yield "The personalizations field must not have more than 1000 personalizations.", "personalizations"
    for n, part in enumerate(parts):
        where = f"personalizations.{n}"
        people = part.get("to") if isinstance(part, dict) else None
        if not isinstance(people, list) or not people:
            yield "The to array is required for all personalization objects.", f"{where}.to"
            continue
        people = [
            (kind, m, one) for kind in ("to", "cc", "bcc") for m, one in enumerate(part.get(kind) or [])
        ]
        for kind, m, one in people:
            if not _is_address(one):
                yield "Does not contain a valid address.", f"{where}.{kind}.{m}.email"
        addresses = [str(one.get("email")).lower() for _, _, one in people if isinstance(one, dict)]
        if len(set(addresses)) < len(addresses):
            message = (
                "Each email address in the personalization block should be unique between to, cc, and bcc."
            )
            yield message, where


def _is_address(person: Any) -> bool:
    return isinstance(person, dict) and bool(_EMAIL.fullmatch(str(person.get("email"))))


def _subject_problems(mail: dict[str, Any]) -> Iterator[Problem]:
    parts = mail.get("personalizations")
    everyone = isinstance(parts, list) and all(isinstance(p, dict) and p.get("subject") for p in parts)
    if not mail.get("subject") and not (parts and everyone):
        yield "The subject is required.", "subject"


def _content_problems(blocks: Any) -> Iterator[Problem]:
    if not isinstance(blocks, list) or not blocks:
        yield "Unless a valid template_id is provided, the content parameter is required.", "content"
        return
    for n, block in enumerate(blocks):
        if not isinstance(block, dict) or not block.get("type"):
            yield "The content type must be a string at least one character in length.", f"content.{n}.type"
        elif not isinstance(block.get("value"), str) or not block["value"]:
            yield "The content value must be a string at least one character in length.", f"content.{n}.value"
    types = [block.get("type") for block in blocks if isinstance(block, dict)]
    if "text/plain" in types[1:]:
        yield "If present, text/plain must be first, followed by text/html.", "content"


def _attachment_problems(files: Any) -> Iterator[Problem]:
    if not isinstance(files, list):
        yield "The attachments parameter must be an array.", "attachments"
        return
    for n, file in enumerate(files):
        for name in ("content", "filename"):
            if not isinstance(file, dict) or not isinstance(file.get(name), str) or not file[name]:
                yield f"The attachment {name} parameter is required.", f"attachments.{n}.{name}"
                break
        else:
            if not _is_base64(file["content"]):
                yield "The attachment content must be base64 encoded.", f"attachments.{n}.content"


def _header_problems(headers: Any) -> Iterator[Problem]:
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        yield "The headers parameter must be an object of strings.", "headers"
        return
    for name in headers:
        if name.lower() in _RESERVED_HEADERS:
            yield f"The header {name} is reserved.", f"headers.{name}"


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _attachment(file: dict[str, Any]) -> Attachment:
    return Attachment(
        file["filename"], file.get("type") or "application/octet-stream", base64.b64decode(file["content"])
    )


def _content(mail: dict[str, Any]) -> dict[str, Any]:
    parts = mail["personalizations"]
    texts = {block["type"]: block["value"] for block in mail.get("content") or []}
    people = {kind: [one for part in parts for one in part.get(kind) or []] for kind in ("to", "cc", "bcc")}
    rest = {name: value for name, value in mail.items() if name not in ("attachments", "content")}
    return {
        "from": mail["from"],
        **people,
        "subject": mail.get("subject") or parts[0].get("subject"),
        "text": texts.get("text/plain"),
        "html": texts.get("text/html"),
        "headers": mail.get("headers") or {},
        "provider": "sendgrid",
        "request": rest,
    }
