"""A database for tests of the portal: nobody locked out, and Carla signed in."""

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, NOORD, Actor
from sql_tests.steps import change, sign_in

FORGET = "delete from private.rate_limits"
MODULES = "update public.garage_modules set is_enabled = true where garage_id = %s"


@pytest.fixture
def calm(database: Database) -> Database:
    """The module's database with all counters at zero and every module switched on."""
    change(database, FORGET)
    change(database, MODULES, NOORD)
    return database


@pytest.fixture
def fresh_session(calm: Database) -> tuple[Database, Actor]:
    """The module's database, and Carla in a session of hers there."""
    session, _ = sign_in(calm, CARLA)
    return calm, CARLA.with_session(session["session_id"])
