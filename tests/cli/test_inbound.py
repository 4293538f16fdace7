"""Texts from unknown numbers, from the command line: who sees them, and what saying whose they are does."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from devstack.stack import Stack
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD
from sql_tests.outcomes import ACCOUNT, ACCOUNT_SID, AUTH_TOKEN

pytestmark = pytest.mark.req("D9", "P12")

Autexor = Callable[..., Any]
MARC, RITA, OTTO = "marc@garage-noord.test", "rita@garage-noord.test", "otto@garage-zuid.test"
KARELS_MAIL = "select email from public.customers where id = %s"
IN_USE = "select id from public.provider_accounts where garage_id = %s and channel = %s and is_active"
OUT_OF_USE = "update public.provider_accounts set secret_id = null where id = %s"
RECEIVE = "select private.receive_message(%s, %s, %s, %s, %s, %s, null)"
KEPT = "select id::text from public.inbound_messages where provider_id = %s"
TALK = """
select array_agg(m.channel || ': ' || m.body order by m.created_at) from public.messages m
  join public.conversations c on c.garage_id = m.garage_id and c.id = m.conversation_id
 where c.customer_id = %s and m.body like %s
"""


class Number:
    """A number that nobody is known for, and what is written from it to Garage Noord."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.address = f"+3249{uuid4().int % 10**7:07d}"

    def look(self, query: str, *arguments: object) -> Any:
        row = self.connection.execute(query, arguments).fetchone()
        return row and row[0]

    def writes(self, body: str, channel: str = "sms", pictures: int = 0, at: datetime | None = None) -> str:
        """Taken in as the webhook does; the id it is kept under."""
        name = f"SM{uuid4().hex}"
        with self.connection.transaction():
            in_use = self.look(IN_USE, NOORD, channel)
            account = in_use or self.look(
                ACCOUNT, NOORD, channel, "twilio", "+32460000001", ACCOUNT_SID, None, AUTH_TOKEN
            )
            self.look(RECEIVE, account, channel, name, self.address, body, pictures)
            if in_use is None:  # other tests set up accounts of their own
                self.connection.execute(OUT_OF_USE, (account,))
        if at is not None:
            self.connection.execute(
                "update public.inbound_messages set created_at = %s where provider_id = %s", (at, name)
            )
        return str(self.look(KEPT, name))

    def said_to(self, customer_id: str, words: str) -> list[str]:
        """What is in this customer's conversations like these words, with its channel."""
        return self.look(TALK, customer_id, f"%{words}%") or []


@pytest.fixture
def number(stack: Stack) -> Iterator[Number]:
    with psycopg.connect(stack.environment()["DB_URL"], autocommit=True) as connection:
        stranger = Number(connection)
        yield stranger
        # Some are of years ago, which retention would delete before the eyes of its own tests.
        gone = "delete from public.inbound_messages where sender_address = %s"
        connection.execute(gone, (stranger.address,))


def ids(autexor: Autexor, *more: str, who: str = "olga@garage-noord.test") -> list[str]:
    listed = autexor("inbound", "list", "--limit", "1000", "--quiet", *more, who=who)
    assert listed.code == 0, listed.err
    return str(listed.out).split()


def test_a_stranger_is_listed_with_their_words_at_the_garages_time(autexor: Autexor, number: Number) -> None:
    written_at = datetime(2026, 7, 1, 22, 30, 5, tzinfo=UTC)
    waiting = number.writes("Met een nieuw nummer", "whatsapp", at=written_at)
    rows = json.loads(autexor("inbound", "list", "--limit", "1000", "--json").out)
    (row,) = [row for row in rows if row["id"] == waiting]
    assert (row["channel"], row["sender_address"], row["words"]) == (
        "whatsapp",
        number.address,
        "Met een nieuw nummer",
    )
    assert datetime.fromisoformat(row["created_at"]) == written_at
    zone = json.loads(autexor("garage", "show", "--json").out)["time_zone"]
    assert (zone, row["when"]) == ("Europe/Brussels", "2026-07-02 00:30")
    assert written_at.astimezone(ZoneInfo(zone)).hour == 0, "it was half past midnight there, a day later"
    assert (row["customer_id"], row["customer"], row["message_id"]) == (None, None, None)
    line = f"{waiting}\t2026-07-02 00:30\twhatsapp\t{number.address}\tMet een nieuw nummer\n"
    assert line in autexor("inbound", "list", "--limit", "1000").out


def test_a_number_of_several_customers_waits_too(autexor: Autexor, number: Number) -> None:
    phones = {
        one: number.look("select phone from public.customers where id = %s", one)
        for one in (CARLA.customer_id, KAREL.customer_id)
    }
    share = "update public.customers set phone = %s where id = %s"
    for one in phones:
        number.connection.execute(share, (number.address, one))
    try:
        assert number.writes("Wie ben ik?") in ids(autexor)
    finally:
        for one, phone in phones.items():
            number.connection.execute(share, (phone, one))


def test_pictures_are_counted_and_what_says_nothing_does_not_wait(autexor: Autexor, number: Number) -> None:
    picture, both, nothing = (
        number.writes("", pictures=1), number.writes("Zie foto", pictures=2), number.writes(" \n "),
    )  # fmt: skip
    rows = {row["id"]: row for row in json.loads(autexor("inbound", "list", "--limit", "1000", "--json").out)}
    assert (rows[picture]["words"], rows[both]["words"]) == ("(1 attached)", "Zie foto (2 attached)")
    assert nothing not in rows and nothing in ids(autexor, "--all")


def test_what_a_stranger_wrote_commands_no_terminal(autexor: Autexor, number: Number) -> None:
    words = "\x1b[2J\x1b]0;weg\x07\x9b2J\u202e Dag\rtot\nmorgen [red]é[/red] 💬"
    waiting = number.writes(words)
    out = autexor("inbound", "list", "--limit", "1000").out
    (line,) = [line for line in out.split("\n") if line.startswith(waiting)]
    assert line.endswith("\t�[2J�]0;weg��2J� Dag tot morgen [red]é[/red] 💬")
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(out)
    as_json = autexor("inbound", "list", "--limit", "1000", "--json").out
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(as_json)
    assert words in [row["body"] for row in json.loads(as_json)], "a program gets it as it was written"


def test_another_garage_and_who_may_not_read_conversations_see_none(autexor: Autexor, number: Number) -> None:
    waiting = number.writes("Is hij klaar?")
    assert waiting in ids(autexor) and waiting in ids(autexor, who=RITA)
    for who in (OTTO, MARC):
        assert waiting not in ids(autexor, who=who)
        assert waiting not in ids(autexor, "--all", who=who)
        page = autexor("inbound", "list", "--before", waiting, who=who)
        assert (page.code, page.out, "[inbound_message_not_found]" in page.err) == (1, "", True)
    assert ids(autexor, "--all", who=MARC) == []


def test_pages_go_on_where_the_last_one_ended(autexor: Autexor, number: Number) -> None:
    at = datetime(2020, 2, 2, 12, tzinfo=UTC)
    same = sorted((number.writes(f"Samen {one}", at=at) for one in range(3)), reverse=True)
    oldest = number.writes("Eerder", at=datetime(2020, 2, 1, tzinfo=UTC))
    newest = number.writes("Nu")
    waiting = ids(autexor)
    assert (waiting[0], waiting[-4:]) == (newest, [*same, oldest])
    assert autexor("inbound", "list", "--limit", "1", "--quiet").out.split() == [newest]

    def page(before: str) -> list[str]:
        return str(autexor("inbound", "list", "--limit", "2", "--quiet", "--before", before).out).split()

    assert page(newest) == waiting[1:3]
    assert [page(same[0]), page(same[1]), page(oldest)] == [same[1:], [same[2], oldest], []]
    assert autexor("inbound", "list", "--before", "nonsense").code == 2


def test_an_assigned_message_is_in_the_conversation_and_waits_no_more(
    autexor: Autexor, number: Number
) -> None:
    words = f"Dit is Karel {uuid4().hex}"
    waiting = number.writes(words)
    assert number.said_to(KAREL.customer_id, words) == [], "nothing before somebody says so"
    mail = number.look(KARELS_MAIL, KAREL.customer_id)
    assigned = autexor("inbound", "assign", waiting, mail, "--yes", who=RITA)
    assert (assigned.code, f"id\t{waiting}\n" in assigned.out) == (0, True), assigned.err
    assert "Assigned." in assigned.err
    assert number.said_to(KAREL.customer_id, words) == [f"sms: {words}"]
    assert number.said_to(CARLA.customer_id, words) == []
    assert waiting not in ids(autexor)
    rows = json.loads(autexor("inbound", "list", "--all", "--limit", "1000", "--json").out)
    (row,) = [row for row in rows if row["id"] == waiting]
    karel = number.look("select full_name from public.customers where id = %s", KAREL.customer_id)
    assert (row["words"], row["customer"], row["customer_id"]) == (words, karel, KAREL.customer_id)
    assert f"\t{words}\t{karel}\n" in autexor("inbound", "list", "--all", "--limit", "1000").out

    for customer in (mail, number.look(KARELS_MAIL, CARLA.customer_id)):
        again = autexor("inbound", "assign", waiting, customer, "--yes")
        assert (again.code, again.out, "[inbound_message_not_found]" in again.err) == (1, "", True)
    assert number.said_to(KAREL.customer_id, words) == [f"sms: {words}"]
    assert number.said_to(CARLA.customer_id, words) == []


def test_an_unknown_or_foreign_customer_is_refused_and_the_message_waits_on(
    autexor: Autexor, number: Number
) -> None:
    words = f"Van wie? {uuid4().hex}"
    waiting = number.writes(words)
    for customer in ("nobody@example.test", str(uuid4()), "nonsense", CARLA_AT_ZUID.customer_id):
        refused = autexor("inbound", "assign", waiting, customer, "--yes")
        assert (refused.code, refused.out, "[customer_not_found]" in refused.err) == (1, "", True)
    assert waiting in ids(autexor) and number.said_to(CARLA_AT_ZUID.customer_id, words) == []
    told = autexor("inbound", "assign", waiting, CARLA.customer_id, "--yes", "--json")
    row = json.loads(told.out)
    assert (told.code, row["id"], row["customer_id"]) == (0, waiting, CARLA.customer_id)
    assert number.said_to(CARLA.customer_id, words) == [f"sms: {words}"]


def test_who_may_not_write_conversations_and_another_garage_assign_nothing(
    autexor: Autexor, number: Number
) -> None:
    words = f"Mag niet {uuid4().hex}"
    waiting = number.writes(words)
    for who, customer, code in [
        (MARC, KAREL.customer_id, "customer_not_found"),
        (OTTO, KAREL.customer_id, "customer_not_found"),
        (OTTO, CARLA_AT_ZUID.customer_id, "inbound_message_not_found"),
    ]:
        refused = autexor("inbound", "assign", waiting, customer, "--yes", who=who)
        assert (refused.code, refused.out, f"[{code}]" in refused.err) == (1, "", True), refused.err
    assert waiting in ids(autexor) and number.said_to(CARLA_AT_ZUID.customer_id, words) == []
    assert autexor("inbound", "assign", waiting, KAREL.customer_id, "--yes").code == 0
    assert number.said_to(KAREL.customer_id, words) == [f"sms: {words}"]


def test_without_the_permission_to_write_one_reads_them_and_assigns_none(
    autexor: Autexor, number: Number
) -> None:
    words = f"Alleen lezen {uuid4().hex}"
    waiting = number.writes(words)
    assign = ("inbound", "assign", waiting, KAREL.customer_id, "--yes")
    assert autexor("members", "deny", RITA, "conversations.write").code == 0
    try:
        assert waiting in ids(autexor, who=RITA)
        refused = autexor(*assign, who=RITA)
        assert (refused.code, refused.out, "[permission_missing]" in refused.err) == (1, "", True)
        assert number.said_to(KAREL.customer_id, words) == []
    finally:
        assert autexor("members", "reset", RITA, "conversations.write").code == 0
    assert autexor(*assign, who=RITA).code == 0
    assert number.said_to(KAREL.customer_id, words) == [f"sms: {words}"]


def test_it_asks_first_and_names_who_will_read_it(autexor: Autexor, number: Number) -> None:
    words = f"Eerst vragen {uuid4().hex}"
    waiting = number.writes(words)
    unasked = autexor("inbound", "assign", waiting, KAREL.customer_id)
    assert (unasked.code, "[confirmation_required]" in unasked.err) == (2, True)
    asked = autexor("inbound", "assign", waiting, KAREL.customer_id, typed="n\n")
    mail = number.look(KARELS_MAIL, KAREL.customer_id)
    assert (asked.code, asked.out, f"({mail})" in asked.err) == (1, "", True)
    assert waiting in ids(autexor) and number.said_to(KAREL.customer_id, words) == []
    sure = autexor("inbound", "assign", waiting, KAREL.customer_id, "--quiet", typed="y\n")
    assert (sure.code, len(sure.out.split())) == (0, 1)
    assert number.said_to(KAREL.customer_id, words) == [f"sms: {words}"]
    assert autexor("inbound", "assign", "nonsense", KAREL.customer_id).code == 2
