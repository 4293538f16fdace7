"""The migrations and the house rules on the official Postgres images, where a Docker engine answers."""

import gc
import warnings
from collections.abc import Iterator
from dataclasses import replace

import docker
import psycopg
import pytest
from docker.errors import DockerException
from psycopg.rows import dict_row
from testcontainers.community.postgres import PostgresContainer

from devstack import database as databases
from devstack.config import DB_PASSWORD, SUPERUSER
from devstack.postgres import Cluster
from sql_tests.house_rules import RULES

IMAGES = ("postgres:15", "postgres:17")


def engine_answers() -> bool:
    """Whether a Docker engine can be reached."""
    try:
        docker.from_env(timeout=5).close()
    except DockerException:
        return False
    return True


@pytest.fixture(params=IMAGES)
def image_cluster(request: pytest.FixtureRequest, postgres: Cluster) -> Iterator[Cluster]:
    """A cluster in a container, with the settings that the local one has."""
    with warnings.catch_warnings():
        # The client leaves a socket behind when nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        is_there = engine_answers()
        gc.collect()
    if not is_there:
        pytest.skip("No Docker engine answers on this machine: the SQL was not tried on the official images")
    container = PostgresContainer(request.param, username=SUPERUSER, password=DB_PASSWORD, dbname="postgres")
    with container.with_command("postgres -c wal_level=logical") as running:
        yield replace(postgres, port=int(running.get_exposed_port(5432)))


def test_migrations_and_house_rules_hold_on_the_image(image_cluster: Cluster) -> None:
    databases.bootstrap(image_cluster)
    owner = image_cluster.conninfo("postgres")
    assert databases.apply_migrations(owner)
    databases.apply_seeds(owner)
    with psycopg.connect(owner, row_factory=dict_row) as connection:
        assert {rule.fact: rule.broken_by(connection) for rule in RULES} == {rule.fact: [] for rule in RULES}
