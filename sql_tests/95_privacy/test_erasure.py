"""Erasing a person: canaries in every personal column, and afterwards only those that the plan kept."""

import json
from typing import Any

import pytest

from devstack.config import SUPERUSER
from devstack.testing import Database
from sql_tests import canaries
from sql_tests.cast import CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.people import call
from sql_tests.steps import (
    change,
    claim,
    complete,
    finish,
    issued_invoice,
    look,
    one,
    refused,
    reserve,
    sign_in,
)

from .conftest import ask, do, erase

pytestmark = pytest.mark.req("G2", "G3")
# Columns that hold one of a few fixed words: no canary fits, and what is left there says nothing.
FIXED_WORDS = {
    "public.customers.country_code",
    "public.customers.locale",
    "public.customers.preferred_channel",
    "public.push_devices.platform",
}


def kept_places(plan: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Table, row and column of what a plan keeps."""
    return {
        (step["table_name"], step["row_id"], column)
        for step in plan["steps"]
        if step["action"] == "keep"
        for column in step["columns"]
    }


def test_of_an_erased_person_nothing_is_left_in_the_database_that_the_plan_did_not_keep(
    at_work: Database,
) -> None:
    request = ask(at_work, "erasure", details="CN7Q9999")
    with at_work.connect(SUPERUSER) as connection:
        planted, barren = canaries.plant(connection, CARLA)
        before = canaries.search(connection)
        connection.commit()
    assert barren == FIXED_WORDS
    assert {canary.text for canary in planted} <= before.keys(), "each is found before the erasure"
    assert all(canary.table in before[canary.text] for canary in planted)

    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])
    with at_work.connect(SUPERUSER) as connection:
        after = canaries.search(connection)

    kept = kept_places(plan)
    allowed = {c.text for c in planted if (c.table, c.row_id, c.column) in kept}
    assert after.keys() <= allowed, [c for c in planted if c.text in after.keys() - allowed]
    assert after.keys() == allowed, "what is kept is still there"
    assert {table for tables in after.values() for table in tables} <= {table for table, _, _ in kept}


def test_what_is_kept_is_the_frozen_invoice_and_the_history_and_says_until_when(at_work: Database) -> None:
    plan, _ = erase(at_work)
    keeps = [step for step in plan["steps"] if step["action"] == "keep"]
    assert {step["table_name"] for step in keeps} == {
        "audit.access_entries", "public.invoices", "public.invoice_lines", "public.invoice_vat_totals",
        "public.invoice_documents", "public.odometer_readings", "public.payments",
        "public.rights_requests", "public.vehicles",
    }  # fmt: skip
    year = look(at_work, "select extract(year from private.today_at(%s))::int", NOORD)
    invoice = next(step for step in keeps if step["table_name"] == "public.invoices")
    assert (invoice["until"], "art. 60" in invoice["reason"]) == (f"{year + 11}-01-01", True)
    assert set(invoice["columns"]) == {"odometer_km", "note", "snapshot"}
    assert all(step["until"] for step in keeps if "file" not in step["columns"])
    documents = [step for step in keeps if step["columns"] == ["file"]]
    assert [step["table_name"] for step in documents] == ["public.invoice_documents"]


def test_an_erasure_leaves_other_customers_and_other_garages_alone(at_work: Database) -> None:
    with at_work.connect(SUPERUSER) as connection:
        planted, _ = canaries.plant(connection, KAREL)
        connection.commit()
    others = "select count(*) from public.messages m where m.garage_id <> %s"
    strangers = look(at_work, others, NOORD)
    erase(at_work, CARLA)
    with at_work.connect(SUPERUSER) as connection:
        found = canaries.search(connection)
    assert {canary.text for canary in planted} <= found.keys()
    assert look(at_work, others, NOORD) == strangers > 0


def test_a_plan_repeated_after_the_erasure_only_keeps(at_work: Database) -> None:
    _, done = erase(at_work)
    assert done["status"] == "done"
    plan = call(at_work, OLGA, "erasure_plan(%s)", ask(at_work, "erasure")["id"])
    assert {step["action"] for step in plan["steps"]} == {"keep"}


def test_the_evidence_is_counts_and_a_hash(at_work: Database) -> None:
    plan, done = erase(at_work)
    erasure = done["evidence"]["erasure"]
    assert (erasure["plan_sha256"], erasure["counts"]) == (plan["sha256"], plan["counts"])
    assert erasure["by"] == f"staff:{OLGA.claims['sub']}"
    assert "Carla" not in json.dumps(done["evidence"]) and "carla" not in json.dumps(done["evidence"])


def test_another_plan_than_the_one_shown_is_not_executed(at_work: Database) -> None:
    request = ask(at_work, "erasure")
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    with CARLA.actor.acting(at_work) as connection:
        connection.execute("select portal.send_message('Nog iets')")
        connection.commit()
    with refused("plan_changed", 409):
        do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])
    with refused("plan_changed", 409):
        do(at_work, "select * from public.execute_erasure(%s)", request["id"])
    again = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], again["sha256"])


@pytest.mark.req("G5")
def test_nothing_is_erased_under_a_legal_hold(at_work: Database) -> None:
    request = ask(at_work, "erasure")
    hold = do(
        at_work, "select * from public.place_legal_hold(%s, 'Geschil over de remmen')", CARLA.customer_id
    )
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    with refused("under_legal_hold", 409):
        do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])
    do(at_work, "select * from public.lift_legal_hold(%s)", hold["id"])
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])


def test_nothing_is_erased_while_a_mail_is_being_sent(at_work: Database) -> None:
    request = ask(at_work, "erasure")
    issued_invoice(at_work, OLGA, CARLA)
    for document in claim(at_work, "render"):
        finish(at_work, "render", document)
    sending = claim(at_work, "send")
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    with refused("delivery_under_way", 409):
        do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])
    for mail in sending:
        finish(at_work, "send", mail)
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    do(at_work, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])


def test_what_waits_for_an_erased_customer_is_not_sent(at_work: Database) -> None:
    issued_invoice(at_work, OLGA, CARLA)
    for document in claim(at_work, "render"):
        finish(at_work, "render", document)
    waiting = "select count(*) from public.communications where customer_id = %s and status = 'queued'"
    assert look(at_work, waiting, CARLA.customer_id) > 0
    erase(at_work)
    assert look(at_work, waiting, CARLA.customer_id) == 0
    mails, pushes = ([row["job"] for row in claim(at_work, queue)] for queue in ("send", "push"))
    assert not [mail for mail in mails if mail["recipient"]["address"] == CARLA.login]
    assert not [push for push in pushes if push["expo_token"].endswith("phone-0000000001]")]


def test_an_erased_customer_is_signed_out_and_cannot_sign_in(at_work: Database) -> None:
    with CARLA.actor.acting(at_work) as connection:
        assert one(connection, "select private.garage_id()") is not None
    erase(at_work)
    with CARLA.actor.acting(at_work) as connection:
        assert one(connection, "select private.garage_id()") is None
    assert "account_id" not in complete(at_work, reserve(at_work, CARLA), "token")
    sign_in(at_work, KAREL)


def test_files_follow_by_a_worker_and_the_request_is_done_with_the_last(at_work: Database) -> None:
    photo = look(
        at_work, "select storage_path from public.work_order_photos where garage_id = %s limit 1", NOORD
    )
    change(
        at_work,
        "insert into storage.objects (bucket_id, name) select 'work_order_photos', p.storage_path"
        "  from public.work_order_photos p join public.work_orders w on w.id = p.work_order_id"
        " where w.customer_id = %s union all"
        " select 'message_photos', p.storage_path from public.message_photos p"
        "  join public.conversations c on c.id = p.conversation_id where c.customer_id = %s",
        CARLA.customer_id,
        CARLA.customer_id,
    )
    assert photo
    _, request = erase(at_work)
    assert request["status"] == "executing"
    first, second = claim(at_work, "erase")
    assert {first["job"]["bucket"], second["job"]["bucket"]} == {"work_order_photos", "message_photos"}
    assert finish(at_work, "erase", first, "retry", "storage_http_503") == "queued"
    assert finish(at_work, "erase", second) == "removed"
    (again,) = claim(at_work, "erase")
    assert finish(at_work, "erase", again, "give_up", "storage_http_403") == "failed"
    status = "select status from public.rights_requests where id = %s"
    assert look(at_work, status, request["id"]) == "executing"
    resumed = do(at_work, "select * from public.execute_erasure(%s)", request["id"])
    assert resumed["status"] == "executing"
    (last,) = claim(at_work, "erase")
    assert finish(at_work, "erase", last) == "removed"
    assert look(at_work, status, request["id"]) == "done"
    assert (
        look(
            at_work,
            "select evidence ->> 'files_removed' from public.rights_requests where id = %s",
            request["id"],
        )
        == "2"
    )


@pytest.mark.req("D7", "G5")
def test_frozen_rows_open_for_an_erasure_alone_and_only_where_the_map_says(at_work: Database) -> None:
    invoice = look(
        at_work,
        "select id from public.invoices where customer_id = %s and issued_at is not null",
        CARLA.customer_id,
    )
    for statement in (
        "update public.invoices set internal_note = null, note = 'x' where id = %s",
        "delete from public.invoices where id = %s",
        "delete from public.invoice_lines where invoice_id = %s",
    ):
        with refused("invoice_is_issued", 409):
            change(at_work, statement, invoice)
        # Even while an erasure runs, what the law keeps does not change.
        with refused("invoice_is_issued", 409), at_work.connect() as connection:
            connection.execute(
                "insert into private.erasing (garage_id, as_of, kind) values (%s, now(), 'erasure')", (NOORD,)
            )
            connection.execute(statement.encode(), (invoice,))
    with at_work.connect() as connection:
        connection.execute(
            "insert into private.erasing (garage_id, as_of, kind) values (%s, now(), 'erasure')", (NOORD,)
        )
        assert (
            connection.execute(
                "update public.invoices set internal_note = null where id = %s", (invoice,)
            ).rowcount
            == 1
        )
        connection.rollback()
    with refused("history_is_append_only", 409), at_work.connect() as connection:
        connection.execute(
            "insert into private.erasing (garage_id, as_of, kind) values (%s, now(), 'erasure')", (NOORD,)
        )
        connection.execute("delete from audit.access_entries")


def test_the_exception_ends_with_the_erasure(at_work: Database) -> None:
    with at_work.connect() as connection:
        connection.execute(
            "select private.erase_customer(%s, array[%s]::uuid[], now(), null)", (NOORD, CARLA.customer_id)
        )
        assert one(connection, "select count(*) from private.erasing") == 0
        with refused("history_is_append_only", 409):
            connection.execute("delete from public.payments")
        connection.rollback()


@pytest.mark.parametrize("actor", [MARC, RITA], ids=lambda actor: actor.name)
def test_who_may_not_execute_requests_neither_plans_nor_erases(at_work: Database, actor: Any) -> None:
    request = ask(at_work, "erasure")
    plan = call(at_work, OLGA, "erasure_plan(%s)", request["id"])
    with refused("permission_missing", 403):
        call(at_work, actor, "erasure_plan(%s)", request["id"])
    with refused("permission_missing", 403):
        call(at_work, actor, "execute_erasure(%s, %s)", request["id"], plan["sha256"])
    with refused("rights_request_not_found", 404):
        call(at_work, OTTO, "erasure_plan(%s)", request["id"])


def test_the_audit_tells_of_the_erasure_and_not_what_was_erased(at_work: Database) -> None:
    erase(at_work)
    with at_work.connect() as connection:
        rows = connection.execute(
            "select table_name, op, changed, changes from audit.entries"
            " where garage_id = %s and actor = %s and table_name in ('public.customers', 'public.messages')",
            (NOORD, f"staff:{OLGA.claims['sub']}"),
        ).fetchall()
    assert {"full_name", "email", "phone"} <= {c for row in rows if row["op"] == "U" for c in row["changed"]}
    assert any(row["op"] == "D" and row["table_name"] == "public.messages" for row in rows)
    assert not any({"full_name", "email", "phone", "body"} & row["changes"].keys() for row in rows)
