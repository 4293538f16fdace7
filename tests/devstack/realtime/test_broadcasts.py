"""Broadcasts between clients, over HTTP and from the database; private channels; what is told again."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from devstack.config import GatewayConfig


def test_broadcasts_reach_the_others(client: Any, another: Any) -> None:
    message = {"type": "broadcast", "event": "shout", "payload": {"text": "hoi"}}
    client.join("hall", broadcast={"ack": True})
    another.join("hall", broadcast={"self": True})
    client.send("realtime:hall", "broadcast", message)
    assert client.next()["payload"] == {"status": "ok", "response": {}}
    assert another.next()["payload"] == message
    another.send("realtime:hall", "broadcast", message)
    assert another.next()["payload"] == client.next()["payload"] == message


def test_binary_broadcasts(dial: Any, another: Any) -> None:
    topic, event = b"realtime:bin", b"shout"
    sizes = bytes([3, 1, 1, len(topic), len(event), 0])
    client = dial(version="2.0.0")
    client.join("bin", broadcast={"self": True})
    another.join("bin")
    client.socket.send(sizes + b"\x01" + b"12" + topic + event + b'{"a":1}')
    wanted = {"type": "broadcast", "event": "shout", "payload": {"a": 1}}
    assert client.next()["payload"] == another.next()["payload"] == wanted
    client.socket.send(sizes + b"\x00" + b"12" + topic + event + b"\xff\x00")
    frame = client.socket.recv(5)
    assert frame == bytes([4, len(topic), len(event), 0, 0]) + topic + event + b"\xff\x00"
    assert another.is_silent(0.2)


def test_private_channels_obey_policies(
    client: Any, another: Any, token: Callable[..., str], rita: str, otto: str
) -> None:
    refused = client.join("cellar", private=True, token=token())
    assert refused["response"]["reason"].startswith("Unauthorized: You do not have permissions to read")
    assert client.join("room", private=True, token=token(rita), broadcast={"ack": True})["status"] == "ok"
    assert another.join("room", private=True, token=token(otto), broadcast={"ack": True})["status"] == "ok"
    message = {"type": "broadcast", "event": "shout", "payload": {}}
    another.send("realtime:room", "broadcast", message)
    assert client.is_silent()
    client.send("realtime:room", "broadcast", message)
    assert another.next()["payload"] == message


def test_broadcasts_over_http_and_from_the_database(
    client: Any, url: str, config: GatewayConfig, db: Any, token: Callable[..., str]
) -> None:
    client.join("room", private=True, token=token())
    one = {"topic": "room", "event": "e", "payload": {"n": 1}, "private": True}
    headers = {"apikey": config.keys.service_role_key}
    assert httpx.post(f"{url}/api/broadcast", json={"messages": [one]}, headers=headers).status_code == 202
    assert client.next()["payload"] == {"type": "broadcast", "event": "e", "payload": {"n": 1}}
    bad = httpx.post(f"{url}/api/broadcast", json={"messages": [{"topic": "room"}]}, headers=headers)
    assert bad.status_code == 422
    assert httpx.post(f"{url}/api/broadcast", json={"messages": [one]}).status_code == 401
    db.execute("""select realtime.send('{"n": 2}', 'e', 'room')""")
    received = client.next()["payload"]
    assert (received["event"], received["payload"]["n"]) == ("e", 2)


def test_public_and_private_channels_of_one_name_are_two(
    client: Any, another: Any, rita: str, token: Any
) -> None:
    assert client.join("room", private=True, token=token(rita))["status"] == "ok"
    another.join("room", broadcast={"ack": True})
    another.send("realtime:room", "broadcast", {"type": "broadcast", "event": "e", "payload": {}})
    assert another.next("phx_reply")["payload"]["status"] == "ok"
    assert client.is_silent()


def test_one_broadcast_over_http(client: Any, dial: Any, url: str, config: GatewayConfig, token: Any) -> None:
    modern = dial(version="2.0.0")
    for one in (client, modern):
        one.join("single", token=token())
    headers = {"apikey": config.keys.anon_key}
    at = f"{url}/api/broadcast/single/events/hi"
    assert httpx.post(at, json={"n": 1}, headers=headers).status_code == 202
    wanted = {"type": "broadcast", "event": "hi", "payload": {"n": 1}}
    assert client.next()["payload"] == modern.next()["payload"] == wanted
    binary = {**headers, "content-type": "application/octet-stream"}
    assert httpx.post(at, content=b"\xff", headers=binary).status_code == 202
    assert modern.socket.recv(5).endswith(b"realtime:singlehi\xff")
    assert httpx.post(at, content=b"x", headers={**headers, "content-type": "text/plain"}).status_code == 415
    assert httpx.post(at, json={}).status_code == 401
    refused = httpx.post(f"{url}/api/broadcast/room/events/hi?private=true", json={}, headers=headers)
    assert refused.status_code == 202
    assert client.version == "2.0.0" or client.is_silent(0.2)


def test_a_batch_with_a_bad_message_is_refused_as_a_whole(
    another: Any, url: str, config: GatewayConfig
) -> None:
    another.join("batch")
    good = {"topic": "batch", "event": "e", "payload": {}}
    messages = [good, {"topic": "batch", "payload": "text"}]
    headers = {"apikey": config.keys.anon_key}
    answer = httpx.post(f"{url}/api/broadcast", json={"messages": messages}, headers=headers)
    problems = {"event": ["can't be blank"], "payload": ["is invalid"]}
    assert (answer.status_code, answer.json()) == (422, {"errors": {"messages": [{}, problems]}})
    assert another.is_silent(0.2)


def test_triggers_broadcast_what_changed(client: Any, db: Any, token: Any) -> None:
    db.execute(
        "create table shouting (id int primary key, body text);"
        " create function shout() returns trigger language plpgsql as $$ begin"
        " perform realtime.broadcast_changes('room', tg_op, tg_op, tg_table_name, tg_table_schema, new, old);"
        " return null; end $$;"
        " create trigger shout after insert or update or delete on shouting"
        " for each row execute function shout()"
    )
    client.join("room", private=True, token=token())
    db.execute("insert into shouting values (1, 'a'); update shouting set body = 'b'; delete from shouting")
    seen = [client.next()["payload"] for _ in range(3)]
    assert [one["event"] for one in seen] == ["INSERT", "UPDATE", "DELETE"]
    payload = seen[1]["payload"]
    assert payload.pop("id") == seen[1]["meta"]["id"]
    assert payload == {
        "record": {"id": 1, "body": "b"},
        "old_record": {"id": 1, "body": "a"},
        "operation": "UPDATE",
        "table": "shouting",
        "schema": "public",
    }
    db.execute("drop table shouting; drop function shout")


def test_bytes_from_the_database(dial: Any, db: Any, token: Any) -> None:
    modern, old = dial(version="2.0.0"), dial()
    for one in (modern, old):
        one.join("room", private=True, token=token())
    db.execute("select realtime.send_binary('\\xff00', 'raw', 'room')")
    assert modern.socket.recv(5).endswith(b"\xff\x00")
    assert old.is_silent(0.2)


def test_late_comers_are_told_again(client: Any, another: Any, db: Any, token: Any) -> None:
    db.execute("delete from realtime.messages")
    another.join("room", private=True, token=token())
    for n in range(4):
        db.execute("select realtime.send(jsonb_build_object('n', %s::int), 'e', 'room')", [n])
        another.next("broadcast")
    db.execute("select realtime.send('{}', 'e', 'elsewhere'), realtime.send('{}', 'public', 'room', false)")
    replay = {"since": 0, "limit": 3}
    assert client.join("room", private=True, token=token(), broadcast={"replay": replay})["status"] == "ok"
    seen = [client.next()["payload"] for _ in range(3)]
    assert [one["payload"]["n"] for one in seen] == [1, 2, 3]
    assert all(one["meta"] == {"replayed": True, "id": one["payload"]["id"]} for one in seen)
    db.execute("select realtime.send('{\"n\": 4}', 'e', 'room')")
    fresh = client.next()["payload"]
    assert (fresh["payload"]["n"], "replayed" in fresh["meta"]) == (4, False)


@pytest.mark.parametrize(
    ("is_private", "replay", "words"),
    [
        (False, {"since": 0}, "Replay is not allowed for public channels"),
        (True, {"since": "yesterday"}, "Replay params are not valid"),
    ],
)
def test_a_replay_that_cannot_be(another: Any, token: Any, is_private: bool, replay: Any, words: str) -> None:
    refused = another.join("room", private=is_private, token=token(), broadcast={"replay": replay})
    assert refused["response"] == {"reason": f"UnableToReplayMessages: {words}"}
