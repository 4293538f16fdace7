"""Support and breaches from the command line, by both sides, on the real stack."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from devstack.stack import Stack

ADA = "ada@autexor.test"
RITA = "rita@garage-noord.test"
OTTO = "otto@garage-zuid.test"
Autexor = Callable[..., Any]
REASON = ("--reason", "De facturen vertrekken niet")
INSTRUCTION = ("--instruction", "Kijk waarom de facturen niet vertrekken")


def asked(autexor: Autexor, *how: str) -> dict[str, Any]:
    said = autexor("support", "request", "noord", *REASON, *how, "--json", who=ADA)
    assert said.code == 0, said.err
    return dict(json.loads(said.out))


@pytest.mark.req("D15", "G8")
def test_support_goes_from_a_request_to_its_end(autexor: Autexor) -> None:
    request = asked(autexor, "--hours", "3")
    assert (request["trade_name"], request["status"], request["hours"]) == ("Garage Noord", "asked", 3)
    twice = autexor("support", "request", "noord", *REASON, who=ADA)
    assert (twice.code, "[support_asked_already]" in twice.err) == (1, True)
    shown = json.loads(autexor("support", "list", "--json", who=RITA).out)[0]
    assert (shown["id"], shown["operator_email"], shown["is_live"]) == (request["id"], ADA, False)
    early = autexor("support", "open", request["id"], who=ADA)
    assert (early.code, "[support_not_live]" in early.err) == (1, True)
    refused = autexor("support", "grant", request["id"], *INSTRUCTION, "--yes", who=RITA)
    assert (refused.code, "[permission_missing]" in refused.err) == (1, True)
    unsure = autexor("support", "grant", request["id"], *INSTRUCTION, typed="n\n")
    assert (unsure.code, unsure.out) == (1, "")
    assert "Let ada@autexor.test of Autexor read the data of Garage Noord for 3 h?" in unsure.err
    granted = json.loads(autexor("support", "grant", request["id"], *INSTRUCTION, "--yes", "--json").out)
    assert (granted["status"], granted["is_read_only"], granted["may_export"]) == ("live", True, False)
    assert autexor("support", "open", request["id"], who=ADA).code == 0
    looking = autexor("audit", "list", who=ADA)
    assert looking.code == 0, looking.err
    assert "ada@autexor.test (support)" in autexor("access", "list").out
    assert autexor("support", "end", request["id"]).code == 0
    over = autexor("audit", "list", who=ADA)
    assert (over.code, "[no_active_garage]" in over.err) == (1, True)
    mine = json.loads(autexor("support", "list", "--mine", "--json", who=ADA).out)
    assert [row["status"] for row in mine if row["id"] == request["id"]] == ["ended"]


@pytest.mark.req("D15")
def test_a_request_is_refused_or_withdrawn(autexor: Autexor) -> None:
    first = asked(autexor, "--write")["id"]
    assert autexor("support", "refuse", first, who=OTTO).code == 1
    assert "status\trefused" in autexor("support", "refuse", first).out
    second = asked(autexor)["id"]
    assert autexor("support", "end", second, "--quiet", who=ADA).out.strip() == second
    assert "[support_over]" in autexor("support", "end", second, who=ADA).err
    unknown = autexor("support", "grant", first[:-1] + "f", *INSTRUCTION, "--yes")
    assert (unknown.code, "[support_not_found]" in unknown.err) == (1, True)


@pytest.mark.req("D15")
def test_garages_are_named_without_doubt_and_by_operators_alone(autexor: Autexor) -> None:
    for words, code in (("garage", "garage_ambiguous"), ("nowhere", "garage_not_found")):
        said = autexor("support", "request", words, *REASON, who=ADA)
        assert (said.code, f"[{code}]" in said.err) == (1, True)
    said = autexor("support", "request", "zuid", *REASON)
    assert (said.code, "[operator_required]" in said.err) == (1, True)
    assert autexor("support", "list", "--mine", who=ADA).code == 0


@pytest.mark.req("G8")
def test_a_breach_is_recorded_told_read_and_confirmed(autexor: Autexor) -> None:
    facts = ("--title", "Lost laptop", "--nature", "A laptop with a copy was lost", "--people", "3")
    facts += ("--noticed-at", "2026-11-02T09:00:00", "--table", "public.customers")
    said = autexor("breaches", "record", *facts, "--json", who=ADA)
    assert said.code == 0, said.err
    breach = json.loads(said.out)
    assert (breach["noticed_at"], breach["garages_told"]) == ("2026-11-02T09:00:00+00:00", 0)
    assert "contact" in breach["categories"]
    scope = json.loads(autexor("breaches", "scope", breach["id"], "--json", who=ADA).out)
    assert {row["trade_name"] for row in scope} >= {"Garage Noord", "Garage Zuid"}
    unsure = autexor("breaches", "tell", breach["id"], who=ADA, typed="n\n")
    assert 'Tell every garage it concerns of "Lost laptop"?' in unsure.err
    assert json.loads(autexor("breaches", "tell", breach["id"], "--yes", "--json", who=ADA).out)[
        "garages_told"
    ]
    assert autexor("breaches", "change", breach["id"], "--measures", "Keys revoked", who=ADA).code == 0
    notice = json.loads(autexor("breaches", "list", "--json").out)[0]
    assert (notice["breach_id"], notice["acknowledged_at"]) == (breach["id"], None)
    shown = autexor("breaches", "show", notice["id"])
    assert "nature\tA laptop with a copy was lost" in shown.out and "measures\t\n" in shown.out
    confirmed = json.loads(autexor("breaches", "acknowledge", notice["id"], "--json").out)
    assert confirmed["acknowledged_at"] is not None
    register = json.loads(autexor("breaches", "list", "--register", "--json", who=ADA).out)
    assert [row["garages_acknowledged"] for row in register if row["id"] == breach["id"]] == [1]
    assert "[operator_required]" in autexor("breaches", "list", "--register").err
    assert "[notice_not_found]" in autexor("breaches", "show", breach["id"], who=OTTO).err


@pytest.mark.req("D15")
def test_an_expired_grant_closes_the_next_request(autexor: Autexor, stack: Stack) -> None:
    request = asked(autexor)["id"]
    assert autexor("support", "grant", request, *INSTRUCTION, "--yes").code == 0
    assert autexor("support", "open", request, who=ADA).code == 0
    assert autexor("audit", "list", who=ADA).code == 0
    with psycopg.connect(stack.environment()["DB_URL"]) as owner:
        owner.execute("alter table public.support_requests disable trigger _900_freeze")
        owner.execute(
            "update public.support_requests set granted_at = now() - interval '3 hours',"
            " expires_at = now() - interval '1 second' where id = %s",
            (request,),
        )
        owner.execute("alter table public.support_requests enable always trigger _900_freeze")
    assert "[no_active_garage]" in autexor("audit", "list", who=ADA).err
