"""TypeScript's types of the portal, by `supabase gen types`, are as the database is."""

import os
import subprocess
from pathlib import Path

from devstack.config import ROOT

TYPES = ROOT / "portal_contract" / "database.types.ts"


def generated(supabase: Path, db_url: str) -> str:
    """What the Supabase CLI writes, indented by its braces: it leaves that to a formatter."""
    done = subprocess.run(
        [str(supabase), "gen", "types", "--lang", "typescript", "--db-url", db_url, "--schema", "portal"],
        env={**os.environ, "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    types = done.stdout[done.stdout.index("export type Json") :]  # before it: words about the connection
    depth, lines = 0, []
    for line in filter(None, (line.strip() for line in types.splitlines())):
        closes = len(line) - len(line.lstrip("}])"))
        lines.append("  " * max(depth - closes, 0) + line)
        depth += sum(line.count(letter) for letter in "{[(") - sum(line.count(letter) for letter in "}])")
    return "\n".join(lines) + "\n"


def test_the_types_are_as_the_database_is(supabase_cli: Path, portal: dict[str, str]) -> None:
    text = generated(supabase_cli, portal["DB_URL"])
    if os.environ.get("RENEW_GOLDEN") == "1":
        TYPES.write_text(text, encoding="utf-8")
    assert '"send_message"' in text and '"payment_qr"' in text
    assert TYPES.read_text(encoding="utf-8") == text, f"{TYPES.name} is stale: run with RENEW_GOLDEN=1"
