"""What a garage's admin does from the command line, on the real stack: people, modules, settings, history."""

import json
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import typer

from cli.commands.garage import Setting
from cli.commands.members import Role
from devstack.stack import Stack

RITA = "rita@garage-noord.test"
MARC = "marc@garage-noord.test"
OTTO = "otto@garage-zuid.test"
Autexor = Callable[..., Any]


def person(autexor: Autexor, email: str, **how: str) -> dict[str, Any]:
    """One row of `members list`."""
    rows = json.loads(autexor("members", "list", "--json", **how).out)
    return next(row for row in rows if row["email"] == email)


@pytest.mark.req("D3")
def test_the_list_of_members_is_the_garages_own(autexor: Autexor) -> None:
    said = autexor("members", "list")
    assert (said.code, said.err) == (0, "")
    assert "rita@garage-noord.test\tRita Claes\treceptionist\tactive" in said.out
    assert OTTO not in said.out
    assert autexor("members", "list", "--quiet", who=OTTO).out.splitlines()[0] == OTTO


@pytest.mark.req("D3")
def test_an_invitation_is_made_sent_again_and_taken_back(autexor: Autexor) -> None:
    made = autexor("members", "invite", "Sam@example.test", "mechanic", "--json")
    assert made.code == 0, made.err
    invitation = json.loads(made.out)
    assert (invitation["email"], invitation["role"]) == ("sam@example.test", "mechanic")
    assert (invitation["status"], invitation["sent_count"]) == ("invited", 1)
    twice = autexor("members", "invite", "sam@example.test", "mechanic")
    assert (twice.code, "[already_invited]" in twice.err) == (1, True)
    assert json.loads(autexor("members", "resend", "SAM@example.test", "--json").out)["sent_count"] == 2
    assert person(autexor, "sam@example.test")["status"] == "invited"
    unsure = autexor("members", "revoke-invitation", "sam@example.test", typed="n\n")
    assert (unsure.code, unsure.out) == (1, "")
    assert "sam@example.test (mechanic) to Garage Noord?" in unsure.err
    sure = autexor("members", "revoke-invitation", "sam@example.test", typed="y\n")
    assert (sure.code, "revoked" in sure.out) == (0, True)
    gone = autexor("members", "resend", "sam@example.test")
    assert (gone.code, gone.out, "[invitation_not_found]" in gone.err) == (1, "", True)
    assert "sam@example.test" not in autexor("members", "list").out


@pytest.mark.req("D3")
def test_roles_grants_and_denials_change_what_somebody_may(autexor: Autexor) -> None:
    assert "[permission_missing]" in autexor("audit", "list", who=RITA).err
    granted = json.loads(autexor("members", "grant", RITA, "audit.read", "--json").out)
    assert granted["granted"] == ["audit.read"]
    assert autexor("audit", "list", who=RITA).code == 0
    denied = json.loads(autexor("members", "deny", RITA, "audit.read", "--json").out)
    assert (denied["granted"], denied["denied"]) == ([], ["audit.read"])
    shown = json.loads(autexor("members", "show", RITA, "--json").out)["permissions"]
    assert [one["is_held"] for one in shown if one["permission"] == "audit.read"] == [False]
    assert "invoices.issue\trole\tyes" in autexor("members", "show", RITA).out
    assert json.loads(autexor("members", "reset", RITA, "audit.read", "--json").out)["denied"] == []
    assert "\trole\t" not in autexor("members", "role", RITA, "manager", "--quiet").out
    assert person(autexor, RITA)["role"] == "manager"
    assert autexor("members", "role", RITA, "receptionist").code == 0


@pytest.mark.req("D3")
def test_nobody_changes_more_than_they_may(autexor: Autexor) -> None:
    for arguments, who, code in (
        (("role", MARC, "owner"), RITA, "permission_missing"),
        (("role", "olga@garage-noord.test", "mechanic"), "olga@garage-noord.test", "own_membership"),
        (("grant", MARC, "everything"), "olga@garage-noord.test", "permission_unknown"),
        (("grant", MARC, "audit.read"), OTTO, "member_not_found"),
        (("deactivate", "nobody@example.test"), "olga@garage-noord.test", "member_not_found"),
    ):
        said = autexor("members", *arguments, who=who)
        assert (said.code, said.out, f"[{code}]" in said.err) == (1, "", True), said.err
        assert len(said.err.splitlines()) == 3
    assert autexor("members", "role", MARC, "king").code == 2
    assert person(autexor, MARC)["role"] == "mechanic"


@pytest.mark.req("D3")
def test_who_is_deactivated_is_out_at_once_and_back_on_demand(autexor: Autexor) -> None:
    unasked = autexor("members", "deactivate", MARC)
    assert (unasked.code, "[confirmation_required]" in unasked.err) == (2, True)
    unsure = autexor("members", "deactivate", MARC, typed="n\n")
    assert "Deactivate Marc Wouters (marc@garage-noord.test, mechanic) at Garage Noord?" in unsure.err
    assert (unsure.code, person(autexor, MARC)["status"]) == (1, "active")
    assert autexor("modules", "list", who=MARC).code == 0
    assert autexor("members", "deactivate", MARC, "--yes").code == 0
    assert person(autexor, MARC)["status"] == "deactivated"
    out = autexor("modules", "list", who=MARC)
    assert (out.code, "[no_active_garage]" in out.err) == (1, True)
    assert autexor("members", "reactivate", MARC).code == 0
    assert autexor("modules", "list", who=MARC).code == 0


def test_ctrl_c_at_the_question_is_130_and_changes_nothing(
    autexor: Autexor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", interrupted)
    assert autexor("members", "deactivate", MARC, typed="").code == 130
    assert person(autexor, MARC)["status"] == "active"


@pytest.mark.req("D2")
def test_a_module_is_switched_off_and_on_by_an_admin(autexor: Autexor) -> None:
    assert "invoicing\tyes" in autexor("modules", "list").out
    unasked = autexor("modules", "disable", "invoicing")
    assert (unasked.code, "[confirmation_required]" in unasked.err) == (2, True)
    refused = autexor("modules", "disable", "invoicing", "--yes", who=RITA)
    assert (refused.code, "[permission_missing]" in refused.err) == (1, True)
    off = autexor("modules", "disable", "invoicing", typed="y\n")
    assert (off.code, 'Switch the module "invoicing" of Garage Noord off' in off.err) == (0, True)
    assert "invoicing\tno" in autexor("modules", "list", who=RITA).out
    assert "[module_closed]" in autexor("invoices", "trace", "2026-00001").err
    assert autexor("modules", "enable", "invoicing", "--quiet").out == "invoicing\n"
    assert "[invoice_not_found]" in autexor("invoices", "trace", "2026-99999").err
    unknown = autexor("modules", "enable", "teleport")
    assert (unknown.code, "[module_unknown]" in unknown.err) == (1, True)


@pytest.mark.req("D1")
def test_settings_are_shown_and_changed_by_who_may(autexor: Autexor) -> None:
    assert "legal_name\tGarage Noord BV" in autexor("garage", "show", who=RITA).out
    changed = json.loads(autexor("garage", "set", "payment_days", "14", "--json").out)
    assert changed["payment_days"] == 14
    assert "payment_days\t14" in autexor("garage", "show").out
    assert autexor("garage", "set", "payment_days", "30").code == 0
    for key, value, who, code in (
        ("payment_days", "400", "olga@garage-noord.test", "payment_days_invalid"),
        ("iban", "BE00", "olga@garage-noord.test", "iban_invalid"),
        ("payment_days", "10", RITA, "permission_missing"),
    ):
        said = autexor("garage", "set", key, value, who=who)
        assert (said.code, said.out, f"[{code}]" in said.err) == (1, "", True), said.err
    assert autexor("garage", "set", "vat_number", "BE0417497106").code == 2
    assert "payment_days\t30" in autexor("garage", "show", who=OTTO).out


@pytest.mark.req("D3")
def test_one_chooses_among_ones_own_garages_alone(autexor: Autexor) -> None:
    assert autexor("garage", "list").out == "Garage Noord\towner\tyes\n"
    assert autexor("garage", "switch", "garage noord").code == 0
    foreign = autexor("garage", "switch", "Garage Zuid")
    assert (foreign.code, "[garage_not_found]" in foreign.err) == (1, True)


@pytest.mark.req("D11")
def test_history_is_read_in_pages_by_who_may(autexor: Autexor) -> None:
    autexor("members", "grant", MARC, "audit.read")
    autexor("members", "reset", MARC, "audit.read")
    newest = autexor("audit", "list", "--limit", "2").out.splitlines()
    assert [line.split("\t")[2:4] for line in newest] == [
        ["Olga Peeters (owner)", "membership_permissions deleted"],
        ["Olga Peeters (owner)", "membership_permissions created"],
    ]
    ids = autexor("audit", "list", "--quiet", "--limit", "7").out.split()
    pages = [autexor("audit", "list", "--quiet", "--limit", "3").out.split()]
    pages.append(autexor("audit", "list", "--quiet", "--limit", "4", "--before", pages[0][-1]).out.split())
    assert [*pages[0], *pages[1]] == ids
    lost = autexor("audit", "list", "--before", ids[0], who=OTTO)
    assert (lost.code, "[audit_entry_not_found]" in lost.err) == (1, True)
    refused = autexor("audit", "list", who=RITA)
    assert (refused.code, refused.out, "[permission_missing]" in refused.err) == (1, "", True)


@pytest.mark.req("D1", "D3")
def test_roles_and_settings_are_those_of_the_database(stack: Stack) -> None:
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        roles = connection.execute("select unnest(enum_range(null::public.member_role))::text").fetchall()
        settings = connection.execute(
            "select attname::text from pg_attribute where attrelid = 'public.garages'::regclass"
            " and attnum > 0 and has_column_privilege('authenticated', attrelid, attnum, 'update')"
        ).fetchall()
    assert {row[0] for row in roles} == {role.value for role in Role}
    assert {row[0] for row in settings} == {setting.value for setting in Setting}


def test_every_row_of_the_history_has_words(autexor: Autexor) -> None:
    events = {line.split("\t")[3] for line in autexor("audit", "list", "--limit", "200").out.splitlines()}
    assert len(events) > 2, events
    assert all(re.fullmatch(r"[a-z_.]+ (created|changed|deleted|emptied)", event) for event in events)
