"""What a client asks for when it joins a channel."""

import json
import uuid
import zlib
from dataclasses import dataclass
from typing import Any

from devstack.realtime.history import MOST, Replay


class JoinRefused(Exception):
    """Why a join does not come about, in the words for the client."""


@dataclass(frozen=True)
class Config:
    """The `config` of a join, read as forgivingly as the real server reads it.

    `requests` are the wanted changes, each with the id it gets; `is_legacy` says that the topic's own
    name asked for them.
    """

    is_private: bool
    echoes: bool
    acknowledges: bool
    awaits_replication: bool
    has_presence: bool
    presence_key: str
    replay: Replay | None
    requests: list[dict[str, Any]]
    is_legacy: bool

    @classmethod
    def read(cls, name: str, payload: dict[str, Any]) -> "Config":
        """Malformed parts count as not given. Raises JoinRefused for a replay that cannot be."""
        config = _object(payload.get("config"))
        broadcast, presence = _object(config.get("broadcast")), _object(config.get("presence"))
        is_private, is_legacy = _is_true(config.get("private")), "config" not in payload
        requests = [_from_topic(name)] if is_legacy else _requests(config.get("postgres_changes"))
        return cls(
            is_private=is_private,
            echoes=_is_true(broadcast.get("self")),
            acknowledges=_is_true(broadcast.get("ack")),
            awaits_replication=_is_true(broadcast.get("replication_ready")),
            has_presence=_is_true(presence.get("enabled")),
            presence_key=str(presence.get("key") or uuid.uuid4()),
            replay=_replay(broadcast, is_private=is_private),
            requests=[{**one, "id": _stable_id(one)} for one in requests],
            is_legacy=is_legacy,
        )


def _requests(wanted: Any) -> list[dict[str, Any]]:
    entries = [one for one in wanted if isinstance(one, dict)] if isinstance(wanted, list) else []
    return [{name: value for name, value in one.items() if value is not None} for one in entries]


def _from_topic(name: str) -> dict[str, Any]:
    """`schema:table:filter`, the last two optional."""
    return dict(zip(("schema", "table", "filter"), name.split(":", 2), strict=False))


def _replay(broadcast: dict[str, Any], *, is_private: bool) -> Replay | None:
    wanted = broadcast.get("replay")
    if wanted is None:
        return None
    if not is_private:
        raise JoinRefused("UnableToReplayMessages: Replay is not allowed for public channels")
    since, limit = (_object(wanted).get(name) for name in ("since", "limit"))
    since, limit = since or 0, limit or MOST
    if not isinstance(wanted, dict) or type(since) is not int or type(limit) is not int:
        raise JoinRefused("UnableToReplayMessages: Replay params are not valid")
    return Replay(since, limit)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


def _stable_id(request: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(request, sort_keys=True).encode()) & 0x7FFFFFF
