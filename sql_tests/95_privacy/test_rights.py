"""Requests: the deadline, the identity first, who may do what, and evidence without the data."""

from datetime import date

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.people import call
from sql_tests.steps import change, denied, look, refused

from .conftest import ask, do, twin

pytestmark = pytest.mark.req("G2")
KINDS = ("access", "rectification", "erasure", "restriction", "objection", "portability")
DEADLINES = {
    ("2026-01-15", False): "2026-02-15",
    ("2026-01-31", False): "2026-02-28",
    ("2028-01-30", False): "2028-02-29",
    ("2026-12-05", False): "2027-01-05",
    ("2026-11-30", True): "2027-02-28",
    ("2026-01-15", True): "2026-04-15",
}


@pytest.mark.parametrize(("received", "extended"), DEADLINES)
def test_a_month_ends_on_the_same_day_or_the_last_one(
    database: Database, received: str, extended: bool
) -> None:
    found = look(database, "select private.due_on(%s, %s)", received, extended)
    assert found == date.fromisoformat(DEADLINES[received, extended])


def test_the_day_of_receipt_is_that_of_the_garage(fresh_database: Database) -> None:
    # 23:30 in Brussels in winter is 22:30 UTC; half past midnight is 23:30 UTC of the day before.
    change(fresh_database, "update public.garages set time_zone = 'Pacific/Auckland' where id = %s", NOORD)
    day = "(date_trunc('day', now()) - interval '10 days' + interval '22 hours')"
    received = look(fresh_database, f"select {day}")
    request = ask(fresh_database, "access", verified=False, received_at=received)
    local = look(fresh_database, f"select ({day} at time zone 'Pacific/Auckland')::date")
    assert request["due_on"] == look(fresh_database, "select private.due_on(%s, false)", local)
    assert local > received.date()


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_the_six_rights_is_received_and_nothing_done_before_the_identity_is_checked(
    fresh_database: Database, kind: str
) -> None:
    more = {"object_to": "email"} if kind == "objection" else {}
    request = ask(fresh_database, kind, verified=False, **more)
    assert (request["status"], request["kind"]) == ("received", kind)
    calls = {
        "access": ("rights_export(%s)", ()),
        "portability": ("rights_export(%s)", ()),
        "rectification": ("rectify_customer(%s, %s)", ('{"city": "Gent"}',)),
        "erasure": ("erasure_plan(%s)", ()),
        "restriction": ("execute_restriction(%s)", ()),
        "objection": ("execute_objection(%s)", ()),
    }
    statement, arguments = calls[kind]
    with refused("identity_not_verified", 409):
        call(fresh_database, OLGA, statement, request["id"], *arguments)
    verified = do(fresh_database, "select * from public.verify_rights_identity(%s, 'id_card')", request["id"])
    assert (verified["status"], verified["verified_how"]) == ("verified", "id_card")
    assert verified["verified_by"] is not None and verified["verified_at"] is not None
    assert call(fresh_database, OLGA, statement, request["id"], *arguments) is not None


def test_a_deadline_is_extended_once_with_a_reason_before_it_passes(fresh_database: Database) -> None:
    request = ask(fresh_database, "access")
    with refused("reason_invalid"):
        call(fresh_database, OLGA, "extend_rights_request(%s, '')", request["id"])
    longer = do(
        fresh_database, "select * from public.extend_rights_request(%s, 'Veel archief')", request["id"]
    )
    assert longer["due_on"] == look(
        fresh_database, "select (private.today_at(%s) + interval '3 months')::date", NOORD
    )
    with refused("already_extended", 409):
        call(fresh_database, OLGA, "extend_rights_request(%s, 'Nog meer')", request["id"])
    late = ask(
        fresh_database, "access", received_at=look(fresh_database, "select now() - interval '40 days'")
    )
    with refused("deadline_passed", 409):
        call(fresh_database, OLGA, "extend_rights_request(%s, 'Vergeten')", late["id"])


def test_a_refusal_says_why_and_settles(fresh_database: Database) -> None:
    request = ask(fresh_database, "access")
    with refused("reason_invalid"):
        call(fresh_database, OLGA, "refuse_rights_request(%s, ' ')", request["id"])
    done = do(
        fresh_database, "select * from public.refuse_rights_request(%s, 'Kennelijk ongegrond')", request["id"]
    )
    assert (done["status"], done["refusal_reason"]) == ("refused", "Kennelijk ongegrond")
    for statement in ("verify_rights_identity(%s, 'id_card')", "rights_export(%s)"):
        with refused("rights_request_settled", 409):
            call(fresh_database, OLGA, statement, request["id"])


def test_only_what_was_asked_for_is_done(fresh_database: Database) -> None:
    access = ask(fresh_database, "access")
    for statement in (
        "erasure_plan(%s)",
        "execute_erasure(%s)",
        "execute_restriction(%s)",
        "execute_objection(%s)",
    ):
        with refused("rights_kind_wrong", 409):
            call(fresh_database, OLGA, statement, access["id"])


def test_who_may_receive_may_not_execute_and_others_see_nothing(fresh_database: Database) -> None:
    request = do(
        fresh_database,
        "select * from public.receive_rights_request(%s, 'access')",
        CARLA.customer_id,
        who=RITA,
    )
    do(
        fresh_database,
        "select * from public.verify_rights_identity(%s, 'in_person')",
        request["id"],
        who=RITA,
    )
    with refused("permission_missing", 403):
        call(fresh_database, RITA, "rights_export(%s)", request["id"])
    with refused("permission_missing", 403):
        do(
            fresh_database,
            "select * from public.receive_rights_request(%s, 'access')",
            CARLA.customer_id,
            who=MARC,
        )
    assert call(fresh_database, OLGA, "rights_export(%s)", request["id"])["tables"]
    for customer in (CARLA, CARLA_AT_ZUID):
        with denied(), customer.actor.acting(fresh_database) as connection:
            connection.execute("select * from public.rights_requests")
    for actor, expected in ((OLGA, 1), (RITA, 1), (MARC, 0), (OTTO, 0)):
        with actor.acting(fresh_database) as connection:
            assert len(connection.execute("select * from public.rights_requests").fetchall()) == expected
    with refused("rights_request_not_found", 404):
        call(fresh_database, OTTO, "rights_export(%s)", request["id"])
    with refused("customer_not_found", 404):
        do(
            fresh_database,
            "select * from public.receive_rights_request(%s, 'access')",
            CARLA.customer_id,
            who=OTTO,
        )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("gossip", None), "rights_kind_unknown"),
        (("objection", None), "objection_unclear"),
        (("access", "email"), "objection_unclear"),
    ],
)
def test_a_request_that_says_nothing_is_refused(
    fresh_database: Database, arguments: tuple[str, str | None], code: str
) -> None:
    with refused(code):
        ask(fresh_database, arguments[0], verified=False, object_to=arguments[1])


@pytest.mark.req("G3")
def test_a_correction_is_made_and_its_evidence_holds_no_data(fresh_database: Database) -> None:
    request = ask(fresh_database, "rectification")
    with refused("rectification_invalid"):
        call(fresh_database, OLGA, "rectify_customer(%s, %s)", request["id"], '{"merged_into_id": null}')
    with refused("email_invalid"):
        call(fresh_database, OLGA, "rectify_customer(%s, %s)", request["id"], '{"email": "nope"}')
    done = do(
        fresh_database,
        "select * from public.rectify_customer(%s, %s, %s)",
        request["id"],
        '{"city": "Gent", "phone": "+32470999999"}',
        ["accountant"],
    )
    assert done["status"] == "done" and done["evidence"]["told"] == ["accountant"]
    assert set(done["evidence"]["changed"]) == {"city", "phone"}
    assert "Gent" not in str(done["evidence"])
    after = look(
        fresh_database,
        "select encode(sha256(convert_to(%s || 'Gent', 'UTF8')), 'hex')",
        str(request["id"]),
    )
    assert done["evidence"]["changed"]["city"]["to_sha256"] == after
    assert (
        look(fresh_database, "select city from public.customers where id = %s", CARLA.customer_id) == "Gent"
    )


@pytest.mark.req("G3")
def test_an_objection_stops_the_channel_named_and_what_waits_on_it(at_work: Database) -> None:
    change(
        at_work,
        "update public.communications set status = 'queued' where customer_id = any (%s)",
        [CARLA.customer_id, KAREL.customer_id],
    )
    change(at_work, "update public.push_notifications set status = 'queued'")
    waiting = (
        "select jsonb_build_array(count(*) filter (where template like 'portal%%') > 0,"
        " count(*) filter (where template not like 'portal%%') > 0)"
        " from public.communications where customer_id = %s and status = 'queued' and channel = 'email'"
    )
    assert (
        look(at_work, waiting, CARLA.customer_id) == [True, True] == look(at_work, waiting, KAREL.customer_id)
    )
    pushes = "select count(*) from public.push_notifications where status = 'queued'"
    queued = look(at_work, pushes)
    request = ask(at_work, "objection", object_to="email")
    done = do(at_work, "select * from public.execute_objection(%s)", request["id"])
    assert (done["status"], done["evidence"]["stopped"]) == ("done", ["email"])
    wants = "select private.wants(%s, %s, %s)"
    assert look(at_work, wants, NOORD, CARLA.customer_id, "email") is False
    assert look(at_work, wants, NOORD, CARLA.customer_id, "push") is True
    assert look(at_work, waiting, CARLA.customer_id) == [True, False], "the own access is what they ask for"
    assert look(at_work, waiting, KAREL.customer_id) == [True, True]
    assert look(at_work, pushes) == queued > 0
    request = ask(at_work, "objection", object_to="push")
    do(at_work, "select * from public.execute_objection(%s)", request["id"])
    assert queued > look(at_work, pushes) > 0, "those to other phones wait on"


@pytest.mark.req("G3", "D4")
def test_what_is_open_of_a_duplicate_follows_it_and_what_is_settled_stays(at_work: Database) -> None:
    double = twin(at_work)
    waiting = ask(at_work, "objection", double, object_to="email")
    answered = ask(at_work, "access", double)
    do(at_work, "select * from public.refuse_rights_request(%s, 'Al beantwoord')", answered["id"])
    hold, lifted = (do(at_work, "select * from public.place_legal_hold(%s, 'Geschil')", double) for _ in "12")
    do(at_work, "select * from public.lift_legal_hold(%s)", lifted["id"])
    do(at_work, "select * from public.merge_customers(%s, %s)", CARLA.customer_id, double)
    requests = "select customer_id::text from public.rights_requests where id = %s"
    holds = "select customer_id::text from public.legal_holds where id = %s"
    assert look(at_work, requests, waiting["id"]) == CARLA.customer_id == look(at_work, holds, hold["id"])
    assert look(at_work, requests, answered["id"]) == double == look(at_work, holds, lifted["id"])
    wants = "select private.wants(%s, %s, 'email')"
    assert look(at_work, wants, NOORD, CARLA.customer_id) is True
    do(at_work, "select * from public.execute_objection(%s)", waiting["id"])
    assert look(at_work, wants, NOORD, CARLA.customer_id) is False
    # Invoices that were issued to the duplicate stay with it, and are still sent.
    assert look(at_work, wants, NOORD, double) is False
