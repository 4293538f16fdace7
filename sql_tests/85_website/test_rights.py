"""What is kept of somebody is handed out and erased by e-mail address, and goes by itself in time."""

import json

import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, ANON, CARLA, OLGA
from sql_tests.steps import change, claim, denied, finish, look, refused
from sql_tests.visitors import VERSION, VISITOR, ask, at, handle, requests, rows, submit

CANARY = "kanarie-7c1e"
EVERYWHERE = """
select c.oid::regclass::text as name from pg_class c
 where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text
       in ('public', 'private', 'website', 'audit', 'pgmq') order by 1
"""
PURGE = "select private.purge_website(now() + %s::interval)"


@pytest.fixture
def written(site: Database) -> Database:
    """Vera wrote twice and was followed up; somebody else wrote, too."""
    submit(site, message=f"Eerste {CANARY}", full_name=f"Vera {CANARY}", email=f"{CANARY}@example.test")
    submit(site, kind="privacy", message="Wat weet u van mij?", email=f"{CANARY.upper()}@example.test")
    submit(site, at("198.51.100.8"), email="other@example.test")
    first = next(r["id"] for r in requests(site) if r["kind"] == "contact")
    handle(site, "follow_up", request_id=first, note=f"Sprak met {CANARY}")
    for claimed in claim(site, "website"):
        finish(site, "website", claimed)
    return site


def found(site: Database, text: str) -> list[str]:
    """The tables in which a text occurs anywhere, in whatever letters."""
    tables = [row["name"] for row in rows(site, EVERYWHERE)]
    query = "select exists (select from {0} t where t::text ilike %s)"
    return [table for table in tables if look(site, query.format(table), f"%{text}%")]


@pytest.mark.req("W7")
def test_all_that_is_kept_under_an_address_is_handed_out(written: Database) -> None:
    export = handle(written, "export_visitor", email=f" {CANARY}@Example.test")
    assert [request["kind"] for request in export["requests"]] == ["contact", "privacy"]
    assert export["requests"][0]["notes"][0]["body"] == f"Sprak met {CANARY}"
    assert export["requests"][0]["mails"][0]["status"] == "sent"
    assert export["requests"][0]["legal_basis"] == "legitimate_interests"
    assert "other@example.test" not in json.dumps(export)
    recorded = rows(written, "select action, counts, operator_id::text from website.rights_actions")
    assert [tuple(row.values()) for row in recorded] == [
        ("export", {"requests": 2, "request_notes": 1, "mails": 3, "mail_attempts": 3}, ADA.claims["sub"])
    ]


@pytest.mark.req("W7")
def test_a_plan_erases_nothing(written: Database) -> None:
    before = found(written, CANARY)
    plan = handle(written, "erase_visitor", email=f"{CANARY}@example.test")
    assert plan == {
        "is_done": False,
        "erase": {"requests": 2, "request_notes": 1, "mails": 3, "mail_attempts": 3},
    }
    assert found(written, CANARY) == before == ["website.mails", "website.request_notes", "website.requests"]
    assert look(written, "select count(*) from website.rights_actions") == 0


@pytest.mark.req("W7")
def test_after_the_erasure_nothing_of_the_person_is_found_and_that_it_was_done_is(written: Database) -> None:
    done = handle(written, "erase_visitor", email=f"{CANARY}@example.test", is_dry_run=False)
    assert done["is_done"] is True
    assert found(written, CANARY) == []
    assert [request["email"] for request in requests(written)] == ["other@example.test"]
    (record,) = rows(written, "select action, counts, email_sha256 from website.rights_actions")
    assert (record["action"], record["counts"]) == ("erase", done["erase"])
    assert record["email_sha256"] == look(written, "select private.sha256_hex(%s)", f"{CANARY}@example.test")
    again = handle(written, "erase_visitor", email=f"{CANARY}@example.test", is_dry_run=False)
    assert set(again["erase"].values()) == {0}


@pytest.mark.req("W7")
def test_the_record_can_only_be_added_to(written: Database) -> None:
    handle(written, "export_visitor", email="other@example.test")
    with refused("history_is_append_only", 409):
        change(written, "update website.rights_actions set action = 'erase'")
    with ADA.acting(written) as connection, denied():
        connection.execute("delete from website.rights_actions")


@pytest.mark.req("W7", "D1")
@pytest.mark.parametrize("function", ["export_visitor", "erase_visitor"])
def test_no_garage_and_no_visitor_exercises_them(written: Database, function: str) -> None:
    for email in ("other@example.test", "nobody@example.test"):
        with refused("operator_required", 403):
            ask(written, function, who=OLGA, email=email)
    for actor in (ANON, CARLA.actor):
        with denied():
            ask(written, function, who=actor, email="other@example.test")
    assert handle(written, function, email="other@example.test")


@pytest.mark.req("W6")
def test_a_request_goes_so_many_days_after_it_was_closed_and_never_before(site: Database) -> None:
    submit(site)
    (request,) = requests(site)
    assert look(site, PURGE, "1000 days")["website_requests"] == 0
    handle(site, "follow_up", request_id=request["id"], note="Bezig")
    assert look(site, PURGE, "1000 days")["website_requests"] == 0
    handle(site, "close_request", request_id=request["id"], outcome="answered")
    assert look(site, PURGE, "179 days")["website_requests"] == 0
    assert look(site, PURGE, "181 days")["website_requests"] == 1
    for table in ("requests", "request_notes", "mails"):
        assert look(site, f"select count(*) from website.{table}") == 0


@pytest.mark.req("W6", "W3", "W5")
def test_page_views_consents_and_records_go_in_their_time(site: Database) -> None:
    ask(site, "record_page_view", at(), path="/")
    ask(site, "give_consent", visitor_id=VISITOR, purpose="statistics", policy_version=VERSION)
    handle(site, "export_visitor", email="nobody@example.test")
    kinds = ("page_views", "day_salts", "consents", "rights_actions")
    gone = {}
    for later in ("0 days", "2 days", "29 days", "31 days", "35 months", "37 months"):
        counts = look(site, PURGE, later)
        gone[later] = [counts[f"website_{kind}"] for kind in kinds]
    assert gone == {
        "0 days": [0, 0, 0, 0],
        "2 days": [0, 1, 0, 0],
        "29 days": [0, 0, 0, 0],
        "31 days": [1, 0, 0, 0],
        "35 months": [0, 0, 0, 0],
        "37 months": [0, 0, 1, 1],
    }


@pytest.mark.req("W6")
def test_the_hourly_housekeeping_does_it(site: Database) -> None:
    submit(site)
    change(site, "insert into website.day_salts (day) values (current_date - 3)")
    with site.connect("worker") as connection:
        counts = next(iter(connection.execute("select private.housekeep()").fetchone().values()))  # type: ignore[union-attr]
        connection.commit()
    assert counts["website_day_salts"] == 1
    assert counts["website_requests"] == 0
    assert look(site, "select count(*) from website.day_salts") == 0
