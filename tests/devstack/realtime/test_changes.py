"""Changes of tables: what whom is told, in frames as the real server's own tests assert them."""

from collections.abc import Callable
from typing import Any

import pytest

from devstack.config import GatewayConfig


def notes(event: str = "*", **more: Any) -> dict[str, Any]:
    return {"event": event, "schema": "public", "table": "notes", **more}


def test_the_frames_of_a_subscription(client: Any, db: Any, token: Callable[..., str]) -> None:
    wanted = {"event": "INSERT", "schema": "public"}
    client.send(
        "realtime:any", "phx_join", {"config": {"postgres_changes": [wanted]}, "access_token": token()}
    )
    reply = client.next()
    number = reply["payload"]["response"]["postgres_changes"][0]["id"]
    assert (reply["event"], reply["ref"]) == ("phx_reply", "1")
    response = {"postgres_changes": [{**wanted, "id": number}]}
    assert reply["payload"] == {"status": "ok", "response": response}
    system = client.next()
    assert (system["event"], system["ref"]) == ("system", None)
    words = {"extension": "postgres_changes", "message": "Subscribed to PostgreSQL", "status": "ok"}
    assert system["payload"] == {"channel": "any", **words}
    db.execute("delete from open_notes; insert into open_notes values (1, 'test')")
    change = client.next()
    moment = change["payload"]["data"].pop("commit_timestamp")
    assert len(moment) == len("2026-01-01T00:00:00.000Z")
    columns = [{"name": "id", "type": "int4"}, {"name": "body", "type": "text"}]
    about = {"schema": "public", "table": "open_notes", "type": "INSERT", "errors": None, "columns": columns}
    assert change["payload"] == {"ids": [number], "data": {**about, "record": {"id": 1, "body": "test"}}}
    db.execute("delete from open_notes")


def test_values_are_typed_and_hidden_columns_left_out(
    client: Any, db: Any, token: Callable[..., str], rita: str
) -> None:
    db.execute("delete from notes")
    client.subscribe("typed", token(), notes())
    db.execute(
        "insert into notes (id, owner, body, secret, size, details, bytes, tags)"
        """ values (7, %s, 'hé', 'x', 12.5, '{"a": [1, null]}', '\\xbeef', '{a,b}')""",
        [rita],
    )
    data = client.next("postgres_changes")["payload"]["data"]
    assert data["record"] == {
        "id": 7,
        "owner": rita,
        "body": "hé",
        "size": 12.5,
        "details": {"a": [1, None]},
        "at": "2026-01-02T02:04:05+00:00",
        "bytes": "beef",
        "tags": ["a", "b"],
        "is_done": None,
    }
    types = {column["name"]: column["type"] for column in data["columns"]}
    assert "secret" not in types
    assert (types["tags"], types["at"]) == ("_text", "timestamptz")
    db.execute("update notes set body = 'neu' where id = 7")
    data = client.next("postgres_changes")["payload"]["data"]
    assert (data["type"], data["record"]["body"], data["old_record"]) == ("UPDATE", "neu", {"id": 7})
    db.execute("delete from notes")
    data = client.next("postgres_changes")["payload"]["data"]
    assert (data["type"], data["old_record"], "record" in data) == ("DELETE", {"id": 7}, False)


def test_an_unchanged_long_value_is_not_lost(
    client: Any, db: Any, token: Callable[..., str], rita: str
) -> None:
    db.execute("delete from notes; alter table notes alter body set storage external")
    db.execute("insert into notes (id, owner, body) values (8, %s, repeat('x', 5000))", [rita])
    client.subscribe("long", token(), notes("UPDATE"))
    db.execute("update notes set size = 1 where id = 8")
    record = client.next("postgres_changes")["payload"]["data"]["record"]
    assert (len(record["body"]), record["size"]) == (5000, 1)


def test_policies_hide_rows_from_those_they_do_not_concern(
    client: Any, another: Any, db: Any, token: Callable[..., str], rita: str, otto: str
) -> None:
    db.execute("delete from notes")
    client.subscribe("mine", token(rita), notes("INSERT"))
    another.subscribe("mine", token(otto), notes("INSERT"))
    db.execute("insert into notes (id, owner) values (1, %s), (2, %s)", [rita, otto])
    assert client.next()["payload"]["data"]["record"]["id"] == 1
    assert another.next()["payload"]["data"]["record"]["id"] == 2
    assert client.is_silent() and another.is_silent(0.1)


def test_two_bindings_get_one_frame(client: Any, db: Any, token: Callable[..., str], rita: str) -> None:
    db.execute("delete from notes")
    joined = client.join("both", postgres_changes=[notes("*"), notes("INSERT")], token=token())
    ids = [entry["id"] for entry in joined["response"]["postgres_changes"]]
    client.next("system")
    db.execute("insert into notes (id, owner) values (1, %s)", [rita])
    assert client.next()["payload"]["ids"] == ids
    assert client.is_silent()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("id=eq.2", [2]),
        ("id=neq.2", [1, 3]),
        ("id=lt.2", [1]),
        ("size=gte.9.5", [2, 3]),
        ("size=gt.9.50", [3]),
        ("size=lte.9.5", [1, 2]),
        ("body=in.(one,three)", [1, 3]),
        ("at=eq.2026-01-02T02:04:05Z", [1, 2, 3]),
        ("body=like.%e", [1, 3]),
        ("body=ilike.T_O", [2]),
        ("body=match.^t", [2, 3]),
        ("body=imatch.^TH", [3]),
        ("body=not.like.t%", [1]),
        ("id=not.in.(1,3)", [2]),
        ("is_done=is.true", [1]),
        ("is_done=is.null", [3]),
        ("is_done=not.is.null", [1, 2]),
        ("is_done=eq.false", [2]),
        ("is_done=not.eq.true", [2]),
        ("is_done=isdistinct.true", [2, 3]),
        ("id=gt.1,body=like.t%,size=lt.10", [2]),
        ('body=in.("three,four",one)', [1]),
    ],
)
def test_filters_choose_rows(
    another: Any, db: Any, token: Callable[..., str], condition: str, expected: list[int], rita: str
) -> None:
    db.execute("delete from notes")
    another.subscribe("filtered", token(), notes("INSERT", filter=condition))
    db.execute(
        "insert into notes (id, owner, body, size, is_done) values (1, %(r)s, 'one', 1, true),"
        " (2, %(r)s, 'two', 9.5, false), (3, %(r)s, 'three', 10, null)",
        {"r": rita},
    )
    assert [another.next()["payload"]["data"]["record"]["id"] for _ in expected] == expected
    assert another.is_silent(0.2)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"event": "*", "schema": "public", "table": "unpublished"},
            "Please check Realtime is enabled for the given connect parameters: [event: *, schema: public,"
            " table: unpublished, filters: [], select: nil]",
        ),
        (
            notes(filter="secret=eq.x"),
            "An exception happened so please check your connect parameters: [event: *, schema: public,"
            ' table: notes, filters: [{"secret", "eq", "x", false}], select: nil]. Exception: invalid column'
            " for filter secret",
        ),
        (notes(filter="id=eq.x"), "invalid input syntax"),
        (notes(filter="id~x"), 'Error parsing `filter` params: ["id~x"]'),
        (notes(filter="body=foo.hey"), 'Error parsing `filter` params: ["foo", "hey"]'),
        (notes(filter="id=in.1"), "`in` filter value must be wrapped by parentheses"),
        (notes(filter="id=eq.1,"), "filter must not contain empty segments (check for extra commas)"),
        (
            notes(filter=f"id=in.({','.join(map(str, range(101)))})"),
            "too many values for `in` filter. Maximum 100",
        ),
        (notes(select=["secret"]), "invalid column for select secret"),
        (notes(select="id"), "Error parsing `select` params: expected a list of column name strings"),
        (
            {"event": "*", "schema": "public", "select": ["id"]},
            "Column selection is not supported for wildcard",
        ),
        (
            {"event": "*"},
            "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to:"
            ' %{"event" => "*"}',
        ),
    ],
)
def test_a_subscription_that_cannot_be_says_why(
    another: Any, token: Callable[..., str], wanted: dict[str, Any], words: str
) -> None:
    system = another.subscribe("bad", token(), wanted)
    assert system["status"] == "error"
    assert words in system["message"]


def test_a_raising_policy_stops_nobody_else(client: Any, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from raising; delete from open_notes")
    client.subscribe("raising", token(), {"event": "INSERT", "schema": "public"})
    db.execute("insert into raising values (1), (2); insert into open_notes values (5, 'still here')")
    seen = [client.next()["payload"]["data"] for _ in range(2)]
    assert [(data["table"], data["record"]["id"]) for data in seen] == [("raising", 2), ("open_notes", 5)]


def test_a_role_without_rights_is_told_only_that(client: Any, db: Any, token: Callable[..., str]) -> None:
    db.execute("delete from hidden_notes")
    client.subscribe("hidden", token(), {"event": "INSERT", "schema": "public"})
    db.execute("insert into hidden_notes values (1)")
    about = {"schema": "public", "table": "hidden_notes", "type": "INSERT"}
    assert client.next()["payload"]["data"] == {**about, "errors": ["Error 401: Unauthorized"]}
    db.execute("insert into keyless values ('x')")
    assert client.next()["payload"]["data"]["errors"] == ["Error 400: Bad Request, no primary key"]


def test_without_policies_a_delete_shows_what_the_replica_identity_keeps(
    client: Any, db: Any, token: Callable[..., str]
) -> None:
    db.execute("delete from open_notes; insert into open_notes values (1, 'old')")
    client.subscribe("full", token(), {"event": "*", "schema": "public", "table": "open_notes"})
    db.execute("update open_notes set body = 'new'")
    assert client.next()["payload"]["data"]["old_record"] == {"id": 1, "body": "old"}
    db.execute("delete from open_notes")
    assert client.next()["payload"]["data"]["old_record"] == {"id": 1, "body": "new"}


def test_the_service_role_hears_the_doorbell_and_others_do_not(
    client: Any, another: Any, db: Any, config: GatewayConfig, token: Callable[..., str]
) -> None:
    db.execute("delete from inner_room.wakeups")
    wanted = {"event": "INSERT", "schema": "inner_room", "table": "wakeups"}
    client.subscribe("doorbell", config.keys.service_role_key, wanted)
    another.subscribe("doorbell", token(), wanted)
    db.execute("insert into inner_room.wakeups values (1, 'render')")
    assert client.next()["payload"]["data"]["record"] == {"id": 1, "queue": "render"}
    assert "record" not in another.next()["payload"]["data"]


def test_another_token_changes_what_is_seen(
    client: Any, db: Any, token: Callable[..., str], rita: str, otto: str
) -> None:
    db.execute("delete from notes")
    client.subscribe("renewed", token(otto), notes("INSERT"))
    client.send("realtime:renewed", "access_token", {"access_token": token(rita)})
    assert client.next("system")["payload"]["message"] == "Subscribed to PostgreSQL"
    db.execute("insert into notes (id, owner) values (1, %s), (2, %s)", [otto, rita])
    assert client.next()["payload"]["data"]["record"]["id"] == 2


def test_selected_columns_come_with_the_key(client: Any, db: Any, token: Any, rita: str) -> None:
    db.execute("delete from notes")
    joined = client.join(
        "selected", postgres_changes=[notes(select=["body"]), notes("INSERT")], token=token()
    )
    narrow, wide = (entry["id"] for entry in joined["response"]["postgres_changes"])
    client.next("system")
    db.execute("insert into notes (id, owner, body, size) values (1, %s, 'a', 2)", [rita])
    seen = {tuple(frame["ids"]): frame["data"] for frame in (client.next()["payload"] for _ in range(2))}
    assert seen[narrow,]["record"] == {"id": 1, "body": "a"}
    assert [column["name"] for column in seen[narrow,]["columns"]] == ["id", "body"]
    assert seen[wide,]["record"]["size"] == 2
    db.execute("delete from notes")
    assert client.next()["payload"]["data"]["old_record"] == {"id": 1}


def test_a_large_row_keeps_its_small_columns(client: Any, db: Any, token: Any, rita: str) -> None:
    db.execute("delete from notes")
    client.subscribe("large", token(), notes("INSERT"))
    db.execute("insert into notes (id, owner, body, size) values (1, %s, repeat('x', 1100000), 1)", [rita])
    data = client.next()["payload"]["data"]
    assert data["errors"] == ["Error 413: Payload Too Large"]
    assert (data["record"]["id"], data["record"]["size"], "body" in data["record"]) == (1, 1, False)


def test_a_join_without_config_listens_to_what_its_topic_names(client: Any, db: Any, token: Any) -> None:
    db.execute("delete from open_notes")
    client.send("realtime:public:open_notes:id=gt.1", "phx_join", {"user_token": token()})
    assert client.next("phx_reply")["payload"]["status"] == "ok"
    assert client.next("system")["payload"]["message"] == "Subscribed to PostgreSQL"
    db.execute("insert into open_notes values (1, 'a'), (2, 'b')")
    # The deletion before the join may still be told: it is the first insert that counts.
    assert client.next("INSERT")["payload"]["record"] == {"id": 2, "body": "b"}


def test_a_key_of_several_columns(client: Any, db: Any, token: Any, rita: str, otto: str) -> None:
    db.execute(
        "create table pairs (a int, b timestamptz, owner uuid, primary key (a, b));"
        " alter table pairs enable row level security; grant select on pairs to authenticated;"
        " create policy select_owner on pairs for select to authenticated using"
        " (owner = (current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid)"
    )
    db.execute("alter publication supabase_realtime add table pairs")
    client.subscribe("pairs", token(), {"event": "INSERT", "schema": "public", "table": "pairs"})
    db.execute(
        "insert into pairs values (1, '2026-01-01 00:00Z', %(o)s), (1, '2026-01-02 00:00Z', %(r)s)",
        {"r": rita, "o": otto},
    )
    assert client.next()["payload"]["data"]["record"]["b"].startswith("2026-01-02")
    assert client.is_silent(0.2)
    db.execute("drop table pairs")
