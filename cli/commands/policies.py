"""`autexor policies`: policy files become ordinary migrations, and a check that both agree."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import policy_blocks
from cli.errors import CommandFailed, Misuse
from cli.output import JsonFlag, QuietFlag, emit, tell
from cli.project import MIGRATIONS, POLICIES, ROOT

app = typer.Typer(no_args_is_help=True, help="Compile access policies into migrations, and check them.")

Message = Annotated[str, typer.Option("--message", "-m", help="What changes, in a few words.")]
Timestamp = Annotated[
    str | None, typer.Option(help="YYYYMMDDHHMMSS of the new migration (default: now, after the newest).")
]


@app.command("compile")
def compile_command(
    message: Message, timestamp: Timestamp = None, as_json: JsonFlag = False, quiet: QuietFlag = False
) -> None:
    """Write one migration with the full text of every changed policy file."""
    emit(compile_policies(ROOT, message, timestamp), as_json=as_json, quiet=quiet, id_field="migration")


@app.command("check")
def check_command(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Fail on a stale policy file, a hand-edited block or a vanished file (reads text only)."""
    problems = policy_blocks.check(_read(ROOT / POLICIES), _read(ROOT / MIGRATIONS))
    emit([asdict(problem) for problem in problems], as_json=as_json, quiet=quiet, id_field="file")
    if problems:
        raise CommandFailed(
            problems[0].code,
            "The policy files and the migrations disagree",
            f"{len(problems)} problem(s), the first: {problems[0].file}: {problems[0].why}",
            problems[0].fix,
        )
    if not as_json:
        tell("Policies and migrations agree.")


def compile_policies(root: Path, message: str, timestamp: str | None = None) -> dict[str, Any]:
    """Compile under `root`; returns {"migration": path or None, "files": [names]}.

    Raises CommandFailed when a compiled block was edited by hand or a source vanished: a new migration
    would only hide that. Raises Misuse for a message or timestamp that cannot name a migration.
    """
    sources, migrations = _read(root / POLICIES), _read(root / MIGRATIONS)
    _refuse_if_broken(sources, migrations)
    if "\n" in message or not message.strip():
        raise Misuse(
            "policy_message_invalid", "The message must be one line", repr(message), "Use -m 'few words'"
        )
    changed = policy_blocks.changed_sources(sources, migrations)
    if not changed:
        tell("Nothing to compile: every policy file equals its latest compiled block.")
        return {"migration": None, "files": []}
    name = policy_blocks.migration_name(message, timestamp or _timestamp(migrations))
    if not policy_blocks.MIGRATION_NAME.match(name) or name <= max(migrations, default=""):
        raise Misuse(
            "policy_timestamp_invalid",
            f"{name} would not sort after the newest migration",
            "migrations run in the order of their names",
            "Leave --timestamp out, or give a later one",
        )
    target = root / MIGRATIONS / name
    target.write_text(_render(message, {file: sources[file] for file in changed}), encoding="utf-8")
    return {"migration": str(target.relative_to(root)), "files": changed}


def _render(message: str, sources: dict[str, str]) -> str:
    try:
        return policy_blocks.render_migration(message, sources)
    except ValueError as error:
        raise CommandFailed(
            "policy_marker_in_source",
            f"policies/{error} cannot be compiled",
            "one of its lines looks like a compiler marker",
            "Take the line that begins with `-- >>>` or `-- <<<` out",
        ) from error


def _refuse_if_broken(sources: dict[str, str], migrations: dict[str, str]) -> None:
    for problem in policy_blocks.check(sources, migrations):
        if problem.code != "policy_stale":
            raise CommandFailed(problem.code, f"{problem.file} blocks compiling", problem.why, problem.fix)


def _timestamp(migrations: dict[str, str]) -> str:
    return policy_blocks.next_timestamp(datetime.now(UTC), list(migrations))


def _read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
