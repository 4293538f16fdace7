"""Requests of visitors: what is taken, what is refused in words, and who sees any of it."""

import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, ANON, CARLA, OLGA, OTTO, SERVICE_ROLE, Actor
from sql_tests.steps import claim, denied, finish, one, refused
from sql_tests.visitors import REQUEST, VERSION, VISITOR, ask, at, handle, requests, rows, submit

RECEIVED = {"is_received": True}
BASES = {
    "contact": "legitimate_interests",
    "demo": "precontractual_steps",
    "privacy": "legal_obligation",
}
EVERYBODY = [ANON, OLGA, OTTO, CARLA.actor, SERVICE_ROLE]
REFUSED = {
    "request_kind_unknown": [{"kind": "job"}, {"kind": ""}, {"kind": None}],
    "request_locale_unknown": [{"locale": "de"}, {"locale": None}],
    "request_name_invalid": [
        {"full_name": ""},
        {"full_name": "  "},
        {"full_name": None},
        {"full_name": "x" * 121},
        {"full_name": "Vera\nBcc: all@evil.test"},
        {"full_name": "<b>Vera</b>"},
    ],
    "request_email_invalid": [
        {"email": ""},
        {"email": None},
        {"email": "vera"},
        {"email": "vera@example"},
        {"email": "vera@example.test, otto@example.test"},
        {"email": "Vera <vera@example.test>"},
        {"email": "v" * 250 + "@example.test"},
    ],
    "request_phone_invalid": [{"phone": "bel mij"}, {"phone": "12"}, {"phone": "1" * 31}],
    "request_message_too_long": [{"message": "x" * 4001}],
    "request_message_missing": [{"message": None}, {"message": " \n"}, {"kind": "privacy", "message": ""}],
    "control_character": [
        {"message": "\x1b[31mrood"},
        {"message": "a\x9b31m"},
        {"full_name": "Vera\u202eareV"},
        {"message": "\x07"},
    ],
}
TIMES = {
    **{"requests": "received_at", "request_notes": "created_at", "mails": "sent_at"},
    **{"consents": "created_at", "page_views": "viewed_at", "mail_attempts": "finished_at"},
}
CASES = [(code, other) for code, others in REFUSED.items() for other in others]


@pytest.mark.req("W1", "W2")
@pytest.mark.parametrize("kind", BASES)
def test_a_request_is_kept_with_its_legal_basis_and_the_policy_in_force(site: Database, kind: str) -> None:
    assert submit(site, kind=kind, phone="0470 12 34 56", locale="fr") == RECEIVED
    (request,) = requests(site)
    assert (request["kind"], request["legal_basis"]) == (kind, BASES[kind])
    assert (request["policy_version"], request["policy_locale"]) == (VERSION, "en")
    assert (request["status"], request["handled_by"], request["closed_at"]) == ("new", None, None)
    assert (request["phone"], request["email"]) == ("0470 12 34 56", "vera@example.test")


@pytest.mark.req("W2")
def test_a_demo_may_be_asked_for_without_words(site: Database) -> None:
    assert submit(site, kind="demo", message=None) == RECEIVED
    assert requests(site)[0]["message"] is None


@pytest.mark.req("W1")
@pytest.mark.parametrize(
    "text", ["l'été", "多", "🚗 x", "שלום", "a\tb\r\nc", "'; drop table x --", "{{7*7}}"]
)
def test_every_other_text_is_kept_as_it_is(site: Database, text: str) -> None:
    submit(site, message=text)
    assert requests(site)[0]["message"] == text


@pytest.mark.req("W1")
@pytest.mark.parametrize(("code", "other"), CASES)
def test_what_is_not_a_request_is_refused_in_words(
    site: Database, code: str, other: dict[str, object]
) -> None:
    with refused(code):
        submit(site, **other)
    assert requests(site) == []
    assert submit(site) == RECEIVED


@pytest.mark.req("W1")
def test_an_address_is_kept_in_one_way(site: Database) -> None:
    submit(site, email="  Vera@Example.TEST ")
    assert requests(site)[0]["email"] == "vera@example.test"


@pytest.mark.req("W4")
def test_a_machine_that_fills_in_everything_is_answered_like_a_person_and_not_kept(site: Database) -> None:
    assert submit(site, homepage="https://spam.test") == submit(site, homepage=" ") == RECEIVED
    assert len(requests(site)) == 1


@pytest.mark.req("W4")
def test_what_is_sent_again_within_a_day_is_one_request(site: Database) -> None:
    answers = [submit(site), submit(site, full_name="V. Bezoeker"), submit(site, email="VERA@example.test")]
    assert answers == [RECEIVED] * 3
    assert [request["repeats"] for request in requests(site)] == [2]
    with site.connect() as connection:
        connection.execute("update website.requests set received_at = received_at - interval '25 hours'")
        connection.execute("delete from private.rate_limits")
    submit(site)
    assert len(requests(site)) == 2


@pytest.fixture
def visited(site: Database) -> Database:
    """A website with something in each of its tables."""
    submit(site)
    handle(site, "follow_up", request_id=requests(site)[0]["id"], note="Gebeld")
    for claimed in claim(site, "website"):
        finish(site, "website", claimed)
    ask(site, "give_consent", visitor_id=VISITOR, purpose="statistics", policy_version=VERSION)
    ask(site, "record_page_view", path="/")
    return site


@pytest.mark.req("W1")
@pytest.mark.parametrize("actor", EVERYBODY, ids=lambda actor: str(actor.name))
@pytest.mark.parametrize(
    "verb",
    ["select * from {0}", "update {0} set {1} = {1}", "delete from {0}", "insert into {0} default values"],
)
@pytest.mark.parametrize("table", TIMES)
def test_nobody_but_staff_of_autexor_sees_or_touches_any_of_it(
    visited: Database, actor: Actor, verb: str, table: str
) -> None:
    statement = verb.format(f"website.{table}", TIMES[table])
    is_staff_of_a_garage = actor.role == "authenticated" and verb.startswith("select")
    with actor.acting(visited) as connection:
        if is_staff_of_a_garage:
            assert connection.execute(statement.encode()).fetchall() == []
        else:
            with denied():
                connection.execute(statement.encode())
    with ADA.acting(visited) as connection:
        assert one(connection, f"select count(*) from website.{table}") >= 1


@pytest.mark.req("W1", "W4")
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("submit_request", REQUEST),
        ("give_consent", {"visitor_id": VISITOR, "purpose": "statistics",
                          "policy_version": VERSION}),
        ("withdraw_consent", {"visitor_id": VISITOR,
                              "purpose": "statistics"}),
        ("record_page_view", {"path": "/"}),
    ],
)  # fmt: skip
def test_a_customer_of_a_garage_is_no_visitor_although_the_role_inherits_from_anon(
    site: Database, function: str, arguments: dict[str, object]
) -> None:
    with refused("visitors_only", 403):
        ask(site, function, who=CARLA.actor, **arguments)
    with denied():
        ask(site, function, who=OLGA, **arguments)
    ask(site, function, **arguments)


@pytest.mark.req("W1")
def test_without_a_policy_nothing_is_taken(fresh_database: Database) -> None:
    with fresh_database.connect() as connection:
        connection.execute("alter table website.policy_versions disable trigger user")
        connection.execute("delete from website.policy_versions")
    with refused("policy_missing", 503):
        submit(fresh_database)


@pytest.mark.req("W1", "W3")
def test_nothing_of_the_request_itself_is_logged_with_an_address(site: Database) -> None:
    submit(site, at("203.0.113.77"))
    found = rows(site, "select r::text from website.requests r union all select m::text from website.mails m")
    assert len(found) == 3
    assert not any("203.0.113.77" in str(row) for row in found)
