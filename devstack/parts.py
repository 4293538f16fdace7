"""The processes of a stack beside PostgreSQL: how each is called, and how to see that it answers."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from devstack import postgrest
from devstack.binaries import find_postgrest
from devstack.certificates import Certificates
from devstack.config import HOST, Settings, State, conninfo
from devstack.keys import PORTAL_PEPPER, Keys

WORKER_POLL_SECONDS = 30
SENDGRID_KEY = "SG.devstack-0000000000000.devstack-000000000000000000000000000000000"


@dataclass(frozen=True)
class Part:
    """One process; `health` is an address that answers 200 once it is ready (empty: nothing to ask)."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: str = ""


def parts(settings: Settings, state: State, keys: Keys, *, has_worker: bool) -> list[Part]:
    """The parts of a stack, the gateway first."""
    edge = [_edge(settings, state, keys)] if not state.is_bare else []
    worker = [_worker(settings, state, keys)] if has_worker and not state.is_bare else []
    return [_gateway(settings), _postgrest(state, keys), *edge, *worker]


def product_environment(settings: Settings, state: State, keys: Keys) -> dict[str, str]:
    """The settings of the worker and the edge against this stack."""
    api_url, db_port = f"http://{HOST}:{state.ports['gateway']}", state.ports["postgres"]
    return {
        "AUTEXOR_ENVIRONMENT": "devstack",
        "AUTEXOR_SUPABASE_URL": api_url,
        "AUTEXOR_DATABASE_URL": conninfo(db_port, "worker"),
        "AUTEXOR_SERVICE_ROLE_KEY": keys.service_role_key,
        "AUTEXOR_SENDGRID_API_KEY": SENDGRID_KEY,
        "AUTEXOR_SENDGRID_URL": f"{api_url}/sandbox/sendgrid",
        "AUTEXOR_SENDGRID_WEBHOOK_KEY": keys.webhook_public_key,
        "AUTEXOR_TWILIO_URL": f"{api_url}/sandbox/twilio",
        "AUTEXOR_SMTP_CA_FILE": str(Certificates(settings.paths.tls).authority),
        "AUTEXOR_EXPO_URL": f"{api_url}/sandbox/expo",
        "AUTEXOR_PORTAL_URL": f"{api_url}/portal",
        "AUTEXOR_EDGE_DATABASE_URL": conninfo(db_port, "edge"),
        "AUTEXOR_ANON_KEY": keys.anon_key,
        "AUTEXOR_PORTAL_SIGNING_KEYS": json.dumps({"keys": list(keys.portal_keys)}),
        "AUTEXOR_PORTAL_PEPPER": PORTAL_PEPPER,
        "AUTEXOR_EDGE_PORT": str(state.ports["edge"]),
        "AUTEXOR_TRUSTED_PROXIES": HOST,
    }


def _postgrest(state: State, keys: Keys) -> Part:
    address = postgrest.Address(state.ports["postgrest"], state.ports["postgrest_admin"])
    db_url = conninfo(state.ports["postgres"], "authenticator")
    schemas = "public" if state.is_bare else postgrest.EXPOSED
    environment = postgrest.environment(db_url, address, keys, schemas)
    return Part("postgrest", (str(find_postgrest()),), environment, address.ready_url)


def _gateway(settings: Settings) -> Part:
    environment = {"DEVSTACK_DIR": str(settings.data_dir), "DEVSTACK_PORT": str(settings.port)}
    health = f"http://{HOST}:{settings.port}/auth/v1/health"
    return Part("gateway", (sys.executable, "-m", "devstack.gateway"), _python(environment), health)


def _edge(settings: Settings, state: State, keys: Keys) -> Part:
    command = (sys.executable, "-m", "workers", "edge")
    health = f"http://{HOST}:{state.ports['edge']}/health"
    return Part("edge", command, _python(product_environment(settings, state, keys)), health)


def _worker(settings: Settings, state: State, keys: Keys) -> Part:
    # Polling this rarely, a worker that is quick has been woken by the doorbell.
    product = product_environment(settings, state, keys)
    environment = {**product, "AUTEXOR_POLL_SECONDS": str(WORKER_POLL_SECONDS)}
    return Part("worker", (sys.executable, "-m", "workers"), _python(environment))


def _python(environment: dict[str, str]) -> dict[str, str]:
    """The caller's environment without settings of another installation, and ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTEXOR_")}
    return {**inherited, "PYTHONUNBUFFERED": "1", **environment}
