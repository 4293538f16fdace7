"""Sockets and channels: the handshake, joining and leaving, tokens that change and expire."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devstack.config import GatewayConfig
from devstack.keys import JWT_SECRET


def test_an_expired_token_closes_the_channel(client: Any, token: Callable[..., str]) -> None:
    assert client.join("short", token=token(seconds=2.5))["status"] == "ok"
    assert client.next()["payload"]["message"].startswith("Token has expired")
    assert client.next()["event"] == "phx_close"
    refused = client.join("short", token=token(seconds=-5))
    assert refused["response"]["reason"].startswith("InvalidJWTToken: Token has expired")


def test_heartbeat_leave_and_unknown_topics(client: Any) -> None:
    client.send("phoenix", "heartbeat", {})
    beat = client.next()
    assert (beat["topic"], beat["payload"]) == ("phoenix", {"status": "ok", "response": {}})
    client.send("realtime:nowhere", "broadcast", {})
    assert client.next()["payload"]["response"] == {"reason": "unmatched topic"}
    assert client.join("")["response"]["reason"].startswith("TopicNameRequired")
    client.join("here")
    client.send("realtime:here", "phx_leave", {})
    assert [client.next()["event"] for _ in range(2)] == ["phx_reply", "phx_close"]


def _claims(**claims: Any) -> str:
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "API key is missing"),
        ("x.y.z", "The token provided is not a valid JWT"),
        (_claims(role="anon", exp=1), "Token has expired"),
        (_claims(role="anon"), "Fields `role` and `exp` are required in JWT"),
        (_claims(exp=9999999999), "Fields `role` and `exp` are required in JWT"),
        (
            jwt.encode({"role": "anon", "exp": 9999999999}, "x" * 32, algorithm="HS256"),
            "Failed to validate JWT signature",
        ),
    ],
)
def test_a_bad_key_is_refused_at_the_door(dial: Any, key: str, words: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(key=key)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"") == {"error": words}


def test_the_key_may_come_in_a_header(dial: Any, config: GatewayConfig) -> None:
    client = dial(key="", additional_headers={"x-api-key": config.keys.anon_key})
    assert client.join("header")["status"] == "ok"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("garbage", "MalformedJWT: The token provided is not a valid JWT"),
        (_claims(sub="x", exp=9999999999), "InvalidJWTToken: Fields `role` and `exp` are required in JWT"),
    ],
)
def test_a_bad_token_is_refused_at_the_join(client: Any, token: Any, bad: str, words: str) -> None:
    assert client.join("here", token=bad)["response"] == {"reason": words}
    assert client.join("here", token=token())["status"] == "ok"


def test_a_new_token_must_be_sound(client: Any, token: Any) -> None:
    client.join("sound", token=token())
    for ignored in (None, "sb_publishable_x"):
        client.send("realtime:sound", "access_token", {"access_token": ignored})
    client.send("realtime:sound", "access_token", {"access_token": token(seconds=1200)})
    assert client.is_silent(0.2)
    client.send("realtime:sound", "access_token", {"access_token": token(seconds=-5)})
    assert client.next("system")["payload"]["message"].startswith("Token has expired")
    assert client.next()["event"] == "phx_close"


def test_a_new_token_that_may_read_less_closes_the_channel(
    client: Any, rita: str, otto: str, token: Any
) -> None:
    name = f"of:{rita}"
    assert client.join(name, private=True, token=token(rita))["status"] == "ok"
    client.send(f"realtime:{name}", "access_token", {"access_token": token(rita, seconds=1200)})
    assert client.is_silent(0.3)
    client.send(f"realtime:{name}", "access_token", {"access_token": token(otto)})
    words = f"You no longer have permission to read from this Channel topic: {name}"
    about = {"extension": "system", "status": "error", "channel": name}
    assert client.next()["payload"] == {**about, "message": words}
    assert client.next()["event"] == "phx_close"


def test_joining_again_closes_the_first(dial: Any) -> None:
    client = dial(version="2.0.0")
    client.socket.send(json.dumps(["7", "7", "realtime:twice", "phx_join", {"config": {}}]))
    client.next("phx_reply")
    client.socket.send(json.dumps(["8", "8", "realtime:twice", "phx_join", {"config": {}}]))
    closed, reply = client.next(), client.next()
    assert (closed["event"], closed["join_ref"]) == ("phx_close", "7")
    assert (reply["event"], reply["join_ref"], reply["payload"]["status"]) == ("phx_reply", "8", "ok")


def test_a_client_may_wait_for_the_replication(client: Any) -> None:
    client.join("ready", broadcast={"replication_ready": True})
    words = {"message": "Replication connection established", "extension": "system", "status": "ok"}
    assert client.next()["payload"] == {**words, "channel": "ready"}


def test_nonsense_ends_the_connection(client: Any) -> None:
    client.socket.send("nonsense")
    with pytest.raises(ConnectionClosed) as closed:
        client.next()
    assert closed.value.rcvd and closed.value.rcvd.code == 1011
