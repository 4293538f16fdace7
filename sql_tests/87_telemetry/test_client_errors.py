"""Errors of our apps: cleaned before they are kept, counted by kind, limited, shown to whom they concern."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.cast import ADA, ANON, CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import change, denied, look, one, refused, sign_in
from sql_tests.visitors import ask, at, rows

pytestmark = pytest.mark.req("D13")

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-DEF_123"
HEX = "0123456789abcdef" * 4
STACK = (
    "TypeError: x is null\n  at render (https://portal.autexor.be/assets/app-9f3.js?v=2:10:2345)\n  at main"
)
SECRETS = {
    f"401 with Bearer {JWT}": "401 with Bearer [token]",
    f"token {JWT} is old": "token [token] is old",
    f"half of one: {JWT[:30]}": "half of one: [token]",
    "Authorization: Basic b2xnYTpnZWhlaW0=": "Authorization: [secret] [token]",
    "key sb_secret_abcDEF123456_7890": "key [key]",
    "key sb_publishable_abcDEF123456": "key [key]",
    "SG.abcdefghij1234567890.ABCDEFGHIJ1234567890abc": "[key]",
    "sent to ExponentPushToken[CarlaNoordPhone0000001]": "sent to [token]",
    "no user carla.p+x@example.test here": "no user [email] here",
    "mailto carla%40example.test": "mailto [email]",
    "call +32 470 12 34 56 or 0470/12.34.56": "call [number] or [number]",
    "card 4111 1111 1111 1111": "card [number]",
    "iban BE68 5390 0754 7034": "iban [iban]",
    "iban BE68539007547034.": "iban [iban].",
    "ogm +++001/2345/60325+++": "ogm ++[number]+++",
    'login {"password": "Carla-wacht-2026!", "pin":"481516"}': None,
    "password=geheim&pin=481516": "password=[secret]&pin=[secret]",
    "wachtwoord: geheim": "wachtwoord: [secret]",
    f"link /activate#garage=x&token={HEX}": None,
    f"hash {HEX}": "hash [token]",
    "row 11111111-0000-4000-8000-000000000001": "row [id]",
    "car WVWZZZCDZMW123456, 1-ABC-234": "car [vin], [plate]",
    "GET https://olga:geheim@autexor.be/rest/v1/x?apikey=abc&a=* 500": "GET https://autexor.be/rest/v1/x 500",
    "$argon2id$v=19$m=47104,t=1,p=1$c2FsdA$cGFzcw": "[hash]",
}  # fmt: skip
HIDDEN = (
    *(
        "eyJ",
        "geheim",
        "b2xnYTp",
        "abcDEF123456",
        "SG.",
        "Carla-wacht",
        "481516",
        "CarlaNoord",
        "example.test",
    ),
    *("470", "4111", "5390", "60325", HEX, "000000000001", "WVWZZZ", "ABC-234", "apikey=", "m=47104"),
)
KEPT = {
    "TypeError: Cannot read properties of undefined (reading 'map')",
    "  at Object.render (app.js:10:2345)",
    "Failed to fetch /rest/v1/invoices: 500",
    "De factuur is niet gevonden (code 404)",
    "handleClick1Event is not a function",
}


@pytest.fixture
def quiet(database: Database) -> Database:
    """The module's database without errors and with all counters at zero."""
    for table in ("audit.client_errors", "website.client_errors", "private.rate_limits"):
        change(database, f"delete from {table}")
    return database


def report(database: Database, who: Actor = OLGA, agent: str = "Firefox/140", **arguments: Any) -> None:
    """Report an error in the app of whoever it is."""
    schema = {"anon": "website", "portal": "portal"}.get(who.role, "public")
    headers = at(user_agent=agent)
    ask(database, "report_error", headers, who, schema, **{"message": "TypeError: x is null", **arguments})


def errors(database: Database, table: str = "audit.client_errors") -> list[dict[str, Any]]:
    return rows(database, f"select * from {table} order by first_seen_at, message")


def seen(database: Database, who: Actor, relation: str = "public.client_errors") -> list[str]:
    with who.acting(database) as connection:
        return [row["message"] for row in connection.execute(f"select message from {relation}".encode())]


@pytest.mark.parametrize("text", SECRETS)
def test_what_is_secret_or_a_person_is_taken_out(quiet: Database, text: str) -> None:
    clean = str(look(quiet, "select private.scrub(%s)", text))
    assert SECRETS[text] is None or clean == SECRETS[text]
    assert [hidden for hidden in HIDDEN if hidden in clean] == []


@pytest.mark.parametrize("text", sorted(KEPT))
def test_what_an_error_says_stays(quiet: Database, text: str) -> None:
    assert look(quiet, "select private.scrub(%s)", text) == text


def test_everything_of_a_report_is_cleaned_before_it_is_kept(quiet: Database) -> None:
    everything = "; ".join(SECRETS)
    url = f"https://portal.autexor.be/facturen/0470123456?token={HEX}#pin=481516"
    report(quiet, message=everything[:900], stack=everything, url=url, release=f"1.0 {JWT}", agent=everything)
    (kept,) = errors(quiet)
    assert [hidden for hidden in HIDDEN if hidden in str({**kept, "id": "", "garage_id": ""})] == []
    assert kept["url"] == "https://portal.autexor.be/facturen/[number]"
    assert kept["release"] == "1.0 [token]"


def test_a_secret_at_the_edge_is_cleaned_before_the_text_is_cut(quiet: Database) -> None:
    report(quiet, message="x" * 985 + " " + JWT)
    assert errors(quiet)[0]["message"].endswith("x [token]")


@pytest.mark.parametrize("url", ["https://a.test/x?q=1", "https://a.test/x#t", "/x?q", "exp://10.0.0.1/x?q"])
def test_query_and_fragment_are_dropped(quiet: Database, url: str) -> None:
    report(quiet, url=url)
    assert "?" not in errors(quiet)[0]["url"] and "#" not in errors(quiet)[0]["url"]


def test_the_same_error_is_one_row_that_counts(quiet: Database) -> None:
    for number in range(3):
        report(
            quiet, stack=STACK.replace("2345", str(number)), release=f"1.{number}", agent=f"Firefox/{number}"
        )
    report(quiet, message="RangeError")
    kept = {row["message"]: row for row in errors(quiet)}
    assert {message: row["occurrences"] for message, row in kept.items()} == {
        "TypeError: x is null": 3,
        "RangeError": 1,
    }
    assert kept["TypeError: x is null"]["release"] == "1.2"


def test_parallel_reports_of_one_error_are_all_counted(quiet: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: report(quiet), range(20)))
    assert [row["occurrences"] for row in errors(quiet)] == [20]


def test_a_report_that_is_too_large_or_says_nothing_is_refused(quiet: Database) -> None:
    with refused("error_report_too_large", 413):
        report(quiet, stack="x" * 33_000)
    for message in ("", " ", None):
        with refused("error_message_missing"):
            report(quiet, message=message)
    report(quiet, stack="x " * 16_000)
    assert len(errors(quiet)[0]["stack"]) == 4000


@pytest.mark.req("S4")
def test_a_burst_of_one_person_is_refused_and_others_pass(quiet: Database) -> None:
    for number in range(30):
        report(quiet, message=f"E{chr(65 + number % 26)}")
    with refused("too_many_reports", 429):
        report(quiet)
    report(quiet, who=RITA)
    change(quiet, "update private.rate_limits set window_started_at = now() - interval '6 minutes'")
    report(quiet)


@pytest.mark.req("S4")
def test_visitors_are_counted_by_address_and_together(quiet: Database) -> None:
    for _ in range(30):
        report(quiet, who=ANON)
    with refused("too_many_reports", 429):
        report(quiet, who=ANON)
    ask(quiet, "report_error", at("198.51.100.8"), message="x")
    full = (
        "update private.rate_limits set hits = 600 where key = private.limit_key('client error', 'visitors')"
    )
    change(quiet, full)
    with refused("too_many_reports", 429):
        ask(quiet, "report_error", at("198.51.100.9"), message="x")


@pytest.mark.req("S4")
def test_ever_new_words_fill_nothing(quiet: Database) -> None:
    report(quiet)
    full = "update private.rate_limits set hits = 200 where key = private.limit_key('client error kinds', %s)"
    change(quiet, full, NOORD)
    report(quiet, message="Something new")
    report(quiet)
    report(quiet, who=OTTO, message="Something new")
    assert [(row["message"], row["occurrences"]) for row in errors(quiet)] == [
        ("TypeError: x is null", 2),
        ("Something new", 1),
    ]


@pytest.fixture
def reported(quiet: Database) -> Database:
    """Errors at both garages, of a customer, of a visitor and of somebody at no garage."""
    report(quiet, message="at Noord")
    report(quiet, who=OTTO, message="at Zuid")
    session, _ = sign_in(quiet, CARLA)
    report(quiet, who=CARLA.with_session(session["session_id"]), message="in the portal")
    report(quiet, who=ANON, message="on the website")
    report(quiet, who=ADA, message="at no garage")
    return quiet


@pytest.mark.req("D1", "D13")
def test_a_garage_sees_its_own_and_never_anothers(reported: Database) -> None:
    assert sorted(seen(reported, OLGA)) == ["at Noord", "in the portal"]
    assert seen(reported, OTTO) == ["at Zuid"]
    assert seen(reported, RITA) == seen(reported, MARC) == seen(reported, ADA) == []
    assert seen(reported, OLGA, "website.client_errors") == []
    apps = {row["message"]: (row["app"], str(row["garage_id"])) for row in errors(reported)}
    assert apps == {
        "at Noord": ("dms", NOORD),
        "at Zuid": ("dms", ZUID),
        "in the portal": ("portal", NOORD),
    }


def test_operators_see_all_and_a_member_is_refused(reported: Database) -> None:
    assert sorted(seen(reported, ADA, "website.client_errors")) == ["at no garage", "on the website"]
    assert sorted(seen(reported, ADA, "website.all_client_errors()")) == [
        *("at Noord", "at Zuid", "at no garage", "in the portal", "on the website"),
    ]
    with refused("operator_required", 403):
        seen(reported, OLGA, "website.all_client_errors()")
    for who in (ANON, KAREL.actor):
        with denied():
            seen(reported, who, "website.all_client_errors()")


@pytest.mark.parametrize("who", [ANON, OLGA, KAREL.actor, ADA], ids=lambda who: str(who.name))
@pytest.mark.parametrize("table", ["audit.client_errors", "website.client_errors"])
def test_reports_are_only_ever_added(reported: Database, who: Actor, table: str) -> None:
    for statement in (
        f"insert into {table} (app, group_sha256, message) values ('dms', 'x', 'x')",
        f"update {table} set message = 'x'",
        f"delete from {table}",
    ):
        with who.acting(reported) as connection, denied():
            connection.execute(statement.encode())
    assert len(errors(reported)) == 3


def test_a_customer_whose_session_ended_reports_nothing(quiet: Database) -> None:
    with refused("session_ended", 401):
        report(quiet, who=CARLA.with_session("77777777-0000-4000-8000-000000000099"))
    assert errors(quiet) == errors(quiet, "website.client_errors") == []


def test_errors_go_when_they_were_not_seen_for_so_long(reported: Database) -> None:
    purge = "select private.purge_telemetry(now() + %s::interval) ->> 'client_errors'"
    assert look(reported, purge, "89 days") == "0"
    assert look(reported, purge, "91 days") == "5"
    report(reported)
    with reported.connect("worker") as connection:
        assert one(connection, "select private.housekeep() ->> 'client_errors'") == "0"
    assert len(errors(reported)) == 1


@pytest.mark.req("D13")
@pytest.mark.parametrize("claims", ["[", "null", '{"role": "authenticated", "sub": ["x"]}', "{}"])
def test_whatever_a_token_holds_somebody_is_counted(quiet: Database, claims: str) -> None:
    with quiet.connect() as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        assert one(connection, "select private.reporter()") is not None


def test_no_report_raises_for_odd_text(quiet: Database) -> None:
    for text in (
        "((((" * 3000,
        "a." * 8000,
        "+" * 20_000,
        "9 " * 10_000,
        "eyJ" * 9000,
        "://" * 9000,
        "'\"<>",
    ):
        try:
            report(quiet, message=text, stack=text[:100], url=text[:200])
        except psycopg.Error as error:  # pragma: no cover - what fails is told with the text
            raise AssertionError(text[:20]) from error
