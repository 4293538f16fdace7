"""Versions of the privacy policy: two languages, in force from a day on, and never changed."""

import hashlib
from collections.abc import Iterator

import pytest

from devstack.config import ROOT
from devstack.testing import Database
from sql_tests.cast import ADA, ANON, CARLA, OLGA, Actor
from sql_tests.steps import change, denied, look, refused
from sql_tests.visitors import VERSION, VISITOR, ask, handle, requests, rows, submit

pytestmark = pytest.mark.req("W8")

NEW = {"version": "2027-01-01", "body_nl": "Nieuw beleid", "body_en": "New policy"}
TODAY = "(now() at time zone 'Europe/Brussels')::date"


@pytest.fixture
def fresh(fresh_database: Database) -> Iterator[Database]:
    """A database in which policies may be published."""
    yield fresh_database


def day(database: Database, offset: int) -> object:
    return look(database, f"select {TODAY} + %s", offset)


def policy(database: Database, who: Actor = ANON, **arguments: object) -> dict[str, object] | None:
    named = ", ".join(f"{name} => %s" for name in arguments)
    with who.acting(database) as connection:
        query = f"select * from website.privacy_policy({named})"
        row = connection.execute(query.encode(), list(arguments.values())).fetchone()
    return None if row is None else dict(row)


@pytest.mark.parametrize("who", [ANON, OLGA, CARLA.actor], ids=lambda who: str(who.name))
@pytest.mark.parametrize(
    ("locale", "wanted", "words"),
    [
        ("nl", "nl", "Laatst bijgewerkt: 23-2-2026"),
        ("fr", "en", "Autexor Group BV is the data controller"),
        ("en", "en", "It is aligned with current, code-based inventories"),
    ],
)
def test_everybody_reads_the_policy_in_force(
    database: Database, who: Actor, locale: str, wanted: str, words: str
) -> None:
    found = policy(database, who, locale=locale)
    assert found is not None
    assert (found["version"], found["locale"], str(found["published_on"])) == (VERSION, wanted, VERSION)
    assert words in str(found["body"])
    assert found["sha256"] == hashlib.sha256(str(found["body"]).encode()).hexdigest()


def test_the_seeded_texts_are_the_published_ones() -> None:
    seed = (ROOT / "seeds" / "85_website.sql").read_text("utf-8")
    assert seed.count("$policy$") == 4
    assert "Hoe wij omgaan met uw gegevens" in seed and "We do not sell personal data." in seed


def test_a_new_version_holds_from_its_day_on_and_requests_point_at_it(fresh: Database) -> None:
    submit(fresh)
    handle(fresh, "publish_policy", published_on=day(fresh, 0), **NEW)
    submit(fresh, message="Na de wijziging", email="vera2@example.test")
    assert [request["policy_version"] for request in requests(fresh)] == [VERSION, NEW["version"]]
    found = policy(fresh, locale="nl")
    assert found is not None and found["body"] == "Nieuw beleid"
    earlier = policy(fresh, locale="nl", version=VERSION)
    assert earlier is not None and "Laatst bijgewerkt: 23-2-2026" in str(earlier["body"])
    by = rows(fresh, "select distinct published_by::text from website.policy_versions where version = %s",
              NEW["version"])  # fmt: skip
    assert [row["published_by"] for row in by] == [ADA.claims["sub"]]


@pytest.mark.req("W5")
def test_consent_is_asked_again_under_a_new_version(fresh: Database) -> None:
    consent = {"visitor_id": VISITOR, "purpose": "statistics"}
    ask(fresh, "give_consent", policy_version=VERSION, **consent)
    handle(fresh, "publish_policy", published_on=day(fresh, 0), **NEW)
    with refused("policy_not_in_force", 409):
        ask(fresh, "give_consent", policy_version=VERSION, **consent)
    ask(fresh, "give_consent", policy_version=NEW["version"], **consent)
    ledger = rows(fresh, "select policy_version from website.consents order by id")
    assert [line["policy_version"] for line in ledger] == [VERSION, NEW["version"]]


def test_a_version_of_a_later_day_is_not_shown_today(fresh: Database) -> None:
    # Two days: midnight may come in between.
    handle(fresh, "publish_policy", published_on=day(fresh, 2), **NEW)
    assert policy(fresh, locale="nl", version=NEW["version"]) is None
    found = policy(fresh, locale="nl")
    assert found is not None and found["version"] == VERSION
    later = "select private.policy_in_force(now() + interval '3 days')"
    assert look(fresh, later) == NEW["version"]


@pytest.mark.parametrize(
    "statement",
    [
        "update website.policy_versions set body = 'anders'",
        "update website.policy_versions set published_on = current_date",
        "delete from website.policy_versions",
        "truncate website.policy_versions cascade",
    ],
)
def test_what_was_published_does_not_change_whoever_asks(database: Database, statement: str) -> None:
    before = rows(database, "select * from website.policy_versions order by locale")
    with refused("policy_published", 409):
        change(database, statement)
    with ADA.acting(database) as connection, denied():
        connection.execute(statement.encode())
    assert rows(database, "select * from website.policy_versions order by locale") == before


@pytest.mark.parametrize(
    ("other", "code", "status"),
    [
        ({"version": VERSION}, "policy_version_taken", 409),
        ({"version": "Versie 2"}, "policy_version_invalid", 422),
        ({"version": None}, "policy_version_invalid", 422),
        ({"body_en": " "}, "policy_text_missing", 422),
        ({"body_nl": None}, "policy_text_missing", 422),
        ({"published_on": "2026-01-01"}, "policy_date_past", 422),
        ({"published_on": None}, "policy_date_past", 422),
    ],
)
def test_what_is_no_policy_is_refused(
    fresh: Database, other: dict[str, object], code: str, status: int
) -> None:
    good = {**NEW, "published_on": day(fresh, 0)}
    with refused(code, status):
        handle(fresh, "publish_policy", **{**good, **other})
    with refused("operator_required", 403):
        ask(fresh, "publish_policy", who=OLGA, **good)
    with denied():
        ask(fresh, "publish_policy", **good)
    handle(fresh, "publish_policy", **good)
