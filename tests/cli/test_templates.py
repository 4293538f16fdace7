"""A garage writes its own words from the command line, on the real stack: tried, saved, used, taken back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.types.json import Jsonb

from devstack.stack import Stack
from workers.core.jobs import parse_job
from workers.core.outcomes import Done
from workers.handlers import handle
from workers.ports import Ports

pytestmark = pytest.mark.req("D8")

RITA, OTTO = "rita@garage-noord.test", "otto@garage-zuid.test"
Autexor = Callable[..., Any]
CLAIM = "select msg_id, job from private.claim_jobs('check', 1, 60)"
FINISH = "select private.finish_job('check', %s, %s, %s, 'done', result => %s)"
SMS = ("--channel", "sms", "--locale", "nl")


@contextmanager
def a_worker(stack: Stack) -> Iterator[None]:
    """What a worker does with the templates that wait, until the block ends."""
    is_over = threading.Event()

    def work() -> None:
        with psycopg.connect(stack.environment()["AUTEXOR_DATABASE_URL"], autocommit=True) as connection:
            while not is_over.wait(0.1):
                for msg_id, payload in connection.execute(CLAIM).fetchall():
                    job = parse_job(payload)
                    # Trying a template needs nothing from outside.
                    outcome = handle(job, cast(Ports, None))
                    assert isinstance(outcome, Done)
                    done = (msg_id, job.subject_id, job.attempt, Jsonb(outcome.result))
                    connection.execute(FINISH, done)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], str]:
    """Writes a file; its path."""

    def write(source: str, name: str = "template.txt") -> str:
        path = tmp_path / name
        path.write_text(source, encoding="utf-8")
        return str(path)

    return write


def test_a_template_is_begun_from_what_ships_saved_used_and_taken_back(
    autexor: Autexor, stack: Stack, text: Callable[[str], str]
) -> None:
    begun = autexor("templates", "show", "work_ready", *SMS, "--part", "text")
    assert begun.code == 0, begun.err
    assert begun.out.startswith("{{ garage_name }}: uw {{ vehicle }}")
    file = text(begun.out.replace("U kunt de wagen komen ophalen.", "Kom hem maar halen!"))
    with a_worker(stack):
        saved = autexor("templates", "save", "work_ready", *SMS, "--text", file, "--json")
    assert saved.code == 0, saved.err
    row = json.loads(saved.out)
    assert (row["kind"], row["channel"], row["status"], row["version"]) == ("work_ready", "sms", "live", 1)
    assert "work_ready\tsms\tnl\tlive\t1" in autexor("templates", "list").out
    assert "work_ready" not in autexor("templates", "list", who=OTTO).out
    assert "Kom hem maar halen!" in autexor("templates", "show", "work_ready", *SMS).out
    assert "Kom hem maar halen!" in autexor("templates", "preview", "work_ready", *SMS, who=RITA).out
    assert "Kom hem" not in autexor("templates", "show", "work_ready", *SMS, "--shipped").out
    unsure = autexor("templates", "retire", "work_ready", *SMS)
    assert (unsure.code, "[confirmation_required]" in unsure.err) == (2, True)
    assert autexor("templates", "retire", "work_ready", *SMS, "--yes").code == 0
    assert "Kom hem" not in autexor("templates", "show", "work_ready", *SMS).out
    again = autexor("templates", "retire", "work_ready", *SMS, "--yes")
    assert (again.code, "[template_not_found]" in again.err) == (1, True)
    kept = autexor("templates", "show", "work_ready", *SMS, "--version", "1", "--json")
    assert json.loads(kept.out)["status"] == "retired"
    gone = autexor("templates", "show", "work_ready", *SMS, "--version", "9")
    assert (gone.code, "[template_version_not_found]" in gone.err) == (1, True)


def test_what_cannot_be_used_is_refused_before_it_is_sent(
    autexor: Autexor, text: Callable[[str], str]
) -> None:
    file = text("Dag {{ customer_name }},\n{{ nonsense }}")
    refused = autexor("templates", "save", "invoice_issued", *SMS, "--text", file)
    assert (refused.code, refused.out, "[template_refused]" in refused.err) == (1, "", True)
    assert "text, line 2: unknown variable: nonsense" in refused.err
    assert "invoice_issued" not in autexor("templates", "list").out
    shown = autexor("templates", "preview", "invoice_issued", *SMS, "--text", file)
    assert (shown.code, "line 2" in shown.err) == (1, True)


def test_without_a_worker_a_template_waits_and_that_is_said(
    autexor: Autexor, stack: Stack, text: Callable[[str], str]
) -> None:
    saved = autexor("templates", "save", "credit_note_issued", *SMS, "--text", text("x"), "--wait", "0.1")
    assert (saved.code, "unchecked" in saved.out) == (0, True)
    assert "No worker has tried it yet" in saved.err
    assert "credit_note_issued\tsms\tnl\tunchecked" in autexor("templates", "list").out
    assert autexor("templates", "retire", "credit_note_issued", *SMS, "--yes", "--quiet").code == 0


def test_only_who_may_write_saves(autexor: Autexor, text: Callable[[str], str]) -> None:
    refused = autexor("templates", "save", "invoice_issued", *SMS, "--text", text("x"), who=RITA)
    assert (refused.code, "[permission_missing]" in refused.err) == (1, True)


def test_a_preview_of_an_sms_tells_what_it_costs(autexor: Autexor, text: Callable[[str], str]) -> None:
    cheap = autexor("templates", "preview", "invoice_issued", *SMS, "--shipped")
    assert "GSM-7, 139 characters, 1 segment(s)." in cheap.err
    assert cheap.out.endswith("Stoppen? Antwoord STOP\n")
    dear = autexor(
        "templates", "preview", "invoice_issued", *SMS, "--text", text("Reçu, ✓ {{ gross_total }}")
    )
    assert "UCS-2" in dear.err and "Not in GSM-7" in dear.err and "ç ✓" in dear.err
    row = json.loads(autexor("templates", "preview", "invoice_issued", *SMS, "--shipped", "--json").out)
    assert (row["encoding"], row["characters"], row["segments"], row["not_in_gsm"]) == ("GSM-7", 139, 1, [])


def test_a_preview_reads_stdin_and_shows_one_part(autexor: Autexor, text: Callable[..., str]) -> None:
    html = text("<p>Dag {{ customer_name }}</p>", "mail.html")
    mail = ("templates", "preview", "invoice_issued", "--text", "-", "--subject", "{{ invoice_number }}")
    shown = autexor(*mail, "--html", html, "--part", "html", typed="Dag")
    assert "<p>Dag Carla Peeters-Lefèvre</p>" in shown.out and "<title>2026-00001</title>" in shown.out
    assert autexor(*mail, "--part", "subject", typed="Dag").out == "2026-00001\n"


def test_a_preview_for_whatsapp_says_what_the_approved_template_must_say(
    autexor: Autexor, text: Callable[[str], str]
) -> None:
    whatsapp = (
        "templates",
        "preview",
        "invoice_issued",
        "--channel",
        "whatsapp",
        "--content-sid",
        "HX" + "0" * 32,
    )
    file = text("Dag {{ customer_name }}: {{ invoice_number }}. Stoppen? Antwoord STOP")
    shown = autexor(*whatsapp, "--text", file)
    assert "Dag {{1}}: {{2}}. Stoppen? Antwoord STOP" in shown.err
    row = json.loads(autexor(*whatsapp, "--text", file, "--json").out)
    assert row["variables"] == {"1": "Carla Peeters-Lefèvre", "2": "2026-00001"}


def test_what_is_misused_is_said_in_three_lines(autexor: Autexor) -> None:
    wrong = autexor("templates", "show", "portal_password_reset", "--channel", "sms")
    assert (wrong.code, "[channel_not_of_kind]" in wrong.err) == (2, True)
    ours = autexor("templates", "show", "breach_notified")
    assert (ours.code, "[words_are_ours]" in ours.err) == (2, True)
    missing = autexor("templates", "preview", "invoice_issued", "--text", "/nowhere.txt", "--subject", "x")
    assert (missing.code, "[template_unreadable]" in missing.err) == (2, True)
    assert autexor("templates", "show", "nonsense").code == 2


def test_the_list_of_everything_has_what_ships(autexor: Autexor) -> None:
    rows = json.loads(autexor("templates", "list", "--all", "--json").out)
    ships = [row for row in rows if row["status"] == "shipped"]
    assert {row["locale"] for row in ships} == {"nl", "fr", "en"}
    assert {row["channel"] for row in ships} == {"email", "sms", "whatsapp", "push"}
