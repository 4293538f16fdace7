"""Who looked at what: sign-ins, sign-outs and links, with session and address and without what was typed."""

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, OTTO
from sql_tests.steps import (
    Row,
    change,
    complete,
    digest,
    edge,
    grant_document,
    issued_invoice,
    look,
    refresh,
    reserve,
    sign_in,
    work,
)

pytestmark = pytest.mark.req("D12")

SINCE = "select event, actor, session_id::text as session, subject_id::text as subject, client_ip, user_agent"
SINCE += " from public.access_entries where id > %s order by id"
TYPED = "nobody-typed-this@example.test"


@pytest.fixture
def since(database: Database) -> int:
    change(database, "delete from private.rate_limits")
    return int(look(database, "select coalesce(max(id), 0) from audit.access_entries"))


def seen(database: Database, since: int) -> list[Row]:
    """What the owner of the garage reads of what happened since."""
    with OLGA.acting(database) as connection:
        return connection.execute(SINCE.encode(), (since,)).fetchall()


def test_a_visit_is_told_from_sign_in_to_sign_out(database: Database, since: int) -> None:
    invoice = issued_invoice(database, OLGA, CARLA)
    work(database)
    session, token = sign_in(database, CARLA)
    grant_document(database, CARLA, session["session_id"], invoice["id"], f"nonce {token}")
    refresh(database, CARLA, token, f"{token} 2")
    edge(database, "portal_logout", refresh_token_sha256=digest(f"{token} 2"))
    story = seen(database, since)
    assert [row["event"] for row in story] == ["login", "document_link_issued", "logout"]
    assert {row["actor"] for row in story} == {f"customer:{CARLA.account_id}"}
    assert {row["session"] for row in story} == {session["session_id"]}
    assert [row["subject"] for row in story] == [None, str(invoice["id"]), None]
    assert [str(row["client_ip"]) for row in story[:2]] == ["192.0.2.1", "192.0.2.1"]
    assert [row["user_agent"] for row in story[:2]] == ["tests", "tests"]


def test_failures_name_the_account_if_there_is_one_and_never_what_was_typed(
    database: Database, since: int
) -> None:
    complete(database, reserve(database, CARLA), "no", is_ok=False)
    complete(database, reserve(database, CARLA, login=TYPED), "no", is_ok=False)
    complete(database, reserve(database, CARLA, device_id="unknown"), "no", is_ok=True)
    who = f"customer:{CARLA.account_id}"
    assert [(row["event"], row["actor"], row["session"]) for row in seen(database, since)] == [
        ("login_failed", who, None),
        ("login_failed", "unknown", None),
        ("login_failed", who, None),
    ]
    for table in ("audit.access_entries", "audit.entries", "private.login_attempts", "private.rate_limits"):
        assert look(database, f"select count(*) from {table} t where t::text like %s", f"%{TYPED}%") == 0


def test_a_locked_sign_in_is_logged_as_such(database: Database, since: int) -> None:
    for _ in range(6):
        complete(database, reserve(database, KAREL), "no", is_ok=False)
    events = [row["event"] for row in seen(database, since)]
    assert events == ["login_failed"] * 5 + ["login_locked"]


def test_an_overlong_user_agent_is_cut_and_an_absent_address_is_null(database: Database, since: int) -> None:
    attempt = reserve(database, CARLA, client_ip="", user_agent="x" * 5000)
    complete(database, attempt, "no", is_ok=False)
    (row,) = seen(database, since)
    assert (row["client_ip"], len(row["user_agent"])) == (None, 400)


@pytest.mark.req("D1")
def test_another_garage_reads_nothing_of_it(database: Database, since: int) -> None:
    sign_in(database, CARLA)
    with OTTO.acting(database) as connection:
        assert connection.execute(SINCE.encode(), (since,)).fetchall() == []
    assert [row["event"] for row in seen(database, since)] == ["login"]


def test_the_story_of_an_invoice_tells_who_opened_it(database: Database, since: int) -> None:
    invoice = issued_invoice(database, OLGA, CARLA)
    work(database)
    session, token = sign_in(database, CARLA)
    trace = "select actor, detail from public.trace_invoice(%s) where event = 'document_link_issued'"
    with OLGA.acting(database) as connection:
        assert connection.execute(trace, (invoice["invoice_number"],)).fetchall() == []
    grant_document(database, CARLA, session["session_id"], invoice["id"], f"nonce {token}")
    with OLGA.acting(database) as connection:
        rows = connection.execute(trace, (invoice["invoice_number"],)).fetchall()
    detail = {"session_id": session["session_id"], "client_ip": "192.0.2.1"}
    assert [(row["actor"], row["detail"]) for row in rows] == [(f"customer:{CARLA.account_id}", detail)]
    assert look(database, "select garage_id::text from public.invoices where id = %s", invoice["id"]) == NOORD
