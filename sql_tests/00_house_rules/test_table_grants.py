"""Who may touch which table and column, frozen: a change here is a change of what somebody may do."""

import os

import pytest

from devstack.testing import Database
from sql_tests.frozen import GOLDEN, grants


@pytest.mark.req("D1", "S2")
def test_who_may_touch_what_is_as_it_was_decided(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        found = "\n".join(grants(connection)) + "\n"
    if os.environ.get("RENEW_GOLDEN") == "1":
        GOLDEN.write_text(found, "utf-8")
    assert found == GOLDEN.read_text("utf-8"), "look at the change, then run with RENEW_GOLDEN=1"
