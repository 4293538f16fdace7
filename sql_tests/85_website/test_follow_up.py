"""A request from its arrival to its end, in the hands of operators."""

import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, OLGA
from sql_tests.steps import look, refused
from sql_tests.visitors import ask, handle, requests, rows, submit

pytestmark = pytest.mark.req("W1", "W6")

NOWHERE = "99999999-0000-4000-8000-000000000009"


@pytest.fixture
def request_id(site: Database) -> str:
    """A new request."""
    submit(site)
    return str(requests(site)[0]["id"])


def test_a_request_is_taken_up_noted_and_closed(site: Database, request_id: str) -> None:
    handle(site, "follow_up", request_id=request_id)
    (request,) = requests(site)
    assert (request["status"], str(request["handled_by"])) == ("in_follow_up", ADA.claims["sub"])
    handle(site, "follow_up", request_id=request_id, note="Gebeld, belt terug")
    handle(site, "close_request", request_id=request_id, outcome="answered", note="Is klant")
    (request,) = requests(site)
    assert (request["status"], request["outcome"]) == ("closed", "answered")
    assert request["followed_up_at"] <= request["closed_at"]
    notes = rows(site, "select status, body from website.request_notes order by created_at")
    assert [tuple(note.values()) for note in notes] == [
        ("in_follow_up", None),
        ("in_follow_up", "Gebeld, belt terug"),
        ("closed", "Is klant"),
    ]


def test_what_is_nothing_may_be_closed_at_once(site: Database, request_id: str) -> None:
    handle(site, "close_request", request_id=request_id, outcome="spam")
    assert requests(site)[0]["status"] == "closed"


def test_what_is_closed_stays_closed(site: Database, request_id: str) -> None:
    handle(site, "close_request", request_id=request_id, outcome="spam")
    before = requests(site)
    with refused("request_moved_on", 409):
        handle(site, "follow_up", request_id=request_id, note="Toch nog")
    with refused("request_moved_on", 409):
        handle(site, "close_request", request_id=request_id, outcome="answered")
    assert requests(site) == before


@pytest.mark.parametrize("note", [None, "", " \n"])
def test_taken_up_twice_without_a_word_is_told(site: Database, request_id: str, note: str | None) -> None:
    handle(site, "follow_up", request_id=request_id)
    with refused("request_moved_on", 409):
        handle(site, "follow_up", request_id=request_id, note=note)


def test_an_end_has_a_reason(site: Database, request_id: str) -> None:
    for outcome in ("", "lost", None):
        with refused("request_outcome_unknown"):
            handle(site, "close_request", request_id=request_id, outcome=outcome)


@pytest.mark.parametrize("note", ["x" * 4001, "\x1b[2J"])
def test_a_note_is_plain_text(site: Database, request_id: str, note: str) -> None:
    with refused("request_note_invalid"):
        handle(site, "follow_up", request_id=request_id, note=note)


@pytest.mark.parametrize(
    ("function", "arguments"), [("follow_up", {}), ("close_request", {"outcome": "answered"})]
)
def test_only_operators_handle_and_a_member_learns_nothing(
    site: Database, request_id: str, function: str, arguments: dict[str, str]
) -> None:
    for found in (request_id, NOWHERE):
        with refused("operator_required", 403):
            ask(site, function, who=OLGA, request_id=found, **arguments)
    with refused("request_not_found", 404):
        handle(site, function, request_id=NOWHERE, **arguments)
    assert look(site, "select count(*) from website.request_notes") == 0
    handle(site, function, request_id=request_id, **arguments)
