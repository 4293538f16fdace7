"""What the privacy policy says stays on the customer's phone has no place in the schema."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.house_rules import RULES

BIOMETRICS = next(rule for rule in RULES if rule.fact == "no column could hold biometric data")
REMEMBERED = """
select attrelid::regclass || '.' || attname as name from pg_catalog.pg_attribute
 where attrelid in (
        select oid from pg_catalog.pg_class
         where relnamespace::regnamespace::text in ('public', 'private', 'portal'))
   and attname ~ 'remember'
"""


def remembered(connection: Connection) -> list[str]:
    return [row["name"] for row in connection.execute(REMEMBERED)]


@pytest.mark.req("P7")
def test_biometrics_have_no_place(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        assert BIOMETRICS.broken_by(connection) == []
        connection.execute("alter table public.portal_devices add column face_template bytea")
        assert BIOMETRICS.broken_by(connection) != []
        connection.rollback()


@pytest.mark.req("P2")
def test_a_remembered_email_has_no_place(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        assert remembered(connection) == []
        connection.execute("alter table public.portal_devices add column remembers_email boolean")
        assert remembered(connection) == ["portal_devices.remembers_email"]
        connection.rollback()
