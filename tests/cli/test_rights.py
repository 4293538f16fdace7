"""Rights, retention and the register from the command line, on the real stack with its storage."""

import hashlib
import json
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path
from time import tzset
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from supabase import Client

from cli.client import sign_in
from devstack.stack import Stack
from workers.adapters.memory import MemoryPdf, MemoryProviders, MemoryPusher
from workers.adapters.postgres import PostgresQueue
from workers.adapters.storage import SupabaseFiles
from workers.core.values import Sites
from workers.handlers import handle
from workers.lane import Lane
from workers.ports import Ports

# The official client warns of its own ways and leaves its sockets to the end of the process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
Autexor = Callable[..., Any]
NOORD = "11111111-0000-4000-8000-000000000001"
RITA = "rita@garage-noord.test"
PNG = b"\x89PNG\r\n\x1a\n"


class Person:
    """A customer of one test: a word that is in everything of hers, and her photo's path."""

    def __init__(self, olga: Client, locale: str = "nl") -> None:
        self.word = f"w{uuid4().hex[:12]}"
        self.email = f"{self.word}@example.test"
        self._olga = olga
        self.id = self.insert("customers", full_name=f"Dora {self.word}", email=self.email, locale=locale)[
            "id"
        ]
        car = self.insert("vehicles", make="Fiat", model="Panda")["id"]
        self.insert("vehicle_ownerships", vehicle_id=car, customer_id=self.id, valid_from="2024-01-01")
        order = self.insert(
            "work_orders", customer_id=self.id, vehicle_id=car, complaint=f"Piept <{self.word}>"
        )
        photo = self.insert("work_order_photos", work_order_id=order["id"], content_type="image/png")
        self.photo: str = photo["storage_path"]
        kind: Any = {"content-type": "image/png"}
        olga.storage.from_("work_order_photos").upload(self.photo, PNG + self.word.encode(), kind)

    def insert(self, table: str, **row: object) -> dict[str, Any]:
        values: Any = {"garage_id": NOORD, **row}
        return cast(list[dict[str, Any]], self._olga.table(table).insert(values).execute().data)[0]


@pytest.fixture
def olga(stack: Stack) -> Client:
    settings = stack.environment()
    return sign_in(settings["API_URL"], settings["ANON_KEY"], "olga@garage-noord.test", "autexor-demo")


@pytest.fixture
def erasing(stack: Stack) -> Iterator[Lane]:
    """A worker of the queue "erase", with the real storage."""
    settings = stack.environment()
    queue = PostgresQueue(settings["AUTEXOR_DATABASE_URL"])
    queue.open()
    with closing(queue), closing(SupabaseFiles(settings["API_URL"], settings["SERVICE_ROLE_KEY"])) as files:
        ports = Ports(
            files,
            MemoryPdf(),
            MemoryProviders(),
            MemoryPusher(),
            Sites("https://p.test", "https://d.test", "https://e.test"),
        )
        yield Lane("erase", queue, ports, 1, threading.Event(), handle)


def verified(autexor: Autexor, person: Person, kind: str, *more: str) -> str:
    """A request, the identity checked; its id."""
    request = str(autexor("rights", "receive", person.email, kind, *more, "--quiet", who=RITA).out).strip()
    assert re.fullmatch("[0-9a-f-]{36}", request)
    assert autexor("rights", "verify-identity", request, "id_card", who=RITA).code == 0
    return request


class Outline(HTMLParser):
    """What a screen reader needs of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.lang: str | None = None
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.lang = given.get("lang", self.lang)
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag == "th":
            assert given.get("scope") in ("col", "row")


@pytest.mark.req("G2")
def test_when_a_request_came_is_said_by_the_garages_clock(autexor: Autexor, olga: Client) -> None:
    came = datetime.combine(date.today() - timedelta(days=3), time(0, 30))
    options = ("--received-at", came.isoformat(), "--json")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        tzset()
        said = autexor("rights", "receive", Person(olga, "nl").email, "access", *options, who=RITA)
    tzset()
    received = datetime.fromisoformat(json.loads(said.out)["received_at"])
    assert received == came.replace(tzinfo=ZoneInfo("Europe/Brussels"))


@pytest.mark.req("G2", "G3")
@pytest.mark.parametrize(
    ("locale", "title"), [("nl", "Uw gegevens bij"), ("fr", "Vos données chez"), ("en", "Your data at")]
)
def test_an_export_is_one_archive_that_a_person_and_a_program_can_read(
    autexor: Autexor, olga: Client, tmp_path: Path, locale: str, title: str
) -> None:
    person = Person(olga, locale)
    request = verified(autexor, person, "access")
    to = tmp_path / "export.zip"
    said = autexor("rights", "export", request, "--to", str(to), "--json")
    assert said.code == 0, said.err
    made = json.loads(said.out)
    assert (made["files"], made["missing_files"], made["status"]) == (1, 0, "done")
    assert made["sha256"] == hashlib.sha256(to.read_bytes()).hexdigest()
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    with zipfile.ZipFile(to) as archive:
        names = set(archive.namelist())
        index = archive.read("index.html").decode()
        pages = [archive.read(name).decode() for name in names if name.endswith(".html")]
        (photo,) = [archive.read(name) for name in names if name.startswith("files/")]
        card = json.loads(archive.read("data/public.customers.json"))
    outline = Outline(index)
    assert (outline.lang, outline.tags.count("h1"), title in index) == (locale, 1, True)
    assert "caption" in outline.tags and "script" not in outline.tags
    assert {link for link in outline.links if not link.startswith("http")} <= names
    assert photo == PNG + person.word.encode()
    assert card[0]["email"] == person.email
    assert any(f"Piept &lt;{person.word}&gt;" in page for page in pages), (
        "what was written is text, never markup"
    )
    shown = json.loads(autexor("rights", "show", request, "--json").out)
    assert shown["evidence"]["export"]["sha256"] == made["sha256"]
    assert person.word not in json.dumps(shown["evidence"])


@pytest.mark.req("G3")
def test_nothing_is_overwritten_and_nothing_half_written_stays(
    autexor: Autexor, olga: Client, tmp_path: Path
) -> None:
    request = verified(autexor, Person(olga), "access")
    there = tmp_path / "there.zip"
    there.write_text("mine")
    said = autexor("rights", "export", request, "--to", str(there))
    assert (said.code, "[file_exists]" in said.err, there.read_text()) == (2, True, "mine")
    other = tmp_path / "other.zip"
    said = autexor("rights", "export", request, "--to", str(other), who=RITA)
    assert (said.code, "[permission_missing]" in said.err, other.exists()) == (1, True, False)


@pytest.mark.req("G2", "G3")
def test_an_erasure_leaves_nothing_in_database_storage_and_logs(
    autexor: Autexor, olga: Client, erasing: Lane, stack: Stack
) -> None:
    person = Person(olga)
    request = verified(autexor, person, "erasure", "--details", f"Vergeet {person.word}")
    data_dir = stack.settings.data_dir
    assert holding(data_dir / "storage", person.word), "the photo is on the disk before"
    assert {"public.customers", "public.work_orders"} <= set(everywhere(stack, person.word))
    plan = json.loads(autexor("rights", "plan", request, "--json").out)
    assert {"erase", "empty"} <= {step["action"] for step in plan["steps"]}
    unsure = autexor("rights", "execute", request, typed="n\n")
    assert (unsure.code, "Garage Noord" in unsure.err) == (1, True)
    said = autexor("rights", "execute", request, "--yes", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["status"] == "executing"
    erasing.drain()
    shown = json.loads(autexor("rights", "show", request, "--json").out)
    assert (shown["status"], shown["evidence"]["files_removed"]) == ("done", 1)
    assert everywhere(stack, person.word) == []
    assert holding(data_dir / "storage", person.word) == []
    assert holding(Path(stack.status()["logs"]), person.word) == []


def holding(directory: Path, word: str) -> list[str]:
    """The files below a directory that hold a word."""
    return [str(p) for p in directory.rglob("*") if p.is_file() and word.encode() in p.read_bytes()]


def everywhere(stack: Stack, word: str) -> list[str]:
    """The tables that hold a word, of the six schemas that keep anything of a garage's people."""
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        tables = connection.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'"
            " and n.nspname in ('public', 'private', 'audit', 'pgmq', 'storage', 'realtime')"
        ).fetchall()
        return [
            name
            for (name,) in tables
            if connection.execute(
                f"select exists (select from {name} t where t::text like %s)".encode(), (f"%{word}%",)
            ).fetchone()
            == (True,)
        ]


@pytest.mark.req("G2")
def test_requests_are_listed_extended_and_refused(autexor: Autexor, olga: Client) -> None:
    person = Person(olga)
    request = str(autexor("rights", "receive", person.email, "portability", "--quiet").out).strip()
    assert request in autexor("rights", "list", "--quiet").out.splitlines()
    row = json.loads(autexor("rights", "show", request, "--json").out)
    assert row["days_left"] in range(27, 33) and row["customer"] == f"Dora {person.word}"
    assert "[identity_not_verified]" in autexor("rights", "export", request, "--to", "nowhere.zip").err
    longer = json.loads(autexor("rights", "extend", request, "--reason", "Veel archief", "--json").out)
    assert longer["days_left"] > 80
    refused = json.loads(autexor("rights", "refuse", request, "--reason", "Ongegrond", "--json").out)
    assert refused["status"] == "refused"
    assert request not in autexor("rights", "list", "--quiet").out.splitlines()
    assert request in autexor("rights", "list", "--all", "--quiet").out.splitlines()


@pytest.mark.req("G2", "G3")
def test_corrections_objections_and_restrictions_are_executed(autexor: Autexor, olga: Client) -> None:
    person = Person(olga)
    correction = verified(autexor, person, "rectification")
    assert "[change_missing]" in autexor("rights", "execute", correction).err
    assert autexor("rights", "execute", correction, "--set", "city=Gent", "--told", "boekhouder").code == 0
    card = olga.table("customers").select("city").eq("id", person.id).execute().data
    assert card == [{"city": "Gent"}]
    objection = verified(autexor, person, "objection", "--object-to", "email")
    assert autexor("rights", "execute", objection).code == 0
    restriction = verified(autexor, person, "restriction")
    assert autexor("rights", "execute", restriction, "--yes").code == 0
    assert olga.table("customers").select("id").eq("id", person.id).execute().data == []
    assert autexor("rights", "open", person.id, "--reason", "Klant belt hierover").code == 0
    assert len(cast(list[Any], olga.table("customers").select("id").eq("id", person.id).execute().data)) == 1
    assert autexor("rights", "lift", person.id, "--reason", "Opgelost").code == 0
    assert "[rights_kind_wrong]" in autexor("rights", "execute", verified(autexor, person, "access")).err


@pytest.mark.req("G5")
def test_retention_is_shown_set_held_and_run(autexor: Autexor, olga: Client) -> None:
    person = Person(olga)
    assert "[retention_below_floor]" in autexor("retention", "set", "invoices", "7 years").err
    assert autexor("retention", "set", "conversations", "2 years").code == 0
    rows = {row["processing"]: row for row in json.loads(autexor("retention", "show", "--json").out)}
    assert (rows["conversations"]["keep_for"], rows["conversations"]["is_set_by_garage"]) == ("2 years", True)
    assert rows["invoices"]["floor"] == "10 years"
    assert json.loads(autexor("retention", "run", "--dry-run", "--json").out) == []
    assert "[confirmation_required]" in autexor("retention", "run").err
    assert autexor("retention", "run", "--yes").code == 0
    hold = str(autexor("retention", "hold", person.email, "--reason", "Geschil", "--quiet").out).strip()
    assert hold in autexor("retention", "holds", "--quiet").out
    assert autexor("retention", "lift", hold).code == 0
    assert "[permission_missing]" in autexor("retention", "set", "conversations", "3 years", who=RITA).err


@pytest.mark.req("G1", "G4", "G6", "G7")
def test_the_register_is_shown_and_bases_are_set(autexor: Autexor) -> None:
    columns = json.loads(autexor("privacy", "map", "public.customers", "--json").out)
    assert {c["column_name"] for c in columns} >= {"full_name", "email"}
    assert all(c["controller"] == "garage" and c["class"] for c in columns)
    assert "Expo" in autexor("privacy", "processors").out
    assert autexor("privacy", "set-basis", "conversations", "consent", "--purpose", "Babbelen").code == 0
    assert autexor("privacy", "set-basis", "conversations", "contract").code == 0
    rows = {row["processing"]: row for row in json.loads(autexor("privacy", "bases", "--json").out)}
    assert (rows["conversations"]["basis"], rows["conversations"]["is_set_by_garage"]) == ("contract", True)
    assert "[permission_missing]" in autexor("privacy", "map", who=RITA).err
