"""The isolation matrix, run once for all tests about it; its counts are told at the end."""

from collections.abc import Iterator

import pytest

from devstack.config import SUPERUSER
from devstack.testing import Connection, Database
from sql_tests import matrix
from sql_tests.matrix.report import Report

REPORT = pytest.StashKey[Report]()


@pytest.fixture(scope="session")
def matrix_report(busy_database: Database, pytestconfig: pytest.Config) -> Report:
    """What the whole matrix found in the busy database."""
    with busy_database.connect(SUPERUSER) as connection:
        report = matrix.run(connection)
        connection.rollback()
    pytestconfig.stash[REPORT] = report
    return report


@pytest.fixture
def superuser(busy_database: Database) -> Iterator[Connection]:
    """The superuser's transaction in the busy database, rolled back."""
    with busy_database.connect(SUPERUSER) as connection:
        yield connection
        connection.rollback()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many cells the matrix tried, and how many prove nothing."""
    report = config.stash.get(REPORT, None)
    if report is not None:
        terminalreporter.write_line(report.summary)
