"""The two wire forms of Phoenix channels: JSON objects (1.0.0), JSON arrays and binary frames (2.0.0)."""

import json
from dataclasses import dataclass
from typing import Any

V1, V2 = "1.0.0", "2.0.0"
_USER_BROADCAST_PUSH, _USER_BROADCAST = 3, 4
_BINARY, _JSON = 0, 1


class ProtocolError(ValueError):
    """A frame that is none of ours."""


@dataclass(frozen=True)
class Message:
    """One frame; the payload of a broadcast may hold bytes."""

    topic: str
    event: str
    payload: Any
    ref: str | None = None
    join_ref: str | None = None


def decode(frame: str | bytes) -> Message:
    """Read a client's frame. Raises ProtocolError."""
    try:
        return _decode_binary(frame) if isinstance(frame, bytes) else _decode_text(frame)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ProtocolError(str(error)) from error


def _decode_text(frame: str) -> Message:
    match json.loads(frame):
        case [join_ref, ref, str(topic), str(event), payload]:
            return Message(topic, event, payload, _ref(ref), _ref(join_ref))
        case {"topic": str(topic), "event": str(event), **rest}:
            payload = rest.get("payload") or {}
            return Message(topic, event, payload, _ref(rest.get("ref")), _ref(rest.get("join_ref")))
    raise ProtocolError("neither form of message")


def _ref(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _decode_binary(frame: bytes) -> Message:
    if frame[0] != _USER_BROADCAST_PUSH:
        raise ProtocolError("only broadcasts come in binary")
    sizes, encoding, at = frame[1:6], frame[6], 7
    parts = []
    for size in sizes:
        parts.append(frame[at : at + size].decode())
        at += size
    join_ref, ref, topic, event, meta = parts
    payload: dict[str, Any] = {"type": "broadcast", "event": event, "payload": frame[at:]}
    if encoding == _JSON:
        payload["payload"] = json.loads(frame[at:])
    if meta:
        payload["meta"] = json.loads(meta)
    return Message(topic, "broadcast", payload, _ref(ref), _ref(join_ref))


def encode(version: str, message: Message) -> str | bytes | None:
    """The frame for a client; None when its protocol has no way to say it (bytes in 1.0.0)."""
    content = message.payload.get("payload")
    if isinstance(content, bytes):
        return _encode_binary(message, content) if version == V2 else None
    if version == V2:
        parts = [message.join_ref, message.ref, message.topic, message.event, message.payload]
        return json.dumps(parts, separators=(",", ":"))
    named = {"topic": message.topic, "event": message.event, "payload": message.payload, "ref": message.ref}
    return json.dumps(named, separators=(",", ":"))


def _encode_binary(message: Message, content: bytes) -> bytes:
    meta = message.payload.get("meta")
    texts = (message.topic, message.payload["event"], json.dumps(meta) if meta else "")
    parts = [text.encode() for text in texts]
    return bytes([_USER_BROADCAST, *map(len, parts), _BINARY]) + b"".join(parts) + content
