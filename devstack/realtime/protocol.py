"""The two wire forms of Phoenix channels: JSON objects (1.0.0), JSON arrays and binary frames (2.0.0)."""

import json
from dataclasses import dataclass
from typing import Any

V1, V2 = "1.0.0", "2.0.0"
_USER_BROADCAST_PUSH, _USER_BROADCAST = 3, 4
_BINARY, _JSON = 0, 1
_json = json.JSONEncoder(separators=(",", ":")).encode


class ProtocolError(ValueError):
    """A frame that is none of ours."""


class Encoded(str):
    """A payload that is JSON text already, so that its many receivers share it."""


@dataclass(frozen=True)
class Message:
    """One frame; the payload is a JSON value, `Encoded`, or a broadcast that holds bytes."""

    topic: str
    event: str
    payload: Any
    ref: str | None = None
    join_ref: str | None = None


def pack(payload: Any) -> Any:
    """The payload in the form that is cheapest to send often."""
    if isinstance(payload, Encoded) or _content(payload) is not None:
        return payload
    return Encoded(_json(payload))


def size(payload: Any) -> int:
    """About how many bytes a packed payload takes; what is not packed is small."""
    content = _content(payload)
    return len(content) if content is not None else len(payload) if isinstance(payload, Encoded) else 0


def decode(frame: str | bytes) -> Message:
    """Read a client's frame. Raises ProtocolError."""
    try:
        return _decode_binary(frame) if isinstance(frame, bytes) else _decode_text(frame)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
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
    for length in sizes:
        parts.append(frame[at : at + length].decode())
        at += length
    join_ref, ref, topic, event, meta = parts
    payload: dict[str, Any] = {"type": "broadcast", "event": event, "payload": frame[at:]}
    if encoding == _JSON:
        payload["payload"] = json.loads(frame[at:])
    if meta:
        payload["meta"] = json.loads(meta)
    return Message(topic, "broadcast", payload, _ref(ref), _ref(join_ref))


def encode(version: str, message: Message) -> str | bytes | None:
    """The frame for a client; None when its protocol has no way to say it (bytes in 1.0.0)."""
    payload = message.payload
    if (content := _content(payload)) is not None:
        return _encode_binary(message, content) if version == V2 else None
    text = payload if isinstance(payload, Encoded) else _json(payload)
    topic, event, ref = _json(message.topic), _json(message.event), _json(message.ref)
    if version == V2:
        return f"[{_json(message.join_ref)},{ref},{topic},{event},{text}]"
    return f'{{"topic":{topic},"event":{event},"payload":{text},"ref":{ref}}}'


def _content(payload: Any) -> bytes | None:
    content = payload.get("payload") if isinstance(payload, dict) else None
    return content if isinstance(content, bytes) else None


def _encode_binary(message: Message, content: bytes) -> bytes:
    meta = message.payload.get("meta")
    texts = (message.topic, message.payload["event"], json.dumps(meta) if meta else "")
    parts = [text.encode() for text in texts]
    return bytes([_USER_BROADCAST, *map(len, parts), _BINARY]) + b"".join(parts) + content
