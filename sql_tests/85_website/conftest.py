"""A website that nobody has visited yet."""

import pytest

from devstack.testing import Database
from sql_tests.steps import change

FORGET = """
delete from private.rate_limits; delete from website.requests; delete from website.page_views;
delete from website.consents; delete from website.day_salts; delete from website.rights_actions;
delete from pgmq.q_website
"""


@pytest.fixture
def site(database: Database) -> Database:
    """The module's database with all counters at zero and nothing kept of anybody."""
    for statement in FORGET.split(";"):
        change(database, statement)
    return database
