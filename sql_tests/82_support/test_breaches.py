"""Breaches: recorded by Autexor, told to whom they concern, frozen as told, confirmed by the garage."""

import json
from typing import Any

import pytest

from devstack.testing import Database
from sql_tests import support
from sql_tests.cast import ADA, CARLA, NOORD, OLGA, OTTO, RITA, ZUID
from sql_tests.steps import change, denied, look, one, refused

pytestmark = pytest.mark.req("G8")

NOTICES = "select * from public.breach_notices where breach_id = %s order by version"


def facts(**changes: object) -> str:
    return json.dumps({**json.loads(support.BREACH), **changes})


def notices(database: Database, breach: str, who: Any = OLGA) -> list[dict[str, Any]]:
    with who.acting(database) as connection:
        return connection.execute(NOTICES, (breach,)).fetchall()


def test_a_garage_is_told_the_facts_of_the_law_with_its_own_numbers(database: Database) -> None:
    breach = support.record_breach(database)
    assert support.tell(database, breach) == 2
    for owner, garage in ((OLGA, NOORD), (OTTO, ZUID)):
        (notice,) = notices(database, breach, owner)
        told = notice["facts"]
        count = "select count(*) from public.customers where garage_id = %s"
        assert told["records"] == {
            "public.customers": look(database, count, garage),
            "public.messages": look(database, count.replace("customers", "messages"), garage),
        }
        assert told["title"] == "Lost laptop" and told["measures"] == "Keys revoked"
        assert told["noticed_at"].startswith("2026-11-02T09:00:00") and told["subject_count"] == 3
        assert (str(notice["garage_id"]), notice["version"], notice["acknowledged_at"]) == (garage, 1, None)


@pytest.mark.req("G6")
def test_the_kinds_of_data_come_from_the_comments_of_the_columns(database: Database) -> None:
    breach = support.record_breach(database)
    support.tell(database, breach, NOORD)
    (notice,) = notices(database, breach)
    kinds = """
    select array(select distinct substring(col_description(a.attrelid, a.attnum) from '^personal\\(([a-z]+);')
                   from pg_attribute a where a.attrelid in ('public.customers'::regclass,
                       'public.messages'::regclass) and a.attnum > 0
                    and col_description(a.attrelid, a.attnum) ~ '^personal' order by 1)
    """
    assert notice["facts"]["categories"] == look(database, kinds)
    assert {"contact", "name"} <= set(notice["facts"]["categories"])
    assert "customer" in notice["facts"]["subjects"]
    secret = support.record_breach(database, facts(tables=["private.portal_credentials"]))
    support.tell(database, secret, NOORD)
    assert "secret" in notices(database, secret)[0]["facts"]["categories"]


def test_what_is_known_later_is_told_again_and_what_was_told_stays(database: Database) -> None:
    breach = support.record_breach(database)
    support.tell(database, breach)
    with ADA.acting(database) as connection:
        change_breach = "select public.change_breach(%s, %s)"
        connection.execute(change_breach, (breach, '{"consequences": "Phishing", "subject_count": 9}'))
        connection.commit()
    support.tell(database, breach, NOORD)
    first, second = notices(database, breach)
    assert (first["facts"]["consequences"], second["facts"]["consequences"]) == ("", "Phishing")
    assert (first["facts"]["subject_count"], second["facts"]["subject_count"]) == (3, 9)
    assert len(notices(database, breach, OTTO)) == 1
    for statement in (
        "update public.breach_notices set facts = '{}'", "update public.breach_notices set told_at = now()",
        "delete from public.breach_notices", "truncate public.breach_notices cascade",
    ):  # fmt: skip
        with database.connect() as connection, refused("notice_is_frozen", 409):
            connection.execute("set local session_replication_role = replica")
            connection.execute(statement.encode())


def test_a_garage_confirms_once_and_only_its_own(database: Database) -> None:
    breach = support.record_breach(database)
    support.tell(database, breach)
    (notice,) = notices(database, breach)
    call = "select (public.acknowledge_breach(%s)).acknowledged_at"
    with RITA.acting(database) as connection, refused("permission_missing", 403):
        connection.execute(call, (notice["id"],))
    with OTTO.acting(database) as connection, refused("notice_not_found", 404):
        connection.execute(call, (notice["id"],))
    with OLGA.acting(database) as connection:
        first = one(connection, call, notice["id"])
        assert one(connection, call, notice["id"]) == first  # again is no change
        connection.commit()
    (notice,) = notices(database, breach)
    assert (notice["acknowledged_at"], str(notice["acknowledged_by"])) == (first, OLGA.claims["sub"])
    with ADA.acting(database) as connection:
        scope = {
            row["trade_name"]: row["acknowledged_at"]
            for row in connection.execute("select * from public.breach_scope(%s)", (breach,))
        }
    assert scope == {"Garage Noord": first, "Garage Zuid": None}
    with database.connect() as connection, refused("notice_is_frozen", 409):
        connection.execute("update public.breach_notices set acknowledged_at = null, acknowledged_by = null")


@pytest.mark.req("D1")
def test_nobody_but_owners_and_managers_reads_what_a_garage_was_told(database: Database) -> None:
    breach = support.record_breach(database)
    support.tell(database, breach, ZUID)
    assert (len(notices(database, breach, OTTO)), notices(database, breach)) == (1, [])
    assert notices(database, breach, RITA) == notices(database, breach, ADA) == []
    with CARLA.actor.acting(database) as connection, denied():
        connection.execute(NOTICES, (breach,))
    for actor in (OLGA, ADA):
        with actor.acting(database) as connection, denied():
            connection.execute("select * from private.breaches")


@pytest.mark.parametrize(
    "call",
    [
        "record_breach(%(facts)s)", "change_breach(%(breach)s, %(changes)s)", "list_breaches()",
        "breach_scope(%(breach)s)", "tell_garages(%(breach)s)",
    ],
)  # fmt: skip
def test_the_register_is_for_operators(database: Database, call: str) -> None:
    statement = f"select * from public.{call}".encode()
    values = {"breach": support.record_breach(database), "facts": facts(), "changes": '{"subject_count": 9}'}
    for somebody in (
        OLGA,
        RITA,
        support.granted(database, is_read_only=False).but("sub", sub=OLGA.claims["sub"]),
    ):
        with somebody.acting(database) as connection, refused("operator_required", 403):
            connection.execute(statement, values)
    with ADA.acting(database) as connection:
        row = connection.execute(statement, values).fetchone()
        assert row is not None and next(iter(row.values()))
    support.forget(database)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": ""}, "facts_missing"),
        ({"nature": "short"}, "facts_missing"),
        ({"tables": []}, "facts_missing"),
        ({"noticed_at": None}, "facts_missing"),
        ({"subject_count": -1}, "facts_missing"),
        ({"began_at": "2026-12-24T00:00:00Z"}, "facts_missing"),
        ({"tables": ["public.nothing"]}, "table_unknown"),
        ({"tables": ["auth.users"]}, "table_unknown"),
        ({"tables": ["private.modules"]}, "table_unknown"),
        ({"tables": ["public.customers; drop table public.customers"]}, "table_unknown"),
        ({"recorded_by": None}, "fact_unknown"),
    ],
)
def test_a_breach_without_its_facts_is_refused(
    database: Database, changes: dict[str, object], code: str
) -> None:
    with ADA.acting(database) as connection, refused(code):
        connection.execute("select public.record_breach(%s)", (facts(**changes),))
    with ADA.acting(database) as connection:
        connection.execute("select public.record_breach(%s)", (facts(),))


def test_a_closed_breach_stays_as_it_is(database: Database) -> None:
    breach = support.record_breach(database)
    with ADA.acting(database) as connection:
        connection.execute(
            "select public.change_breach(%s, %s)", (breach, '{"closed_at": "2026-11-20T00:00:00Z"}')
        )
        with refused("breach_closed", 409):
            connection.execute("select public.change_breach(%s, %s)", (breach, '{"measures": "none"}'))


def test_garages_without_such_rows_are_not_concerned(database: Database) -> None:
    breach = support.record_breach(database, facts(tables=["public.work_orders"]))
    change(database, "update private.breaches set noticed_at = noticed_at")
    with ADA.acting(database) as connection, refused("nobody_to_tell"):
        connection.execute("select public.tell_garages(%s)", (breach,))
    with ADA.acting(database) as connection:
        assert one(connection, "select public.tell_garages(%s, array[%s]::uuid[])", breach, NOORD) == 1


def test_a_breach_goes_ten_years_after_it_was_closed_and_never_before_its_notices(database: Database) -> None:
    untold, told, still_open = (support.record_breach(database) for _ in "123")
    support.tell(database, told, NOORD)
    closed = "update private.breaches set closed_at = now() where id = any (%s::uuid[])"
    change(database, closed, [untold, told])
    gone = "select private.purge_breaches(now() + make_interval(years => %s)) ->> 'breaches'"
    assert look(database, gone, 9) == "0"
    assert look(database, gone, 11) == "1"
    left = "select array_agg(id::text) from private.breaches where id = any (%s::uuid[])"
    assert set(look(database, left, [untold, told, still_open])) == {told, still_open}
