"""A garage's own words: versions that never change, tried before they are used, one of them live."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import Row, change, claim, denied, finish, issued_invoice, look, one, refused
from workers.core.kinds import KINDS

SAVE = "select public.save_message_template(%s, %s, %s, %s, %s, %s, %s)"
RETIRE = "select public.retire_message_template(%s, %s, %s)"
WORDING = "select private.wording_for(%s, 'invoice_issued', 'sms', 'nl')"
STATUSES = "select array_agg(status order by version) from public.message_templates"
LIVE = {"verdict": "live", "problem": None}
REFUSED = {"verdict": "refused", "problem": "text, line 1: unknown variable: x"}
WIPE = """
delete from public.message_templates;
delete from pgmq.q_check;
delete from pgmq.q_render;
delete from pgmq.q_send;
"""


@pytest.fixture
def database(database: Database) -> Database:
    """This module's database without templates."""
    change(database, WIPE)
    return database


def save(database: Database, actor: Actor = OLGA, text: str = "Dag", **parts: Any) -> None:
    """Save a version, of an SMS about an invoice unless told otherwise."""
    names = ("kind", "channel", "locale", "text", "subject", "html", "content_sid")
    usual = {"kind": "invoice_issued", "channel": "sms", "locale": "nl", "text": text}
    values = [(usual | parts).get(name) for name in names]
    with actor.acting(database) as connection:
        connection.execute(SAVE.encode(), values)
        connection.commit()


def check(database: Database, result: Row = LIVE) -> str:
    """Let a worker try the next version that waits."""
    (claimed,) = claim(database, "check", max_jobs=1)
    return finish(database, "check", claimed, result=result)


@pytest.mark.req("D8")
def test_a_saved_version_is_used_once_a_worker_found_it_good(database: Database) -> None:
    save(database, text="Uw factuur {{ invoice_number }}")
    assert look(database, STATUSES) == ["unchecked"]
    assert look(database, WORDING, NOORD) is None
    (claimed,) = claim(database, "check")
    job = claimed["job"]
    assert (job["kind"], job["template"], job["channel"], job["locale"], job["attempt"]) == (
        *("check_template", "invoice_issued", "sms", "nl"),
        1,
    )
    assert finish(database, "check", claimed, result=LIVE) == "live"
    wording = {"version": 1, "subject": None, "text": "Uw factuur {{ invoice_number }}"}
    assert look(database, WORDING, NOORD) == {**wording, "html": None, "content_sid": None}
    assert job["wording"] == look(database, WORDING, NOORD)
    assert look(database, WORDING, ZUID) is None


@pytest.mark.req("D8")
def test_a_refused_version_says_why_and_the_one_before_stays_in_use(database: Database) -> None:
    save(database, text="een")
    assert check(database) == "live"
    save(database, text="twee {{ x }}")
    assert check(database, REFUSED) == "refused"
    assert look(database, STATUSES) == ["live", "refused"]
    problem = look(database, "select problem from public.message_templates where status = 'refused'")
    assert problem == REFUSED["problem"]
    assert look(database, WORDING, NOORD)["text"] == "een"


@pytest.mark.req("D8")
def test_the_newest_good_version_is_live_whatever_the_order_of_verdicts(database: Database) -> None:
    save(database, text="een")
    save(database, text="twee")
    first, second = claim(database, "check")
    assert finish(database, "check", second, result=LIVE) == "live"
    assert finish(database, "check", first, result=LIVE) == "retired"
    assert look(database, STATUSES) == ["retired", "live"]
    assert look(database, WORDING, NOORD)["text"] == "twee"


@pytest.mark.req("D8")
def test_going_back_to_what_ships_stops_what_waits_too(database: Database) -> None:
    save(database, text="een")
    assert check(database) == "live"
    save(database, text="twee")
    with OLGA.acting(database) as connection:
        assert one(connection, RETIRE, "invoice_issued", "sms", "nl") == 2
        connection.commit()
    assert claim(database, "check") == []
    assert look(database, STATUSES) == ["retired", "retired"]
    assert look(database, WORDING, NOORD) is None
    with OLGA.acting(database) as connection, refused("template_not_found", 404):
        one(connection, RETIRE, "invoice_issued", "sms", "nl")


@pytest.mark.req("D8")
def test_a_late_verdict_changes_nothing(database: Database) -> None:
    save(database)
    (claimed,) = claim(database, "check")
    change(database, "update pgmq.q_check set vt = now() - interval '1 second'")
    (again,) = claim(database, "check")
    with refused("job_superseded", 409):
        finish(database, "check", claimed, result=REFUSED)
    assert finish(database, "check", again, result=LIVE) == "live"


@pytest.mark.req("D8")
def test_a_template_that_kills_its_workers_is_set_aside(database: Database) -> None:
    save(database)
    for _ in range(5):
        assert len(claim(database, "check")) == 1
        change(database, "update pgmq.q_check set vt = now() - interval '1 second'")
    assert claim(database, "check") == []
    assert look(database, STATUSES) == ["refused"]
    assert look(database, "select problem from public.message_templates") == "worker_died"


@pytest.mark.req("D8")
def test_a_check_that_could_not_be_made_is_tried_again_and_given_up_in_the_end(database: Database) -> None:
    save(database)
    for attempt in range(1, 6):
        (claimed,) = claim(database, "check")
        status = finish(database, "check", claimed, outcome="retry", reason="KeyError")
        assert status == ("unchecked" if attempt < 5 else "refused")
        change(database, "update pgmq.q_check set vt = now() - interval '1 second'")
    assert look(database, "select problem from public.message_templates") == "KeyError"


@pytest.mark.req("D1", "D8")
def test_versions_count_apart_for_each_garage_kind_channel_and_language(database: Database) -> None:
    save(database)
    save(database)
    save(database, locale="fr")
    save(database, channel="whatsapp")
    save(database, kind="work_ready")
    save(database, actor=OTTO)
    counted = look(
        database, "select array_agg(version order by created_at, version) from public.message_templates"
    )
    assert counted == [1, 2, 1, 1, 1, 1]


@pytest.mark.req("D8")
def test_two_who_save_at_once_get_a_version_each(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: save(database, text=f"{n}"), range(16)))
    versions = look(database, "select array_agg(version order by version) from public.message_templates")
    assert versions == list(range(1, 17))


@pytest.mark.req("D3", "D8")
@pytest.mark.parametrize("actor", [RITA, MARC], ids=["receptionist", "mechanic"])
def test_owners_write_templates_and_others_only_read_them(database: Database, actor: Actor) -> None:
    save(database, actor=OLGA)
    with actor.acting(database) as connection:
        assert one(connection, "select count(*) from public.message_templates") == 1
        with refused("permission_missing", 403), connection.transaction():
            connection.execute(SAVE.encode(), ("invoice_issued", "sms", "nl", "x", None, None, None))
        with refused("permission_missing", 403), connection.transaction():
            one(connection, RETIRE, "invoice_issued", "sms", "nl")


@pytest.mark.req("D1", "D8")
def test_another_garage_neither_sees_nor_ends_it(database: Database) -> None:
    save(database, actor=OLGA)
    with OTTO.acting(database) as connection:
        assert one(connection, "select count(*) from public.message_templates") == 0
        with refused("template_not_found", 404):
            one(connection, RETIRE, "invoice_issued", "sms", "nl")
    with OLGA.acting(database) as connection:
        assert one(connection, "select count(*) from public.message_templates") == 1
        assert one(connection, RETIRE, "invoice_issued", "sms", "nl") == 1


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    "statement",
    [
        "insert into public.message_templates (garage_id, kind, channel, locale, version, body_text,"
        " created_by) select garage_id, kind, channel, locale, 9, 'x', created_by"
        " from public.message_templates",
        "update public.message_templates set status = 'live', checked_at = now()",
        "delete from public.message_templates",
    ],
)
def test_nobody_writes_past_the_functions(database: Database, statement: str) -> None:
    save(database)
    with OLGA.acting(database) as connection, denied():
        connection.execute(statement.encode())


@pytest.mark.req("D8")
def test_a_saved_version_never_changes_whoever_asks(database: Database) -> None:
    save(database)
    with database.connect() as connection, refused("template_frozen", 409):
        connection.execute("update public.message_templates set body_text = 'anders'")
    change(database, "update public.message_templates set status = 'retired'")


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("channel_not_of_kind", {"kind": "nonsense"}),
    ("channel_not_of_kind", {"channel": "pigeon"}),
    ("channel_not_of_kind", {"kind": "portal_password_reset", "channel": "sms"}),
    ("locale_unknown", {"locale": "de"}),
    ("template_text_invalid", {"text": ""}),
    ("template_text_invalid", {"text": "x" * 4001}),
    ("template_subject_invalid", {"subject": "Een sms heeft geen onderwerp"}),
    ("template_subject_invalid", {"channel": "email"}),
    ("template_subject_invalid", {"channel": "push"}),
    ("template_subject_invalid", {"channel": "email", "subject": "x" * 501}),
    ("template_html_invalid", {"html": "<p>Dag</p>"}),
    ("template_html_invalid", {"channel": "email", "subject": "S", "html": "x" * 50_001}),
    ("content_sid_invalid", {"content_sid": "HX" + "0" * 32}),
    ("content_sid_invalid", {"channel": "whatsapp", "content_sid": "HX1"}),
]


@pytest.mark.req("D8")
@pytest.mark.parametrize(("code", "parts"), WRONG)
def test_what_cannot_be_a_template_is_refused_on_saving(
    database: Database, code: str, parts: dict[str, Any]
) -> None:
    with refused(code):
        save(database, **parts)
    assert look(database, "select count(*) from public.message_templates") == 0


@pytest.mark.req("D8")
def test_every_part_is_saved_where_it_belongs(database: Database) -> None:
    save(database, channel="email", subject="S", html="<p>Dag</p>")
    save(database, channel="push", subject="S")
    save(database, channel="whatsapp", content_sid="HX" + "0" * 32)
    assert look(database, "select count(*) from public.message_templates") == 3


@pytest.mark.req("D8")
def test_nobody_fills_the_table_by_saving_without_end(database: Database) -> None:
    change(
        database,
        "insert into public.message_templates (garage_id, kind, channel, locale, version, body_text,"
        " created_by) select m.garage_id, 'invoice_issued', 'sms', 'nl', n, 'x', m.id"
        " from public.memberships m, generate_series(1, 199) n where m.garage_id = %s and m.role = 'owner'",
        NOORD,
    )
    save(database)
    with refused("too_many_templates", 429):
        save(database)
    save(database, actor=OTTO)


@pytest.mark.req("D8")
def test_a_mail_and_a_push_are_claimed_with_the_garages_own_words(database: Database) -> None:
    save(database, channel="email", subject="Onze factuur", text="Dag {{ customer_name }}")
    save(database, channel="push", subject="Factuur", text="Kijk eens")
    for _ in range(2):
        assert check(database) == "live"
    issued_invoice(database, RITA, CARLA)
    (render,) = claim(database, "render")
    finish(database, "render", render)
    (mail,), (push,) = claim(database, "send"), claim(database, "push")
    assert mail["job"]["wording"]["subject"] == "Onze factuur"
    assert push["job"]["wording"]["text"] == "Kijk eens"
    finish(database, "push", push)
    finish(database, "send", mail, result={"wording_problem": "text: it says nothing"})
    problem = look(
        database, "select problem from public.message_templates where channel = 'email' and status = 'live'"
    )
    assert problem == "text: it says nothing"


@pytest.mark.req("D8")
def test_the_audit_says_who_wrote_and_what_became_of_it(database: Database) -> None:
    save(database)
    check(database)
    with OLGA.acting(database) as connection:
        rows = connection.execute(
            "select op, actor, changed from public.audit_entries"
            " where table_name = 'public.message_templates' order by id desc limit 3"
        ).fetchall()
    assert {"status", "checked_at"} <= {name for row in rows for name in row["changed"] or []}
    assert f"staff:{OLGA.claims['sub']}" in {row["actor"] for row in rows}


@pytest.mark.req("D8")
def test_the_database_and_the_workers_know_the_same_kinds_and_channels(database: Database) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "select kind, channels, is_about_access, is_ours_alone from private.message_kinds"
        ).fetchall()
    known = {
        row["kind"]: (set(row["channels"]), row["is_about_access"], row["is_ours_alone"]) for row in rows
    }
    # An account is tried at any hour, but what is said about it opens nothing.
    assert known == {
        name: (set(kind.channels), kind.is_about_access or name == "provider_test", kind.is_ours_alone)
        for name, kind in KINDS.items()
        if not name.startswith("website")  # a queue of its own
    }


@pytest.mark.req("D8")
@pytest.mark.parametrize("kind", ["support_requested", "breach_notified"])
def test_no_garage_words_what_autexor_itself_says(database: Database, kind: str) -> None:
    call = "select public.save_message_template(%s, 'email', 'nl', 'x', 'x')"
    with OLGA.acting(database) as connection:
        connection.execute(call, ("work_ready",))
        with refused("words_are_ours", 403):
            connection.execute(call, (kind,))


@pytest.mark.req("D8")
def test_a_template_whose_message_was_set_aside_does_not_wait_for_ever(database: Database) -> None:
    save(database)
    change(
        database,
        "select private.fail_subject('check', id, 'broke 22P02', false) from public.message_templates",
    )
    assert look(database, STATUSES) == ["refused"]
    assert look(database, "select problem from public.message_templates") == "broke 22P02"
