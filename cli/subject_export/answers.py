"""Answering a request: the archive with its evidence, and the plan of an erasure."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supabase import Client

from cli.errors import Misuse
from cli.lookups import Record
from cli.output import progress_bar, tell
from cli.subject_export import archive
from cli.subject_export.source import ApiSource


def export(client: Client, request_id: str, to: Path) -> Record:
    """Write the archive and leave the evidence. Raises Misuse when there is something already."""
    if to.exists():
        raise Misuse("file_exists", f"{to} is there already", "nothing is overwritten", "Choose another name")
    source = ApiSource(client, request_id)
    export = source.export()
    total = sum(table["rows"] for table in export["tables"]) + len(export["files"])
    today = datetime.now(UTC).date()
    with progress_bar("Collecting", total) as advance:
        written = archive.write(source, to, advance, export, today)
    request = source.finish(written.sha256, written.counts)
    for name in written.missing:
        tell(f"{name} could not be read: it is missing in the archive, whose index says so.", style="yellow")
    return {"file": str(to), "sha256": written.sha256, "status": request["status"], **written.counts}


def erasure_plan(client: Client, request_id: str) -> Record:
    """The plan: its hash, what it does row by row, counts, and what providers hold."""
    answer: Any = client.rpc("erasure_plan", {"request_id": request_id}).execute().data
    return dict(answer)


def tell_plan(plan: Record) -> None:
    """Say what a plan comes to, and what providers hold."""
    for table, actions in sorted(plan["counts"].items()):
        tell(f"{table}: " + ", ".join(f"{action} {number}" for action, number in sorted(actions.items())))
    for provider in plan["providers"]:
        tell(
            f"{provider['provider']} was handed {provider['messages']} message(s): what it holds ends with"
            " its own retention, or by a request to it."
        )
