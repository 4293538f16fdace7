"""Presence: who is there, who came and who left."""

from collections.abc import Callable
from typing import Any

import pytest

ON = {"enabled": True}


def _metas(payload: Any, key: str) -> list[dict[str, Any]]:
    """What is said of a key, without the references."""
    return [
        {name: value for name, value in meta.items() if name not in ("phx_ref", "phx_ref_prev")}
        for meta in payload[key]["metas"]
    ]


def test_coming_changing_and_leaving(client: Any, another: Any) -> None:
    client.join("hall", presence={**ON, "key": "rita"})
    assert client.next("presence_state")["payload"] == {}
    client.track("hall", {"mood": "busy"})
    assert client.next("phx_reply")["payload"] == {"status": "ok", "response": {}}
    first = client.next("presence_diff")["payload"]
    assert (_metas(first["joins"], "rita"), first["leaves"]) == ([{"mood": "busy"}], {})

    another.join("hall", presence={**ON, "key": "marc"})
    assert _metas(another.next("presence_state")["payload"], "rita") == [{"mood": "busy"}]
    client.track("hall", {"mood": "idle"})
    for one in (client, another):
        diff = one.next("presence_diff")["payload"]
        assert _metas(diff["joins"], "rita") == [{"mood": "idle"}]
        assert _metas(diff["leaves"], "rita") == [{"mood": "busy"}]
        before = first["joins"]["rita"]["metas"][0]["phx_ref"]
        assert diff["joins"]["rita"]["metas"][0]["phx_ref_prev"] == before
        assert diff["leaves"]["rita"]["metas"][0]["phx_ref"] == before
    client.track("hall", None, event="untrack")
    gone = another.next("presence_diff")["payload"]
    assert (gone["joins"], _metas(gone["leaves"], "rita")) == ({}, [{"mood": "idle"}])


def test_one_key_may_have_several_metas(dial: Callable[..., Any], another: Any) -> None:
    for mood in ("busy", "idle"):
        client = dial()
        client.join("shared", presence={**ON, "key": "rita"})
        client.track("shared", {"mood": mood})
        client.next("presence_diff")
    another.join("shared", presence=ON)
    state = another.next("presence_state")["payload"]
    assert sorted(meta["mood"] for meta in _metas(state, "rita")) == ["busy", "idle"]


def test_who_disconnects_has_left(dial: Callable[..., Any], client: Any) -> None:
    client.join("door", presence=ON)
    client.next("presence_state")
    visitor = dial()
    visitor.join("door", presence={**ON, "key": "otto"})
    visitor.track("door", {})
    assert "otto" in client.next("presence_diff")["payload"]["joins"]
    visitor.socket.close()
    assert "otto" in client.next("presence_diff")["payload"]["leaves"]


def test_the_same_again_is_no_news(client: Any) -> None:
    client.join("same", presence=ON)
    client.track("same", {"a": 1})
    client.next("presence_diff")
    client.track("same", {"a": 1})
    assert client.next()["event"] == "phx_reply"
    assert client.is_silent(0.2)


def test_tracking_turns_presence_on(client: Any, another: Any) -> None:
    another.join("late", presence={**ON, "key": "marc"})
    another.track("late", {"n": 1})
    another.next("presence_diff")
    client.join("late", presence={"enabled": False, "key": "rita"})
    assert client.is_silent(0.2)
    client.track("late", {"n": 2})
    state = client.next("presence_state")["payload"]
    assert sorted(state) == ["marc", "rita"]


@pytest.mark.parametrize(
    ("message", "response"),
    [
        ({"event": "track", "payload": "text"}, {"reason": "Presence track payload must be a map"}),
        ({"event": "dance"}, {}),
    ],
)
def test_what_is_no_presence_is_refused(client: Any, message: Any, response: Any) -> None:
    client.join("odd", presence=ON)
    client.send("realtime:odd", "presence", message)
    assert client.next("phx_reply")["payload"] == {"status": "error", "response": response}


def test_too_many_calls_close_the_channel(client: Any) -> None:
    client.join("calls", presence=ON)
    for n in range(6):
        client.track("calls", {"n": n})
    words = {"message": "Client presence rate limit exceeded", "extension": "system", "status": "error"}
    assert client.next("system")["payload"] == {**words, "channel": "calls"}
    assert client.next("phx_close")["topic"] == "realtime:calls"


def test_policies_say_who_may_be_present(client: Any, another: Any, token: Any, rita: str, otto: str) -> None:
    for one, user in ((client, rita), (another, otto)):
        assert (
            one.join("room", private=True, presence={**ON, "key": user}, token=token(user))["status"] == "ok"
        )
        one.next("presence_state")
    another.track("room", {})
    assert another.next()["payload"] == {"status": "error", "response": {}}
    client.track("room", {"n": 1})
    assert client.next("phx_reply")["payload"]["status"] == "ok"
    assert rita in another.next("presence_diff")["payload"]["joins"]


def test_who_may_hear_but_not_see_gets_no_presence(client: Any, db: Any, token: Any) -> None:
    assert client.join("talk", private=True, presence=ON, token=token())["status"] == "ok"
    assert client.is_silent(0.2)
    db.execute("select realtime.send('{}', 'e', 'talk')")
    assert client.next()["event"] == "broadcast"
