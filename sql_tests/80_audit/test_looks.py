"""Who looked at whose data: cards, documents and sign-ins of staff, and all of it about one customer."""

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests import people
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OLGA, OTTO, RITA, Actor
from sql_tests.steps import (
    Row,
    change,
    denied,
    grant_document,
    issued_invoice,
    look,
    one,
    refused,
    sign_in,
    work,
)

pytestmark = pytest.mark.req("D12")

MARC_MEMBERSHIP = "2a222222-0000-4000-8000-000000000003"
ABOUT = "select at, event, actor, subject_id::text as subject from public.access_to_customer(%s)"


@pytest.fixture
def since(database: Database) -> int:
    change(database, "delete from private.rate_limits")
    an_hour_later(database)
    return int(look(database, "select coalesce(max(id), 0) from audit.access_entries"))


def an_hour_later(database: Database) -> None:
    """What was logged so far was logged an hour ago."""
    with database.connect() as connection:
        connection.execute("alter table audit.access_entries disable trigger user")
        connection.execute("update audit.access_entries set occurred_at = occurred_at - interval '1 hour'")
        connection.execute("alter table audit.access_entries enable always trigger _900_append_only")


def opened(database: Database, who: Actor, call: str, *arguments: object) -> Any:
    with who.acting(database) as connection:
        row = connection.execute(f"select * from public.{call}".encode(), arguments).fetchone()
        connection.commit()
    return row


def seen(database: Database, since: int) -> list[tuple[object, ...]]:
    query = "select event, actor, subject_id::text from public.access_entries where id > %s order by id"
    with OLGA.acting(database) as connection:
        return [tuple(row.values()) for row in connection.execute(query.encode(), (since,))]


def about(database: Database, customer: str, who: Actor = OLGA) -> list[Row]:
    with who.acting(database) as connection:
        return connection.execute(ABOUT, (customer,)).fetchall()


def staff(actor: Actor) -> str:
    return f"staff:{actor.claims['sub']}"


def test_a_card_that_is_opened_is_logged_once_per_quarter_of_an_hour(database: Database, since: int) -> None:
    for who in (RITA, RITA, OLGA, RITA):
        card = opened(database, who, "open_customer(%s)", CARLA.customer_id)
        assert (str(card["id"]), card["full_name"].startswith("Carla")) == (CARLA.customer_id, True)
    expected = [("customer_opened", staff(who), CARLA.customer_id) for who in (RITA, OLGA)]
    assert seen(database, since) == expected
    an_hour_later(database)
    opened(database, RITA, "open_customer(%s)", CARLA.customer_id)
    assert seen(database, since)[-1] == expected[0] and len(seen(database, since)) == 3


@pytest.mark.req("D1")
def test_what_cannot_be_opened_is_refused_and_not_logged(database: Database, since: int) -> None:
    people.override(database, MARC_MEMBERSHIP, "customers.read", False)
    with MARC.acting(database) as connection, refused("permission_missing", 403):
        connection.execute("select public.open_customer(%s)", (CARLA.customer_id,))
    for stranger in (CARLA_AT_ZUID.customer_id, "99999999-0000-4000-8000-000000000009"):
        with RITA.acting(database) as connection, refused("customer_not_found", 404):
            connection.execute("select public.open_customer(%s)", (stranger,))
        assert len(seen(database, since)) == 0
    with CARLA.actor.acting(database) as connection, denied():
        connection.execute("select public.open_customer(%s)", (CARLA.customer_id,))
    opened(database, RITA, "open_customer(%s)", CARLA.customer_id)
    assert len(seen(database, since)) == 1


def test_a_document_that_staff_open_is_logged_with_its_invoice(database: Database, since: int) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    document = look(
        database, "select id::text from public.invoice_documents where invoice_id = %s", invoice["id"]
    )
    with RITA.acting(database) as connection, refused("document_not_found", 404):
        connection.execute("select public.open_document(%s)", (document,))  # not rendered yet
    work(database)
    found = opened(database, RITA, "open_document(%s)", document)
    assert (found["bucket"], found["path"]) == ("invoices", f"{NOORD}/{invoice['id']}/{document}.pdf")
    assert seen(database, since) == [("document_opened", staff(RITA), str(invoice["id"]))]
    with OTTO.acting(database) as connection, refused("document_not_found", 404):
        connection.execute("select public.open_document(%s)", (document,))


def test_members_who_sign_in_are_logged_and_a_refreshed_token_is_not(database: Database, since: int) -> None:
    for method in ("password", "token_refresh", "otp"):
        event = {
            "user_id": RITA.claims["sub"],
            "claims": {"role": "authenticated", "session_id": RITA.claims["session_id"]},
            "authentication_method": method,
        }
        look(database, "select private.custom_access_token_hook(%s)", Jsonb(event))
    assert seen(database, since) == [("staff_login", staff(RITA), None)] * 2
    sessions = "select array_agg(distinct session_id::text) from audit.access_entries where id > %s"
    assert look(database, sessions, since) == [RITA.claims["session_id"]]


def test_a_sign_in_is_not_lost_with_the_log(database: Database, since: int) -> None:
    """Nobody is kept out because the log cannot be written."""
    event = {
        "user_id": RITA.claims["sub"],
        "claims": {"role": "authenticated", "session_id": "no uuid"},
        "authentication_method": "password",
    }
    claims = look(database, "select private.custom_access_token_hook(%s)", Jsonb(event))["claims"]
    assert claims["garage_id"] == NOORD
    assert seen(database, since) == []


def test_everything_about_one_customer_is_told_in_order(database: Database, since: int) -> None:
    invoice = issued_invoice(database, OLGA, CARLA)
    issued_invoice(database, OLGA, KAREL)
    work(database)
    session, token = sign_in(database, CARLA)
    grant_document(database, CARLA, session["session_id"], invoice["id"], f"nonce {token}")
    opened(database, OLGA, "open_customer(%s)", KAREL.customer_id)
    opened(database, OLGA, "render_source(%s)", invoice["id"])
    an_hour_later(database)
    opened(database, RITA, "open_customer(%s)", CARLA.customer_id)
    story = [row for row in about(database, CARLA.customer_id) if row["event"] != "login_failed"][-4:]
    carla = f"customer:{CARLA.account_id}"
    assert [(row["event"], row["actor"]) for row in story] == [
        ("login", carla),
        ("document_link_issued", carla),
        ("document_rendered", staff(OLGA)),
        ("customer_opened", staff(RITA)),
    ]
    assert [row["subject"] for row in story] == [
        None,
        str(invoice["id"]),
        str(invoice["id"]),
        CARLA.customer_id,
    ]
    assert [row["at"] for row in story] == sorted(row["at"] for row in story)
    karel = about(database, KAREL.customer_id)
    assert (karel[-1]["event"], karel[-1]["actor"]) == ("customer_opened", staff(OLGA))
    assert carla not in {row["actor"] for row in karel}


def test_who_was_merged_was_the_same_person(database: Database) -> None:
    insert = "insert into public.customers (garage_id, full_name) values (%s, 'Carla P.') returning id::text"
    with RITA.acting(database) as connection:
        double = one(connection, insert, NOORD)
        connection.execute("select public.open_customer(%s)", (double,))
        connection.execute("select public.merge_customers(%s, %s)", (CARLA.customer_id, double))
        connection.commit()
    assert double in {row["subject"] for row in about(database, CARLA.customer_id)}


@pytest.mark.req("D1", "G2")
def test_it_is_told_with_the_permission_and_of_ones_own_customers_alone(database: Database) -> None:
    sign_in(database, CARLA_AT_ZUID)
    assert len(about(database, CARLA_AT_ZUID.customer_id, OTTO)) >= 1
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(ABOUT, (CARLA.customer_id,))
    for stranger in (CARLA_AT_ZUID.customer_id, "99999999-0000-4000-8000-000000000009"):
        with OLGA.acting(database) as connection, refused("customer_not_found", 404):
            connection.execute(ABOUT, (stranger,))


@pytest.mark.req("G2")
def test_a_customer_reads_who_looked_without_names_of_staff(database: Database) -> None:
    opened(database, RITA, "open_customer(%s)", CARLA.customer_id)
    session, _ = sign_in(database, CARLA)
    with CARLA.with_session(session["session_id"]).acting(database) as connection:
        rows = connection.execute("select * from portal.access_log()").fetchall()
    told = {(row["event"], row["who"]) for row in rows}
    assert {("customer_opened", "garage"), ("login", "you")} <= told
    assert {tuple(row) for row in rows} == {("at", "event", "who")}
    assert RITA.claims["sub"] not in str(rows)
    other, _ = sign_in(database, CARLA_AT_ZUID)
    with CARLA_AT_ZUID.with_session(other["session_id"]).acting(database) as connection:
        rows = connection.execute("select * from portal.access_log()").fetchall()
    assert ("customer_opened", "garage") not in {(row["event"], row["who"]) for row in rows}
    with RITA.acting(database) as connection, denied():
        connection.execute("select * from portal.access_log()")
