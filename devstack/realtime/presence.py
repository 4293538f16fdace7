"""Who is present on a topic, and with what to say about themselves."""

import secrets
from collections import defaultdict
from typing import Any

from devstack.realtime.hub import Hub, Listener

Meta = dict[str, Any]


class Presences:
    """One entry per channel; several channels may share a key, which then has several metas."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rooms: dict[tuple[str, bool], dict[Listener, tuple[str, Meta]]] = defaultdict(dict)

    def state(self, member: Listener) -> dict[str, Any]:
        """Everybody on the member's topic, as `presence_state` has it."""
        found: dict[str, Any] = {}
        for key, meta in self._rooms.get((member.topic, member.is_private), {}).values():
            found.setdefault(key, {"metas": []})["metas"].append(meta)
        return found

    def track(self, member: Listener, key: str, payload: Meta) -> None:
        """The member is there, or has something else to say; the same again is no news."""
        room = self._rooms[member.topic, member.is_private]
        _, before = room.get(member, (key, None))
        if before is not None and payload == _plain(before):
            return
        meta = {**payload, "phx_ref": secrets.token_urlsafe(12)}
        if before is not None:
            meta["phx_ref_prev"] = before["phx_ref"]
        room[member] = key, meta
        self._tell(member, key, joined=meta, left=before)

    def untrack(self, member: Listener) -> None:
        """The member is no longer there, if it was."""
        place = member.topic, member.is_private
        key, meta = self._rooms.get(place, {}).pop(member, ("", None))
        if not self._rooms.get(place):
            self._rooms.pop(place, None)
        if meta is not None:
            self._tell(member, key, joined=None, left=meta)

    def _tell(self, member: Listener, key: str, *, joined: Meta | None, left: Meta | None) -> None:
        parts = {"joins": joined, "leaves": left}
        diff = {name: {key: {"metas": [meta]}} if meta else {} for name, meta in parts.items()}
        self._hub.publish(member.topic, "presence_diff", diff, is_private=member.is_private)


def _plain(meta: Meta) -> Meta:
    return {name: value for name, value in meta.items() if name not in ("phx_ref", "phx_ref_prev")}
