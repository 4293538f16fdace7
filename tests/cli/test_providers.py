"""Accounts with providers from the command line, on the real stack."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from devstack.stack import Stack

pytestmark = pytest.mark.req("D10")

RITA = "rita@garage-noord.test"
KEY = "SG.command-line.canary-0451"
Autexor = Callable[..., Any]
SENDGRID = ("providers", "set", "email", "sendgrid", "--from", "werk@noord.be")


def test_an_account_is_set_up_renewed_and_removed_and_its_key_never_shown(autexor: Autexor) -> None:
    made = autexor(*SENDGRID, "--json", typed=f"{KEY}\n")
    assert made.code == 0, made.err
    account = json.loads(made.out)
    assert (account["provider"], account["secret_tail"], account["test_status"]) == (
        "sendgrid",
        "0451",
        "untested",
    )
    renewed = autexor("providers", "rotate", "email", "--json", typed=f"{KEY}-b\n")
    assert json.loads(renewed.out)["secret_tail"] == "51-b"
    listed = autexor("providers", "list", "--json")
    assert [row["channel"] for row in json.loads(listed.out)] == ["email"]
    assert json.loads(autexor("providers", "list", "--json", who="otto@garage-zuid.test").out) == []
    unsure = autexor("providers", "remove", "email")
    assert (unsure.code, "[confirmation_required]" in unsure.err) == (2, True)
    removed = autexor("providers", "remove", "email", "--yes")
    assert removed.code == 0, removed.err
    assert "[provider_account_not_found]" in autexor("providers", "rotate", "email", typed=f"{KEY}\n").err
    for said in (made, renewed, listed, removed):
        assert KEY not in said.out + said.err


def test_who_lacks_the_permission_is_told_so(autexor: Autexor) -> None:
    refused = autexor(*SENDGRID, who=RITA, typed=f"{KEY}\n")
    assert (refused.code, "[permission_missing]" in refused.err) == (1, True)
    assert KEY not in refused.err


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [
        (SENDGRID, "no\n", "provider_secret_invalid"),
        (SENDGRID, None, "secret_missing"),
        (
            (*SENDGRID[:3], "smtp", *SENDGRID[4:], "--host", "smtp.example.be"),
            "geheim-woord\n",
            "smtp_invalid",
        ),
        (("providers", "limits", "email", "--quiet-hours", "nights"), None, "quiet_hours_invalid"),
        (("providers", "limits", "email", "--per-recipient", "0"), None, "limit_invalid"),
        (("providers", "limits", "--daily", "5"), None, "channel_missing"),
    ],
)
def test_what_is_wrong_is_said_in_three_lines(
    autexor: Autexor, arguments: tuple[str, ...], typed: str | None, code: str
) -> None:
    said = autexor(*arguments, typed=typed)
    assert said.code in (1, 2) and f"[{code}]" in said.err, said.err
    assert said.out == ""


def test_limits_and_quiet_hours_are_set_and_taken_away(autexor: Autexor) -> None:
    said = autexor("providers", "limits", "sms", "--daily", "50", "--quiet-hours", "21:00-08:00", "--json")
    (row,) = json.loads(said.out)
    assert (row["daily_limit"], row["quiet_from"], row["quiet_until"]) == (50, "21:00:00", "08:00:00")
    (row,) = json.loads(autexor("providers", "limits", "sms", "--quiet-hours", "", "--json").out)
    assert (row["daily_limit"], row["quiet_from"]) == (50, None)
    assert "sms\t50\t10" in autexor("providers", "limits").out


@pytest.mark.parametrize(("outcome", "code"), [("done", 0), ("give_up", 1)])
def test_a_test_message_tells_what_became_of_it(
    autexor: Autexor, stack: Stack, outcome: str, code: int
) -> None:
    autexor(*SENDGRID, typed=f"{KEY}\n")
    worker = threading.Thread(target=_finish_one_test, args=(stack, outcome))
    worker.start()
    try:
        said = autexor("providers", "test", "email", "olga@garage-noord.test", "--json")
    finally:
        worker.join()
    assert said.code == code, said.err
    if code:
        assert "[provider_test_failed]" in said.err and "sendgrid_http_401" in said.err
    else:
        assert json.loads(said.out)["test_status"] == "ok"


def _finish_one_test(stack: Stack, outcome: str) -> None:
    """What a worker does, with the provider's answer given."""
    with psycopg.connect(stack.environment()["AUTEXOR_DATABASE_URL"], autocommit=True) as connection:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            row = connection.execute("select msg_id, job from private.claim_jobs('send', 1, 60)").fetchone()
            if row is None:
                time.sleep(0.05)
                continue
            job = row[1]
            is_test = job["template"] == "provider_test"
            reason = None if outcome == "done" or not is_test else "sendgrid_http_401"
            connection.execute(
                "select private.finish_job('send', %s, %s, %s, %s, %s)",
                (row[0], job["subject_id"], job["attempt"], outcome if is_test else "done", reason),
            )
            if is_test:
                return
