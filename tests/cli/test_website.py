"""What staff of Autexor does from the command line, on the real stack; a garage's people are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack.stack import Stack

ADA = "ada@autexor.test"
Autexor = Callable[..., Any]
COMMANDS = [
    ("requests", "list"),
    ("requests", "show", "{request}"),
    ("requests", "follow-up", "{request}"),
    ("requests", "close", "{request}", "spam"),
    ("mails", "list"),
    ("mails", "retry", "{mail}"),
    ("visitors", "export", "{email}"),
    ("visitors", "erase", "{email}", "--yes"),
]


@pytest.fixture
def asked(stack: Stack) -> str:
    """The address of somebody who just asked for a demo."""
    settings, email = stack.environment(), f"{uuid4().hex}@example.test"
    with psycopg.connect(settings["DB_URL"]) as connection:
        connection.execute("delete from private.rate_limits")
    answer = httpx.post(
        f"{settings['API_URL']}/rest/v1/rpc/submit_request",
        json={"kind": "demo", "full_name": "Vera Bezoeker", "email": email, "message": "Graag\teen demo"},
        headers={"apikey": settings["ANON_KEY"], "content-profile": "website"},
        trust_env=False,
    )
    assert answer.status_code == 200
    return email


def request_of(autexor: Autexor, email: str) -> dict[str, Any]:
    rows = json.loads(autexor("website", "requests", "list", "--json", who=ADA).out)
    return next(row for row in rows if row["email"] == email)


@pytest.mark.req("W1", "W6")
def test_a_request_is_listed_taken_up_and_closed(autexor: Autexor, asked: str) -> None:
    found = request_of(autexor, asked)["id"]
    shown = autexor("website", "requests", "show", found, who=ADA)
    assert (shown.code, "message\tGraag een demo" in shown.out) == (0, True)
    assert "autexor website requests follow-up" in shown.err
    taken = autexor("website", "requests", "follow-up", found, "--note", "Gebeld", "--json", who=ADA)
    row = json.loads(taken.out)
    assert (row["status"], [note["body"] for note in row["notes"]]) == ("in_follow_up", ["Gebeld"])
    assert {mail["kind"] for mail in row["mails"]} == {"website_notice", "website_acknowledgement"}
    closed = autexor("website", "requests", "close", found, "answered", "--json", who=ADA)
    assert json.loads(closed.out)["outcome"] == "answered"
    again = autexor("website", "requests", "close", found, "spam", who=ADA)
    assert (again.code, "[request_moved_on]" in again.err) == (1, True)
    listed = autexor("website", "requests", "list", "--status", "closed", "--quiet", who=ADA)
    assert found in listed.out.split()
    gone = autexor("website", "requests", "show", str(uuid4()), who=ADA)
    assert (gone.code, "[request_not_found]" in gone.err) == (1, True)


@pytest.mark.req("W7")
def test_what_is_kept_of_somebody_is_handed_out_and_erased(autexor: Autexor, asked: str) -> None:
    export = json.loads(autexor("website", "visitors", "export", asked, who=ADA).out)
    assert [request["full_name"] for request in export["requests"]] == ["Vera Bezoeker"]
    plan = json.loads(autexor("website", "visitors", "erase", asked, "--dry-run", "--json", who=ADA).out)
    assert (plan["is_done"], plan["requests"], plan["mails"]) == (False, 1, 2)
    unsure = autexor("website", "visitors", "erase", asked, who=ADA, typed="n\n")
    assert (unsure.code, f"{asked} for good" in unsure.err and "1 requests" in unsure.err) == (1, True)
    assert request_of(autexor, asked)
    unasked = autexor("website", "visitors", "erase", asked, who=ADA)
    assert (unasked.code, "[confirmation_required]" in unasked.err) == (2, True)
    done = json.loads(autexor("website", "visitors", "erase", asked, "--yes", "--json", who=ADA).out)
    assert done["is_done"] is True
    assert asked not in autexor("website", "requests", "list", who=ADA).out


@pytest.mark.req("W1", "W7")
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_nobody_of_a_garage_may(
    autexor: Autexor, stack: Stack, asked: str, arguments: tuple[str, ...]
) -> None:
    request = request_of(autexor, asked)["id"]
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        failed = connection.execute(
            "update website.mails set status = 'failed' where request_id = %s"
            " and kind = 'website_notice' returning id",
            (request,),
        ).fetchone()
        assert failed is not None
    values = {"request": request, "mail": str(failed[0]), "email": asked}
    command = ("website", *(argument.format(**values) for argument in arguments))
    said = autexor(*command)
    assert (said.code, said.out, "[operator_required]" in said.err) == (1, "", True)
    said = autexor(*command, who=ADA)
    assert (said.code, any(value in said.out for value in values.values())) == (0, True), said.err


@pytest.mark.req("W8")
def test_a_policy_is_read_and_published(autexor: Autexor, tmp_path: Path) -> None:
    before = autexor("website", "policy", "show")
    assert "Laatst bijgewerkt: 23-2-2026" in before.out
    for name in ("nl", "en"):
        (tmp_path / f"{name}.txt").write_text(f"Policy {name}", "utf-8")
    files = (str(tmp_path / "nl.txt"), str(tmp_path / "en.txt"))
    version = f"v-{uuid4().hex[:8]}"
    publish = ("website", "policy", "publish", version, *files, "--on", "2099-01-01", "--yes")
    assert "[operator_required]" in autexor(*publish).err
    assert autexor(*publish, "--quiet", who=ADA).out.strip() == version
    assert "[policy_version_taken]" in autexor(*publish, who=ADA).err
    assert autexor("website", "policy", "show").out == before.out
    assert "[policy_not_found]" in autexor("website", "policy", "show", "--version", version).err


@pytest.mark.req("D13")
def test_errors_of_the_apps_are_listed_for_the_garage_and_for_autexor(autexor: Autexor, stack: Stack) -> None:
    message = f"TypeError {uuid4().hex[:4]} at Noord"
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        connection.execute(
            "insert into audit.client_errors (garage_id, app, group_sha256, message)"
            " values ('11111111-0000-4000-8000-000000000001', 'dms', %s, %s)",
            (message, message),
        )
    assert message in autexor("telemetry", "list").out
    assert message not in autexor("telemetry", "list", who="otto@garage-zuid.test").out
    nothing = autexor("telemetry", "list", who="marc@garage-noord.test")
    assert (nothing.out, "telemetry.read" in nothing.err) == ("", True)
    everything = json.loads(autexor("telemetry", "list", "--all", "--json", who=ADA).out)
    assert "Garage Noord" in {row["garage"] for row in everything if row["message"] == message}
    assert "[operator_required]" in autexor("telemetry", "list", "--all").err
