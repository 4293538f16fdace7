"""Supabase's own advisors, as its command line runs them, have nothing to say about this database."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from devstack.config import ROOT
from devstack.testing import Database

# Nothing of this may leave the machine: whatever it would send goes to a port where nobody listens.
QUIET = {"DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1", "HTTPS_PROXY": "http://127.0.0.1:9"}
CARELESS = """
create table public.careless (id int primary key);
grant select on public.careless to anon;
create function public.careless() returns int language sql as 'select 1';
"""


def advice(supabase: Path, database: Database, home: Path) -> list[str]:
    """The names of everything from a warning upwards."""
    command = [str(supabase), "db", "advisors", f"--remote={database.conninfo()}", "--level", "warn"]
    done = subprocess.run(
        [*command, "--output-format", "json", "--agent", "no"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **QUIET},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: object = json.loads(done.stdout)
    return sorted(str(name) for name in _names(found))


def _names(found: object) -> list[object]:
    if isinstance(found, dict):
        own = [found["name"]] if "name" in found and "level" in found else []
        return own + [name for value in found.values() for name in _names(value)]
    return [name for value in found for name in _names(value)] if isinstance(found, list) else []


@pytest.mark.req("D1", "S2")
def test_the_advisors_see_no_error_and_no_warning(
    supabase_cli: Path, busy_database: Database, tmp_path: Path
) -> None:
    assert advice(supabase_cli, busy_database, tmp_path) == []


def test_the_advisors_would_say_so(supabase_cli: Path, fresh_database: Database, tmp_path: Path) -> None:
    with fresh_database.connect() as connection:
        connection.execute(CARELESS)
    found = set(advice(supabase_cli, fresh_database, tmp_path))
    assert {"rls_disabled_in_public", "function_search_path_mutable"} <= found
