"""The supervisor: start, stop, kill -9 of any part, and what it says when it cannot start."""

import contextlib
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from supabase import create_client
from supabase.lib.client_options import SyncClientOptions

from devstack import processes
from devstack.config import HOST, ROOT, Settings, State, access_token_hook, free_port, is_free
from devstack.database import MIGRATIONS as MIGRATION_FILES
from devstack.database import SERVICE_ROLES
from devstack.errors import StackError
from devstack.stack import Stack, running

MIGRATIONS = "\n".join(file.read_text() for file in MIGRATION_FILES.glob("*.sql"))
NOTES = """
create table public.notes (owner uuid primary key default auth.uid(), text text);
alter table public.notes enable row level security;
grant select, insert on public.notes to authenticated;
create policy all_own on public.notes for all to authenticated using (owner = (select auth.uid()));
notify pgrst, 'reload schema';
"""
PARTS = ("postgres", "postgrest", "gateway")


@pytest.fixture(scope="module")
def bare(scratch: Path) -> Iterator[Stack]:
    """The platform alone."""
    with running(Settings(data_dir=scratch / "bare stack", port=free_port()), is_bare=True) as stack:
        yield stack


@pytest.mark.req("S1")
@pytest.mark.parametrize("kind", ["TLS", "STARTTLS"])
def test_its_mail_server_is_known_by_its_own_authority_alone(bare: Stack, kind: str) -> None:
    environment = bare.environment()
    port = int(environment[f"SMTP_{kind}_PORT"])
    trusting = ssl.create_default_context(cafile=environment["AUTEXOR_SMTP_CA_FILE"])

    def greet(context: ssl.SSLContext) -> int:
        if kind == "TLS":
            with smtplib.SMTP_SSL("localhost", port, context=context) as client:
                return client.ehlo()[0]
        with smtplib.SMTP("localhost", port) as client:
            client.starttls(context=context)
            return client.ehlo()[0]

    assert greet(trusting) == 250
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(ssl.create_default_context())


def pids(stack: Stack) -> dict[str, int]:
    return {part["part"]: part["pid"] for part in stack.status()["parts"]}


def rest_answers(stack: Stack) -> bool:
    """Whether a request gets through gateway and PostgREST to the database."""
    environment = stack.environment()
    headers = {"apikey": environment["SERVICE_ROLE_KEY"]}
    with contextlib.suppress(httpx.TransportError):
        answer = httpx.get(f"{stack.api_url}/rest/v1/", headers=headers)
        return answer.status_code == 200
    return False


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_stack_says_where_it_is_and_its_parts_run(bare: Stack) -> None:
    status = bare.status()
    assert status["is_up"] and status["api_url"] == bare.api_url
    assert {part["part"]: part["state"] for part in status["parts"]} == dict.fromkeys(
        ("supervisor", *PARTS), "running"
    )
    environment = bare.environment()
    with psycopg.connect(environment["DB_URL"]) as conn:
        assert conn.execute("select current_user").fetchone() == ("postgres",)
    assert rest_answers(bare)


def test_an_api_key_alone_is_the_token_of_its_role(bare: Stack) -> None:
    environment = bare.environment()
    with psycopg.connect(environment["DB_URL"]) as conn:
        conn.execute("create or replace function public.who() returns text return current_user")
        conn.execute("notify pgrst, 'reload schema'")
    url = f"{bare.api_url}/rest/v1/rpc/who"
    eventually(lambda: httpx.get(url).status_code == 200)
    assert httpx.get(url).json() == "anon"
    assert httpx.get(url, headers={"apikey": environment["SERVICE_ROLE_KEY"]}).json() == "service_role"
    assert httpx.get(url, params={"apikey": environment["SERVICE_ROLE_KEY"]}).json() == "service_role"
    both = {
        "apikey": environment["SERVICE_ROLE_KEY"],
        "Authorization": f"Bearer {environment['ANON_KEY']}",
    }
    assert httpx.get(url, headers=both).json() == "anon"


def test_a_bare_stack_has_nothing_of_ours(bare: Stack) -> None:
    ours = {*re.findall(r"create schema (?:if not exists )?(\w+)", MIGRATIONS), "portal", "private", "audit"}
    roles = {*re.findall(r"create role (\w+)", MIGRATIONS), *SERVICE_ROLES}
    with psycopg.connect(bare.environment()["DB_URL"]) as conn:
        schemas = {row[0] for row in conn.execute("select nspname from pg_namespace")}
        assert {"auth", "storage", "realtime", "extensions", "vault"} <= schemas and not ours & schemas
        assert not roles & {row[0] for row in conn.execute("select rolname from pg_roles")}
        assert not conn.execute("select from auth.users union all select from storage.buckets").rowcount
    headers = {"apikey": bare.environment()["ANON_KEY"], "Accept-Profile": "portal"}
    refusal = httpx.get(f"{bare.api_url}/rest/v1/invoices", headers=headers)
    assert (refusal.status_code, refusal.json()["code"]) == (406, "PGRST106")


@pytest.mark.filterwarnings("ignore:The '.*' parameter is deprecated:DeprecationWarning")
def test_the_official_client_works_against_a_bare_stack(bare: Stack) -> None:
    environment = bare.environment()
    with psycopg.connect(environment["DB_URL"], autocommit=True) as conn:
        conn.execute(NOTES)
    with httpx.Client() as http:
        options = SyncClientOptions(httpx_client=http, auto_refresh_token=False)
        admin = create_client(environment["API_URL"], environment["SERVICE_ROLE_KEY"], options)
        admin.auth.admin.create_user({"email": "a@b.test", "password": "a-password", "email_confirm": True})
        admin.storage.create_bucket("files")
        admin.storage.from_("files").upload("a.txt", b"a")
        options = SyncClientOptions(httpx_client=http, auto_refresh_token=False)
        client = create_client(environment["API_URL"], environment["ANON_KEY"], options)
        user = client.auth.sign_in_with_password({"email": "a@b.test", "password": "a-password"}).user
        eventually(lambda: httpx.get(f"{bare.api_url}/rest/v1/notes").status_code != 404)
        rows = client.table("notes").insert({"text": "mine"}).execute().data
        assert user and rows == [{"owner": user.id, "text": "mine"}]
        assert admin.storage.from_("files").download("a.txt") == b"a"


def test_a_stack_with_our_migrations_is_never_called_bare(scratch: Path) -> None:
    settings = Settings(data_dir=scratch / "not bare", port=free_port())
    State(postgres_dir=str(scratch / "not bare" / "postgres")).save(_made(settings.data_dir) / "state.json")
    with pytest.raises(StackError, match="is not a bare one") as error, running(settings, is_bare=True):
        pass
    assert error.value.code == "stack_not_bare"


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@pytest.mark.parametrize("text", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none_is_explained(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DEVSTACK_PORT", text)
    with pytest.raises(StackError, match="which is no port"):
        Settings.from_env()


def test_a_port_that_only_administrators_may_open_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(StackError, match="Port 80 is closed to you"):
        is_free(80)


def test_the_command_line_loads_no_client_to_look_at_a_stack() -> None:
    code = (
        "import sys; from cli.main import app; app(['stack', 'status'], standalone_mode=False)\n"
        "sys.exit(','.join({'supabase', 'realtime', 'postgrest', 'httpx', 'psycopg'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert not done.stderr.strip(), done.stderr


def test_browsers_of_any_origin_may_call_with_any_header(bare: Stack) -> None:
    origin = {"Origin": "https://portal.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "apikey,prefer"}
    preflight = httpx.options(f"{bare.api_url}/rest/v1/things", headers={**origin, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "apikey" in preflight.headers["access-control-allow-headers"]
    answer = httpx.get(f"{bare.api_url}/rest/v1/", headers=origin)
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "Content-Range" in answer.headers["access-control-expose-headers"]


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_is_started_again_and_counted(bare: Stack, part: str) -> None:
    before = pids(bare)[part]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pids(bare)[part] != before and rest_answers(bare))
    found = next(entry for entry in bare.status()["parts"] if entry["part"] == part)
    assert (found["state"], found["restarts"]) == ("running", 1)
    log = (bare.settings.paths.logs / "supervisor.log").read_text()
    assert f"{part} ended with -9: starting it again" in log


@pytest.mark.slow
def test_a_killed_supervisor_leaves_nothing_that_up_cannot_clear(bare: Stack) -> None:
    before, state = pids(bare), State.load(bare.settings.paths.state)
    os.kill(before["supervisor"], signal.SIGKILL)
    eventually(lambda: not bare.is_up)
    bare.up(is_bare=True)
    assert rest_answers(bare)
    assert not set(before.values()) & set(pids(bare).values())
    for part in state.parts.values():
        assert processes.born(part.pid) != part.born


@pytest.mark.slow
def test_data_is_kept_between_runs_and_down_leaves_no_process(bare: Stack) -> None:
    state, environment = State.load(bare.settings.paths.state), bare.environment()
    with psycopg.connect(environment["DB_URL"]) as conn:
        conn.execute("create table public.kept ()")
    bare.down()
    assert not bare.status()["is_up"]
    for part in state.parts.values():
        assert processes.born(part.pid) != part.born
    bare.up(is_bare=True)
    assert bare.environment() == environment
    with psycopg.connect(environment["DB_URL"]) as conn:
        assert conn.execute("select to_regclass('public.kept') is not null").fetchone() == (True,)


@pytest.mark.slow
def test_a_part_killed_after_a_stop_by_its_supervisor_is_not_restarted(bare: Stack) -> None:
    supervisor = pids(bare)["supervisor"]
    os.kill(supervisor, signal.SIGINT)
    eventually(lambda: not bare.is_up)
    assert is_free(bare.settings.port)
    bare.up(is_bare=True)


def test_a_second_start_is_the_same_stack(bare: Stack) -> None:
    before = pids(bare)
    bare.up(is_bare=True)
    assert pids(bare) == before


def test_a_second_supervisor_in_one_directory_is_refused(bare: Stack) -> None:
    other = Stack(replace(bare.settings, port=free_port()))
    done = subprocess.run(
        other.supervisor_command(is_bare=True, has_worker=False),
        env=other.supervisor_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "A stack already runs in" in done.stderr
    assert bare.status()["is_up"]


def test_a_port_in_use_is_explained(scratch: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(StackError, match=f"Port {port} is already in use") as error,
            running(Settings(data_dir=scratch / "no port", port=port), is_bare=True),
        ):
            pass
    assert "DEVSTACK_PORT=" in error.value.fix
    assert error.value.code == "port_in_use"


def test_an_unknown_stack_has_no_settings_yet(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="There is no stack in"):
        Stack(Settings(data_dir=tmp_path, port=free_port())).environment()


def test_emptying_leaves_foreign_files_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    (tmp_path / "logs").mkdir()
    Stack(Settings(data_dir=tmp_path, port=free_port())).empty()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_hook_comes_from_the_clis_configuration() -> None:
    assert access_token_hook() == "private.custom_access_token_hook"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The '.*' parameter is deprecated:DeprecationWarning")
def test_the_official_client_signs_in_and_reads_over_the_whole_stack(stack: Stack) -> None:
    environment = stack.environment()
    with httpx.Client() as http:
        options = SyncClientOptions(httpx_client=http, auto_refresh_token=False)
        client = create_client(environment["API_URL"], environment["ANON_KEY"], options)
        client.auth.sign_in_with_password({"email": "rita@garage-noord.test", "password": "autexor-demo"})
        rows = client.table("garages").select("id").execute().data
        client.auth.sign_out()
    assert rows == [{"id": "11111111-0000-4000-8000-000000000001"}]
