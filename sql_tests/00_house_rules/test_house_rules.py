"""The house rules over the catalogue of the migrated database, and proof that each would notice."""

import pytest

from devstack.testing import Database
from sql_tests.house_rules import RULES, Rule


def named(rule: Rule) -> str:
    return rule.fact.replace(" ", "_").replace(",", "").replace("'", "")


MARKED = [
    pytest.param(rule, id=named(rule), marks=[pytest.mark.req(*rule.shows)] if rule.shows else [])
    for rule in RULES
]


@pytest.mark.parametrize("rule", MARKED)
def test_rule_holds(rule: Rule, busy_database: Database) -> None:
    with busy_database.connect() as connection:
        assert rule.broken_by(connection) == []


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_rule_notices(rule: Rule, busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute(rule.breaking.encode())
        assert rule.broken_by(connection) != []
        connection.rollback()
