"""Twilio's Messages resource (API 2010-04-01), checked as Twilio checks it, delivered to the inbox page.

Errors are in Twilio's words and codes (its "Error and Warning Dictionary"). Magic recipients are those of
its test credentials, +15005550001 (invalid), …2 (no route), …3 (no permission for that country), …4 (said
stop), …9 (no mobile), and more of the sandbox's own: +15005550429 (or …400, …500, …503) makes the call fail
with that status, +15005550599 takes the message and hangs up, +15005553003 (or …3005, 3006, 3007) is not
delivered, with code 30003.
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.sandbox import faults
from devstack.sandbox.faults import Fault
from devstack.sandbox.segments import segments
from devstack.sandbox.webhooks import is_local
from devstack.sandbox.world import Sandbox

MOST_CHARACTERS = 1600
WINDOW_SECONDS = 24 * 3600
_SID = re.compile(r"AC[0-9a-f]{32}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_SERVICE = re.compile(r"MG[0-9a-f]{32}")
_CONTENT = re.compile(r"HX[0-9a-f]{32}")
_MAGIC = "+1500555"
_CALLBACK = re.compile(r"/webhooks/twilio/([^/]+)/status$")

Problem = tuple[int, str]


@dataclass(frozen=True)
class Asked:
    """What a request asks for; addresses without their `whatsapp:`."""

    channel: str
    to: str
    sender: str
    service: str
    body: str
    content_sid: str
    variables: str
    callback: str

    @classmethod
    def of(cls, form: dict[str, str]) -> "Asked":
        """Read a form."""
        to = form.get("To", "")
        return cls(
            channel="whatsapp" if to.startswith("whatsapp:") else "sms",
            to=to.removeprefix("whatsapp:"),
            sender=form.get("From", ""),
            service=form.get("MessagingServiceSid", ""),
            body=form.get("Body", ""),
            content_sid=form.get("ContentSid", ""),
            variables=form.get("ContentVariables", ""),
            callback=form.get("StatusCallback", ""),
        )

    @property
    def address(self) -> str:
        """The recipient as Twilio writes it."""
        return f"whatsapp:{self.to}" if self.channel == "whatsapp" else self.to

    @property
    def number(self) -> str:
        """Who sends: a number or a service."""
        return self.service or self.sender.removeprefix("whatsapp:")


async def send(request: Request, sandbox: Sandbox) -> Response:
    """POST /2010-04-01/Accounts/{sid}/Messages.json: 201 with the message, or Twilio's error."""
    sid = request.path_params["sid"]
    token = _token(request, sid)
    if token is None:
        return _error(20003, "Authenticate", 401)
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
    asked = Asked.of(form)
    sandbox.twilio.tokens[sid] = token
    if found := _CALLBACK.search(urlsplit(asked.callback).path):
        sandbox.twilio.accounts[found[1]] = sid
    for code, message in _problems(asked, sandbox):
        return _error(code, message, 403 if code == 21408 else 400)

    async def accept() -> Response:
        return _accepted(sandbox, sid, token, asked)

    fault = sandbox.faults.of_call("twilio") or _magic_fault(asked.to)
    return await faults.suffer(fault, request, accept, _failure)


def _token(request: Request, sid: str) -> str | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    is_right = scheme.lower() == "basic" and name == sid and _SID.fullmatch(sid) and _TOKEN.fullmatch(token)
    return token if is_right else None


def _error(code: int, message: str, status: int) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return JSONResponse(body, status_code=status)


def _failure(status: int) -> Response:
    if status == 429:
        return _error(20429, "Too Many Requests", 429)
    return _error(20000 + status, f"The sandbox was asked to fail with {status}", status)


def _magic_fault(to: str) -> Fault | None:
    status = to.removeprefix(f"{_MAGIC}0")
    if status == "599":
        return Fault("twilio", "silent")
    if status in ("400", "429", "500", "502", "503", "504"):
        return Fault("twilio", f"status-{status}", retry_after=2 if status == "429" else None)
    return None


def _problems(asked: Asked, sandbox: Sandbox) -> Iterator[Problem]:
    if not asked.to:
        yield 21604, "A 'To' phone number is required."
    elif not _NUMBER.fullmatch(asked.to) or asked.to == f"{_MAGIC}0001":
        yield 21211, f"Invalid 'To' Phone Number: {_hidden(asked.to)}"
    yield from _sender_problems(asked)
    yield from _content_problems(asked)
    if asked.callback and not is_local(asked.callback):
        yield 21609, f"The 'StatusCallback' URL {asked.callback} is not a valid URL."
    if asked.to == f"{_MAGIC}0002":
        yield 21612, f"Message cannot be sent with the current combination of 'To' ({asked.to}) and/or 'From'"
    if asked.to == f"{_MAGIC}0003":
        yield 21408, f"Permission to send an SMS has not been enabled for the region indicated by: {asked.to}"
    if asked.to == f"{_MAGIC}0009":
        yield 21614, f"'To' number is not a valid mobile number: {asked.to}"
    if asked.to == f"{_MAGIC}0004" or (asked.channel, asked.number, asked.to) in sandbox.twilio.opted_out:
        yield 21610, "Attempt to send to unsubscribed recipient"


def _sender_problems(asked: Asked) -> Iterator[Problem]:
    if not asked.sender and not asked.service:
        yield 21603, "A 'From' phone number is required."
    if asked.service and not _SERVICE.fullmatch(asked.service):
        yield 21701, "The Messaging Service does not exist"
    if asked.sender:
        is_whatsapp = asked.sender.startswith("whatsapp:")
        if is_whatsapp != (asked.channel == "whatsapp"):
            yield 21910, "Invalid From and To pair. From and To should be of the same channel"
        if not _NUMBER.fullmatch(asked.sender.removeprefix("whatsapp:")):
            yield 21212, f"Invalid From Number (caller ID): {asked.sender}"
        if asked.sender.removeprefix("whatsapp:") == asked.to:
            yield 21266, "'To' and 'From' number cannot be the same"


def _content_problems(asked: Asked) -> Iterator[Problem]:
    if not asked.body and not asked.content_sid:
        yield 21619, "A text message body or media urls must be specified."
    if len(asked.body) > MOST_CHARACTERS:
        yield 21617, "The concatenated message body exceeds the 1600 character limit"
    if asked.content_sid and not _CONTENT.fullmatch(asked.content_sid):
        yield 21655, "The ContentSid is Invalid"
    if asked.variables:
        try:
            is_object = isinstance(json.loads(asked.variables), dict)
        except ValueError:
            is_object = False
        if not is_object or not asked.content_sid:
            yield 21656, "The ContentVariables Parameter is invalid"


def _hidden(number: str) -> str:
    return f"{number[:6]}XXXX"


def _accepted(sandbox: Sandbox, sid: str, token: str, asked: Asked) -> Response:
    message_sid = ("MM" if asked.content_sid else "SM") + uuid.uuid4().hex
    said = segments(asked.body)
    sandbox.store.add(
        message_sid,
        asked.channel,
        {
            "from": asked.number,
            "to": [asked.to],
            "text": asked.body or None,
            "content_sid": asked.content_sid or None,
            "variables": json.loads(asked.variables) if asked.variables else None,
            "segments": said.count,
            "encoding": said.encoding,
        },
    )
    if asked.callback:
        sandbox.webhooks.tell_twilio(
            asked.callback, token, [_told(sid, message_sid, asked, *one) for one in _history(sandbox, asked)]
        )
    return JSONResponse(_message(sid, message_sid, asked, said.count), status_code=201)


def _history(sandbox: Sandbox, asked: Asked) -> list[tuple[str, int | None]]:
    """What becomes of a message: its statuses and error codes."""
    if asked.to.startswith(f"{_MAGIC}3"):
        return [("sent", None), ("undelivered", 30000 + int(asked.to[-3:]))]
    if asked.channel == "sms":
        return [("sent", None), ("delivered", None)]
    wrote_at = sandbox.twilio.wrote_at.get(("whatsapp", asked.number, asked.to), 0.0)
    if not asked.content_sid and time.time() - wrote_at > WINDOW_SECONDS:
        return [("failed", 63016)]
    return [("sent", None), ("delivered", None), ("read", None)]


def _told(sid: str, message_sid: str, asked: Asked, status: str, code: int | None) -> dict[str, str]:
    """The form of a status callback."""
    form = {
        "AccountSid": sid,
        "ApiVersion": "2010-04-01",
        "From": asked.sender or asked.service,
        "MessageSid": message_sid,
        "MessageStatus": status,
        "SmsSid": message_sid,
        "SmsStatus": status,
        "To": asked.address,
    }
    if asked.service:
        form["MessagingServiceSid"] = asked.service
    if code is not None:
        form["ErrorCode"] = str(code)
    if asked.channel == "whatsapp":
        form |= {"ChannelPrefix": "whatsapp", "ChannelToAddress": asked.address}
        if status == "read":
            form["EventType"] = "READ"
    elif status == "delivered":
        form["RawDlrDoneDate"] = time.strftime("%y%m%d%H%M", time.gmtime())
    return form


def _message(sid: str, message_sid: str, asked: Asked, count: int) -> dict[str, Any]:
    uri = f"/2010-04-01/Accounts/{sid}/Messages/{message_sid}"
    now = formatdate(usegmt=False)
    return {
        "account_sid": sid,
        "api_version": "2010-04-01",
        "body": asked.body,
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": None if asked.service else asked.sender,
        "messaging_service_sid": asked.service or None,
        "num_media": "0",
        # Of a service's message only its chosen sender is known later.
        "num_segments": "0" if asked.service else str(count),
        "price": None,
        "price_unit": None,
        "sid": message_sid,
        "status": "accepted" if asked.service else "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": asked.address,
        "uri": f"{uri}.json",
    }
