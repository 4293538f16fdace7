"""Auth on its own, with the settings a test asks for."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from devstack import database as databases
from devstack import keys
from devstack.auth import passwords
from devstack.config import HOST, SUPERUSER, GatewayConfig, free_port
from devstack.postgres import Cluster
from devstack.sandbox.store import Store
from devstack.testing import Database
from tests.devstack.auth.steps import PASSWORD, Service, address, serving

CONFIRMING = """
[auth]
site_url = "https://dms.test"
additional_redirect_urls = ["https://*.garage.test/**", "autexor://login"]
enable_anonymous_sign_ins = true
[auth.email]
enable_confirmations = true
max_frequency = "0s"
"""

HOOK = """
create function public.test_hook(event jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    select case event #>> '{claims,user_metadata,wish}'
        when 'refuse' then '{"error": {"http_code": 403, "message": "Not today"}}'::jsonb
        when 'nothing' then '{}'::jsonb
        when 'broken' then '{"claims": {"sub": "x"}}'::jsonb
        else pg_catalog.jsonb_set(event, '{claims,garage_id}', '"noord"')
    end
$$;
revoke execute on function public.test_hook(jsonb) from public, anon, authenticated, service_role;
grant usage on schema public to supabase_auth_admin;
grant execute on function public.test_hook(jsonb) to supabase_auth_admin;
"""
Start = Callable[[str | None], Service]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def start(postgres: Cluster, bare_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts an Auth with that config.toml (None: a new project's settings) and a hook for its tokens."""
    with ExitStack() as running:
        http = running.enter_context(httpx.Client())
        running.enter_context(pytest.MonkeyPatch.context()).setattr(passwords, "COST", 4)

        def begin(config_toml: str | None) -> Service:
            name, port, folder = f"auth_{next(_numbers)}", free_port(), tmp_path_factory.mktemp("auth")
            databases.clone(postgres, bare_template, name)
            running.callback(databases.drop_database, postgres, name)
            database, secrets = Database(postgres, name), keys.generate()
            with database.connect() as conn:
                conn.execute(HOOK)
            config_file = folder / "config.toml" if config_toml is not None else None
            if config_file:
                config_file.write_text(config_toml or "")
            config = GatewayConfig(
                postgres.conninfo(SUPERUSER, name),
                f"http://{HOST}:{port}",
                secrets,
                folder,
                access_token_hook="public.test_hook",
                config_file=config_file,
            )
            running.enter_context(serving(config, port))
            inbox = Store(folder / "sandbox")
            running.callback(inbox.close)
            return Service(f"http://{HOST}:{port}/auth/v1", secrets, database, http, inbox)

        yield begin


@pytest.fixture(scope="module")
def service(start: Start) -> Service:
    """Addresses are confirmed; mails may follow one another at once."""
    return start(CONFIRMING)


@pytest.fixture
def new_user(service: Service) -> Callable[..., str]:
    """Makes a confirmed user, as an administrator; returns the e-mail address."""

    def make(**metadata: str) -> str:
        email = address()
        service.admin().create_user(
            {"email": email, "password": PASSWORD, "email_confirm": True, "user_metadata": metadata}
        )
        return email

    return make
