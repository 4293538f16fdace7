"""What providers tell, in our words. Whatever is not understood is left out, never passed on as it came.

Sources: SendGrid's "Event Webhook Reference", Twilio's "Track outbound message status" and its
dictionary of error codes. Opens and clicks are not taken down: nobody is told who read what in a mail.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

Suppression = Literal["bounce", "complaint", "stop", "unreachable"]
Wish = Literal["stop", "start"]

_SENDGRID_STATUS = {
    "processed": "sent",
    "deferred": None,
    "delivered": "delivered",
    "bounce": "failed",
    "dropped": "failed",
    "spamreport": "delivered",
    "unsubscribe": None,
    "group_unsubscribe": None,
}
_DROPPED: Mapping[str, Suppression] = {
    "bounced address": "bounce",
    "spam reporting address": "complaint",
    "unsubscribed address": "stop",
}
_TWILIO_STATUS = {
    "accepted": None,
    "scheduled": None,
    "queued": None,
    "sending": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
# 21610: wrote STOP. 21211, 21614, 30005, 30006: no number, no mobile, unknown handset, landline. 63024: not
# on WhatsApp. Not 30003: a phone that is switched off comes back.
_TWILIO_SUPPRESSION: Mapping[str, Suppression] = {
    "21610": "stop",
    "21211": "unreachable",
    "21614": "unreachable",
    "30005": "unreachable",
    "30006": "unreachable",
    "63024": "unreachable",
}
_ID = re.compile(r"[\w.=+/-]{1,150}", re.ASCII)
_CODE = re.compile(r"[\w. /-]{1,60}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TWILIO_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
MAX_WORDS = 4000


class DeliveryEvent(BaseModel):
    """One event of a message of ours; `status` None changes nothing, `suppression` stops further messages."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    communication_id: UUID
    event: str
    status: str | None
    provider_id: str | None
    code: str | None
    event_key: str
    occurred_at: datetime
    address: str
    suppression: Suppression | None


class Inbound(BaseModel):
    """What a customer wrote; `sender` is an E.164 number, or whatever the network had for one."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    channel: Literal["sms", "whatsapp"]
    provider_id: str
    sender: str
    body: str
    media_count: int
    wish: Wish | None


def sendgrid_event(told: object, now: datetime) -> DeliveryEvent | None:
    """One event of a batch; None when it is not of a message of ours, or says nothing that we take down."""
    if not isinstance(told, Mapping):
        return None
    name = told.get("event")
    communication_id = _uuid(told.get("communication_id"))
    if communication_id is None or not isinstance(name, str) or name not in _SENDGRID_STATUS:
        return None
    # X-Message-Id, and after a dot which of SendGrid's machines it passed.
    provider_id = (_match(_ID, told.get("sg_message_id")) or "").partition(".")[0] or None
    occurred_at = _time(told.get("timestamp"), now)
    event_id = _match(_ID, told.get("sg_event_id")) or _fingerprint(
        communication_id, name, provider_id, told.get("timestamp")
    )
    code, suppression = _why(name, told)
    return DeliveryEvent(
        communication_id=communication_id,
        event=name,
        status=_SENDGRID_STATUS[name],
        provider_id=provider_id,
        code=code,
        event_key=f"sendgrid:{event_id}",
        occurred_at=occurred_at,
        address=_clean(told.get("email"))[:254],
        suppression=suppression,
    )


def twilio_event(
    form: Mapping[str, str], communication_id: str | None, now: datetime
) -> DeliveryEvent | None:
    """A status callback; None when it is not of a message of ours."""
    message = _uuid(communication_id)
    sid, name = form.get("MessageSid", form.get("SmsSid", "")), form.get("MessageStatus", "").lower()
    if message is None or not TWILIO_SID.fullmatch(sid) or name not in _TWILIO_STATUS:
        return None
    status, code = _TWILIO_STATUS[name], _match(_CODE, form.get("ErrorCode"))
    return DeliveryEvent(
        communication_id=message,
        event=name,
        status=status,
        provider_id=sid,
        code=code,
        event_key=f"twilio:{sid}:{name}",
        occurred_at=now,
        address=_number(form.get("To", "")),
        suppression=_TWILIO_SUPPRESSION.get(code or "") if status == "failed" else None,
    )


def twilio_inbound(form: Mapping[str, str]) -> Inbound | None:
    """What a customer wrote; None when it lacks what makes it a message."""
    sid, sender = form.get("MessageSid", ""), form.get("From", "")
    number = _number(sender)
    if not TWILIO_SID.fullmatch(sid) or not 1 <= len(number) <= 64:
        return None
    media, wish = form.get("NumMedia", "0"), form.get("OptOutType", "").lower()
    return Inbound(
        channel="whatsapp" if sender.startswith("whatsapp:") else "sms",
        provider_id=sid,
        sender=number,
        body=_clean(form.get("Body", ""))[:MAX_WORDS],
        media_count=int(media) if media.isascii() and media.isdigit() and len(media) <= 2 else 0,
        wish="stop" if wish == "stop" else "start" if wish == "start" else None,
    )


def _why(name: str, told: Mapping[str, Any]) -> tuple[str | None, Suppression | None]:
    """The kind of error, and what it means for the address. Free texts are never kept: they quote it."""
    if name == "spamreport":
        return name, "complaint"
    if name in ("unsubscribe", "group_unsubscribe"):
        return name, "stop"
    if name == "dropped":
        reason = _clean(told.get("reason")).lower()
        return (reason, _DROPPED[reason]) if reason in _DROPPED else (name, None)
    if name != "bounce":
        return None, None
    code = _match(_CODE, told.get("status")) or _match(_CODE, told.get("bounce_classification")) or name
    # A block is the receiving server's mood; a bounce is for good unless its status says that it may pass.
    is_hard = told.get("type", "bounce") == "bounce" and not code.startswith("4.")
    return code, "bounce" if is_hard else None


def _number(address: str) -> str:
    return _clean(address.removeprefix("whatsapp:")).strip()


def _match(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _clean(value: object) -> str:
    """A text that PostgreSQL takes: without NUL, half pairs and other control characters."""
    return _CONTROL.sub("", value.replace("\r\n", "\n").replace("\r", "\n")) if isinstance(value, str) else ""


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        return None


def _time(value: object, now: datetime) -> datetime:
    is_time = isinstance(value, int) and not isinstance(value, bool) and 0 < value < now.timestamp() + 86400
    return datetime.fromtimestamp(value, UTC) if is_time else now  # type: ignore[arg-type]


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256("|".join(str(part) for part in parts).encode("utf-8", "replace")).hexdigest()
