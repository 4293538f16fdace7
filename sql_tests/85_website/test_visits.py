"""Page views tell no persons apart, and what would needs a consent that lives."""

import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, CARLA, OLGA
from sql_tests.steps import change, denied, look, one, refused
from sql_tests.visitors import VERSION, VISITOR, ask, at, rows

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
AGENTS = {
    FIREFOX: "firefox",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0": "edge",
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36": "chrome",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Version/18.0 Mobile Safari/604": "safari",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "machine",
    "x": "other",
}
PATHS = {
    "/": "/",
    "/prijzen?utm=x&mail=vera@example.test#top": "/prijzen",
    "/nl/over-ons/": "/nl/over-ons/",
    "/bel/0470123456": "/bel/#",
    "/vera@example.test": None,
    "/%76era": None,
    "/een pagina": None,
    "https://autexor.be/prijzen": None,
    "": None,
    "/" + "x" * 100: None,
}
CONSENT = {"visitor_id": VISITOR, "purpose": "statistics"}
LIVES = "select private.has_consent(%s, %s, %s::timestamptz)"


def views(site: Database) -> list[dict[str, object]]:
    return rows(site, "select * from website.page_views order by id")


def view(site: Database, address: str = "198.51.100.7", agent: str = FIREFOX, **arguments: object) -> None:
    ask(site, "record_page_view", at(address, user_agent=agent), **{"path": "/prijzen", **arguments})


def consent(site: Database, **other: object) -> object:
    return ask(site, "give_consent", **{**CONSENT, "policy_version": VERSION, **other})


@pytest.mark.req("W3")
def test_a_page_view_says_what_and_when_and_of_nobody(site: Database) -> None:
    view(site, visitor_id=VISITOR, referrer="https://search.example/?q=vera")
    (kept,) = views(site)
    assert (kept["path"], kept["browser"], kept["is_mobile"]) == ("/prijzen", "firefox", False)
    assert (kept["visitor_id"], kept["referrer_host"]) == (None, None)
    assert not any(text in str(kept) for text in ("198.51.100", "Gecko", "vera", VISITOR))


@pytest.mark.req("W3")
def test_addresses_are_told_apart_within_a_day_and_never_afterwards(site: Database) -> None:
    for address in ("198.51.100.7", "198.51.100.7", "198.51.100.8"):
        view(site, address)
    first, again, other = (kept["visitor_day_sha256"] for kept in views(site))
    assert first == again != other
    change(site, "delete from website.day_salts")
    view(site)
    assert views(site)[-1]["visitor_day_sha256"] not in (first, other)


@pytest.mark.req("W3")
@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_no_place_for_free_text(site: Database, path: str) -> None:
    assert look(site, "select private.page_path(%s)", path) == PATHS[path]
    if PATHS[path] is None:
        with refused("page_path_invalid"):
            view(site, path=path)
    else:
        view(site, path=path)
    assert [kept["path"] for kept in views(site)] == [p for p in [PATHS[path]] if p]


@pytest.mark.req("W3")
@pytest.mark.parametrize("agent", AGENTS)
def test_of_a_user_agent_its_family_is_kept(site: Database, agent: str) -> None:
    view(site, agent=agent)
    assert views(site)[0]["browser"] == AGENTS[agent]
    assert views(site)[0]["is_mobile"] == ("Mobile" in agent)


@pytest.mark.req("W3", "W4", "S4")
def test_a_flood_of_page_views_is_not_kept(site: Database) -> None:
    view(site)
    full = "update private.rate_limits set hits = 300 where key = private.limit_key('page view', %s)"
    change(site, full, "198.51.100.7/32")
    view(site)
    assert len(views(site)) == 1
    view(site, "198.51.100.8")
    assert len(views(site)) == 2
    everybody = (
        "update private.rate_limits set hits = 30000 where key = private.limit_key('page views', 'all')"
    )
    change(site, everybody)
    view(site, "198.51.100.9")
    assert len(views(site)) == 2


@pytest.mark.req("W5")
def test_a_visitor_is_known_again_only_while_their_consent_lives(site: Database) -> None:
    view(site, visitor_id=VISITOR, referrer="https://search.example/?q=vera")
    consent(site)
    view(site, visitor_id=VISITOR, referrer="https://search.example/?q=vera")
    assert [str(kept["visitor_id"]) for kept in views(site)] == ["None", VISITOR]
    assert views(site)[1]["referrer_host"] == "search.example"
    ask(site, "withdraw_consent", **CONSENT)
    view(site, visitor_id=VISITOR)
    assert {(kept["visitor_id"], kept["referrer_host"]) for kept in views(site)} == {(None, None)}


@pytest.mark.req("W5")
def test_consent_to_one_thing_is_none_to_another(site: Database) -> None:
    consent(site, purpose="marketing")
    view(site, visitor_id=VISITOR)
    assert views(site)[0]["visitor_id"] is None
    assert ask(site, "has_consent", visitor_id=VISITOR, purpose="marketing") is True
    assert ask(site, "has_consent", **CONSENT) is False


@pytest.mark.req("W5", "W8")
def test_the_ledger_has_a_line_for_every_word_and_the_policy_it_was_given_under(site: Database) -> None:
    for _ in range(2):
        consent(site, locale="fr")
    for _ in range(2):
        ask(site, "withdraw_consent", **CONSENT)
    consent(site)
    ledger = rows(site, "select is_given, policy_version, policy_locale from website.consents order by id")
    assert [tuple(line.values()) for line in ledger] == [
        (True, VERSION, "en"),
        (False, VERSION, "en"),
        (True, VERSION, "nl"),
    ]


@pytest.mark.req("W5")
def test_the_ledger_can_only_be_added_to(site: Database) -> None:
    consent(site)
    for statement in ("update website.consents set is_given = false", "truncate website.consents"):
        with refused("history_is_append_only", 409):
            change(site, statement)
    with ADA.acting(site) as connection, denied():
        connection.execute("delete from website.consents")
    with ADA.acting(site) as connection:
        assert one(connection, "select count(*) from website.consents") == 1


@pytest.mark.req("W5")
def test_a_consent_ends_by_itself(site: Database) -> None:
    consent(site)
    later = "select (now() + interval '11 months')::text", "select (now() + interval '13 months')::text"
    alive, over = (look(site, moment) for moment in later)
    assert look(site, LIVES, VISITOR, "statistics", alive) is True
    assert look(site, LIVES, VISITOR, "statistics", over) is False


@pytest.mark.req("W5", "W8")
@pytest.mark.parametrize(
    ("other", "code", "status"),
    [
        ({"policy_version": "2020-01-01"}, "policy_not_in_force", 409),
        ({"policy_version": None}, "policy_not_in_force", 409),
        ({"purpose": "selling"}, "consent_purpose_unknown", 422),
        ({"purpose": None}, "consent_purpose_unknown", 422),
        ({"locale": "de"}, "request_locale_unknown", 422),
        ({"visitor_id": "11111111-1111-1111-1111-111111111111"}, "visitor_id_not_random", 422),
        ({"visitor_id": None}, "visitor_id_not_random", 422),
    ],
)
def test_what_is_no_consent_is_refused(
    site: Database, other: dict[str, object], code: str, status: int
) -> None:
    with refused(code, status):
        consent(site, **other)
    assert consent(site) == {"purpose": "statistics", "is_given": True}


@pytest.mark.req("W4", "W5")
def test_consents_are_limited_and_withdrawing_is_not(site: Database) -> None:
    consent(site)
    full = "update private.rate_limits set hits = 60 where key = private.limit_key('website consent', %s)"
    change(site, full, "198.51.100.7/32")
    with refused("too_many_requests", 429):
        consent(site, purpose="marketing")
    assert ask(site, "has_consent", **CONSENT) is True
    ask(site, "withdraw_consent", **CONSENT)
    assert ask(site, "has_consent", **CONSENT) is False


@pytest.mark.req("W5")
def test_withdrawing_what_was_never_given_leaves_no_line(site: Database) -> None:
    assert ask(site, "withdraw_consent", **CONSENT) == {"purpose": "statistics", "is_given": False}
    assert look(site, "select count(*) from website.consents") == 0


@pytest.mark.req("W3")
@pytest.mark.parametrize("actor", [OLGA, CARLA.actor], ids=lambda actor: str(actor.name))
def test_a_salt_is_nobodys_to_read(site: Database, actor: object) -> None:
    view(site)
    for who in (actor, ADA):
        with who.acting(site) as connection, denied():
            connection.execute("select from website.day_salts")
    assert look(site, "select count(*) from website.day_salts") == 1
