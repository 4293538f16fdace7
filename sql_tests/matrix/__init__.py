"""The isolation matrix: everything there is x everybody x everything they could try.

A library, so that it can be run on any database: `run` answers a report and decides nothing. What there is
comes from the catalogue, what was decided from `rights.py`, and what is decided nowhere is closed.
"""

from devstack.testing import Connection
from sql_tests.matrix import calls, events, files, keys, modules, tables
from sql_tests.matrix.report import Report
from sql_tests.matrix.world import World

PARTS = (tables, modules, keys, files, events, calls)


def run(connection: Connection) -> Report:
    """The whole matrix, on a superuser's connection with a transaction that the caller rolls back."""
    return try_all(World.of(connection))


def try_all(world: World) -> Report:
    """All parts, in a world that is ready."""
    for part in PARTS:
        part.run(world)
    return world.report
