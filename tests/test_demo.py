"""The demo, run as a person runs it, twice on one stack: every fact it prints is true."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from devstack.config import free_port

ROOT = Path(__file__).parents[1]
AUTEXOR = (sys.executable, "-c", "from cli.main import main; main()")
# Python starts every process of the stack with this, which writes down whom it calls.
WATCH = """
import os, sys
log = os.open(os.environ["CALLED_ADDRESSES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
def watch(event, args):
    called = args[0] if event == "socket.getaddrinfo" else args[1]
    os.write(log, f"{called[0] if isinstance(called, tuple) else called}\\n".encode())
CALLS = ("socket.getaddrinfo", "socket.connect")
sys.addaudithook(lambda event, args: watch(event, args) if event in CALLS else None)
"""
THIS_MACHINE = {"127.0.0.1", "localhost", "::1", "None", "0.0.0.0"}
ACTORS_WITHOUT_ACCESS = ("karel", "otto", "anon")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A stack of its own (the demo starts it), in a path with a space; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="autexor demo ") as directory:
        Path(directory).chmod(0o755)
        chosen = {"DEVSTACK_DIR": f"{directory}/stack", "DEVSTACK_PORT": str(free_port()), "NO_COLOR": "1"}
        Path(directory, "sitecustomize.py").write_text(WATCH)
        watched = {"PYTHONPATH": directory, "CALLED_ADDRESSES": f"{directory}/called.log"}
        environment = {**os.environ, **chosen, **watched}
        yield environment
        run(environment, "stack", "down")


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AUTEXOR, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def facts(environment: dict[str, str]) -> dict[str, Any]:
    """What `autexor demo --json` printed, on a stack that was not up."""
    done = run(environment, "demo", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


pytestmark = pytest.mark.slow


def test_every_claim_holds(facts: dict[str, Any]) -> None:
    assert facts["ok"] is True
    assert facts["failures"] == []
    assert len(facts["steps"]) == 11
    assert all(step["proved"] for step in facts["steps"])


@pytest.mark.req("D7")
def test_the_invoice_has_number_reference_and_vat_per_rate(facts: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d{4}-00001", facts["invoice_number"])
    digits = re.sub(r"\D", "", facts["structured_communication"])
    assert int(digits[10:]) == (int(digits[:10]) % 97 or 97)
    totals = facts["totals"]
    assert [(rate["rate"], rate["base"], rate["vat"]) for rate in totals["rates"]] == [
        ("21.00", "105.88", "22.23"),
        ("6.00", "48.01", "2.88"),
    ]
    assert Decimal(totals["net"]) + Decimal(totals["vat"]) == Decimal(totals["gross"]) == Decimal("179.00")


@pytest.mark.req("D14", "P13", "S3")
def test_the_pdf_is_stored_and_its_link_is_good_once_and_not_forever(facts: dict[str, Any]) -> None:
    assert facts["pdf"]["bytes"] > 10_000
    assert re.fullmatch("[0-9a-f]{64}", facts["pdf"]["sha256"])
    assert facts["signed_url"] == {"fresh": 200, "expired": 400, "expires_in": 60}
    assert facts["issue_to_pdf_ms"] > 0


@pytest.mark.req("D8", "P14")
def test_mail_and_push_went_out(facts: dict[str, Any]) -> None:
    assert facts["mail_id"]
    assert facts["push_id"]


@pytest.mark.req("P12")
def test_the_message_arrived_over_realtime_at_its_garage_alone(facts: dict[str, Any]) -> None:
    assert facts["messages_heard"] == {"rita": 1, "otto": 0}
    assert facts["message"]["milliseconds"] is not None


@pytest.mark.req("D1", "P11", "S2")
def test_each_actor_sees_what_is_theirs(facts: dict[str, Any]) -> None:
    seen = facts["rows_seen"]
    assert seen["rita"] == seen["carla"] == {"invoices": 1, "invoice_lines": 3}
    assert [seen[actor] for actor in ACTORS_WITHOUT_ACCESS] == [{"invoices": 0, "invoice_lines": 0}] * 3


@pytest.mark.req("P9", "P10", "P11")
def test_every_denial_is_as_expected_and_no_write_of_the_portal_passed(facts: dict[str, Any]) -> None:
    assert len(facts["denials"]) >= 15
    assert [denial for denial in facts["denials"] if not denial["ok"]] == []
    assert all(denial["control"] for denial in facts["denials"])
    assert facts["portal_writes"]["allowed"] == 0
    assert facts["portal_writes"]["tried"] >= 40


@pytest.mark.req("D11", "D12")
def test_the_trace_tells_the_whole_story(facts: dict[str, Any]) -> None:
    assert facts["trace"][0] == "audit: invoices created"
    assert {"delivery: render done", "delivery: email done", "delivery: push done"} < set(facts["trace"])
    assert "access: document_link_issued" in facts["trace"]


@pytest.mark.req("D7")
def test_a_line_is_credited_in_a_series_of_its_own(facts: dict[str, Any]) -> None:
    note = facts["credit_note"]
    assert re.fullmatch(r"CN\d{4}-00001", note["invoice_number"])
    assert note["gross"] == "14.94"


def test_a_second_run_makes_the_next_invoice_and_tells_its_story_in_words(
    environment: dict[str, str], facts: dict[str, Any]
) -> None:
    done = run(environment, "demo")
    assert done.returncode == 0, done.stderr
    assert f"{facts['invoice_number'][:5]}00002" in done.stdout
    assert "✗" not in done.stderr
    assert facts["urls"]["inbox"] in done.stdout


def test_the_trace_command_works_with_the_printed_environment(
    environment: dict[str, str], facts: dict[str, Any]
) -> None:
    settings = json.loads(run(environment, "stack", "env", "--json").stdout)
    olga = {"AUTEXOR_EMAIL": "olga@garage-noord.test", "AUTEXOR_PASSWORD": "autexor-demo"}
    signed_in = {**environment, **settings, **olga}
    traced = run(signed_in, "invoices", "trace", facts["invoice_number"], "--json")
    assert traced.returncode == 0, traced.stderr
    assert [f"{row['source']}: {row['event']}" for row in json.loads(traced.stdout)] == facts["trace"]
    listed = run(signed_in, "invoices", "list")
    assert facts["invoice_number"] in listed.stdout
    shown = json.loads(run(signed_in, "invoices", "show", facts["invoice_number"], "--json").stdout)
    assert len(shown["lines"]) == 3
    assert shown["document_status"] == "stored"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "kept here.pdf")
        asked = ("invoices", "pdf", facts["invoice_number"], "--output", str(file))
        assert run(signed_in, *asked).returncode == 0
        assert file.read_bytes().startswith(b"%PDF-")
        again = run(signed_in, *asked)
    assert (again.returncode, "[file_exists]" in again.stderr) == (1, True)
    unknown = run(signed_in, "invoices", "show", "1999-00001")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "[invoice_not_found]" in unknown.stderr
    untroubled = run(signed_in, "deliveries", "list", "--json")
    assert json.loads(untroubled.stdout) == []
    retried = run(signed_in, "deliveries", "retry", "00000000-0000-4000-8000-000000000000")
    assert retried.returncode == 1
    assert "[delivery_not_retryable]" in retried.stderr


@pytest.mark.req("G2", "G3")
def test_a_request_is_answered_with_an_archive_and_an_erasure_that_leaves_nothing(
    facts: dict[str, Any],
) -> None:
    assert facts["export"]["files"] == 1 and facts["export"]["rows"] >= 7
    assert facts["erased"]["found_in"] == [] and facts["erased"]["tables_searched"] > 5


@pytest.mark.req("G4")
def test_no_process_of_the_stack_called_anything_but_this_machine(
    facts: dict[str, Any], environment: dict[str, str]
) -> None:
    log = Path(environment["CALLED_ADDRESSES"])
    called = set(log.read_text().split())
    assert facts["mail_id"] and "127.0.0.1" in called
    assert called <= THIS_MACHINE
    far = "import socket; socket.socket().connect(('192.0.2.1', 9))"
    with suppress(subprocess.TimeoutExpired):  # nobody is there: it is noticed all the same
        subprocess.run([sys.executable, "-c", far], env=environment, timeout=2, check=False)
    assert "192.0.2.1" in log.read_text().split()
