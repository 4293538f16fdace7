"""Parts of the local stack on their own: a database as a fresh project has it, and one application."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from devstack import database as databases
from devstack import keys
from devstack.config import GatewayConfig, free_port
from devstack.postgres import Cluster
from devstack.testing import Database

Serve = Callable[[Callable[[GatewayConfig], Starlette]], str]


@pytest.fixture(scope="session")
def bare_template(postgres: Cluster) -> str:
    name = "bare_template"
    databases.bootstrap(postgres)
    databases.create_database(postgres, name)
    databases.bootstrap(postgres, name)
    return name


@pytest.fixture(scope="module")
def bare(request: pytest.FixtureRequest, postgres: Cluster, bare_template: str) -> Iterator[Database]:
    """A project without migrations."""
    name = "bare_" + request.module.__name__.rsplit(".", 1)[-1]
    databases.clone(postgres, bare_template, name)
    yield Database(postgres, name)
    databases.drop_database(postgres, name)


@pytest.fixture(scope="module")
def config(bare: Database, tmp_path_factory: pytest.TempPathFactory) -> GatewayConfig:
    data_dir: Path = tmp_path_factory.mktemp("devstack")
    return GatewayConfig(bare.conninfo("supabase_admin"), "", keys.generate(), data_dir)


@pytest.fixture(scope="module")
def serve(config: GatewayConfig) -> Iterator[Serve]:
    """Start one part of the gateway; gives its address."""
    with ExitStack() as running:
        yield lambda create_app: running.enter_context(_served(create_app(config)))


@contextmanager
def _served(app: Starlette) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
