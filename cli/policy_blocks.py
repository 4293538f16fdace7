"""The policies compiler's text work: pure functions from file texts to file texts and problems.

A policy file (`supabase/policies/NN_subject.sql`) is the only place a person edits; a migration carries its
full text between two marker lines, so production only ever sees migrations:

    -- >>> policies/40_billing.sql sha256:<hex of the text between the markers>
    …
    -- <<<
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SOURCE_NAME = re.compile(r"^\d\d_[a-z][a-z0-9_]*\.sql$")
MIGRATION_NAME = re.compile(r"^(\d{14})_[a-z0-9_]+\.sql$")
LOCK_TIMEOUT = "5s"
_OPEN = re.compile(r"^-- >>> policies/(\S+) sha256:([0-9a-f]{64})$")
_MARKER = re.compile(r"^-- (>>>|<<<)")
_CLOSE = "-- <<<"
_TIMESTAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True)
class Block:
    """One compiled policy file inside a migration. `text` always ends with a newline."""

    source: str
    sha256: str
    text: str
    migration: str

    @property
    def is_untouched(self) -> bool:
        """Whether the text still is what the compiler wrote."""
        return digest(self.text) == self.sha256


@dataclass(frozen=True)
class Problem:
    """Why `policies check` fails: a stable code, the file it is about, what to do."""

    code: str
    file: str
    why: str
    fix: str


def digest(text: str) -> str:
    """The sha256 of a policy text, as lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def normalise(text: str) -> str:
    """A policy text as it is compiled: Unix line ends, exactly one newline at the end."""
    return text.replace("\r\n", "\n").rstrip() + "\n"


def read_blocks(migration: str, text: str) -> tuple[list[Block], list[Problem]]:
    """The compiled blocks of one migration, in order, and what is wrong with its markers."""
    blocks: list[Block] = []
    problems: list[Problem] = []
    current: tuple[str, str] | None = None
    body: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        opening = _OPEN.match(line)
        if current and line == _CLOSE:
            blocks.append(Block(current[0], current[1], "\n".join(body) + "\n", migration))
            current = None
        elif opening and not current:
            current, body = (opening[1], opening[2]), []
        elif _MARKER.match(line):
            problems.append(_broken_marker(migration, line))
        elif current:
            body.append(line)
    if current:
        problems.append(_broken_marker(migration, f"{current[0]} is opened and never closed"))
    return blocks, problems


def check(sources: Mapping[str, str], migrations: Mapping[str, str]) -> list[Problem]:
    """Every disagreement between policy files and migrations (both: file name to text), sorted by file.

    Codes: policy_marker_broken, policy_name_invalid, policy_block_edited, policy_stale, policy_vanished.
    """
    latest: dict[str, Block] = {}
    problems = [_misnamed(name) for name in sources if not SOURCE_NAME.match(name)]
    for migration in sorted(migrations):
        blocks, broken = read_blocks(migration, migrations[migration])
        problems += broken
        problems += [_edited(block) for block in blocks if not block.is_untouched]
        latest.update({block.source: block for block in blocks})
    problems += [_stale(name) for name, text in sources.items() if _is_stale(name, text, latest)]
    problems += [_vanished(block) for name, block in latest.items() if name not in sources]
    return sorted(problems, key=lambda problem: (problem.file, problem.code))


def changed_sources(sources: Mapping[str, str], migrations: Mapping[str, str]) -> list[str]:
    """The policy files whose text differs from their latest compiled block, in file order."""
    latest: dict[str, Block] = {}
    for migration in sorted(migrations):
        blocks, _ = read_blocks(migration, migrations[migration])
        latest.update({block.source: block for block in blocks})
    return [name for name in sorted(sources) if _is_stale(name, sources[name], latest)]


def render_migration(message: str, sources: Mapping[str, str]) -> str:
    """One migration with the full text of the given policy files.

    On hosted Supabase a policy statement locks the platform's tables until commit: hence the lock timeout.
    Raises ValueError if a policy text holds a line that looks like a marker.
    """
    parts = [
        f"-- {message}",
        "-- Compiled from supabase/policies: edit those and compile again, never this text.",
        f"set local lock_timeout = '{LOCK_TIMEOUT}';",
        "",
    ]
    for name in sorted(sources):
        text = normalise(sources[name])
        if any(_MARKER.match(line) for line in text.split("\n")):
            raise ValueError(name)
        parts += [f"-- >>> policies/{name} sha256:{digest(text)}", text.rstrip("\n"), _CLOSE, ""]
    return "\n".join(parts)


def migration_name(message: str, timestamp: str) -> str:
    """`<timestamp>_policies_<slug of the message>.sql`, the slug at most 40 characters."""
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:40].strip("_")
    return f"{timestamp}_policies_{slug}.sql" if slug else f"{timestamp}_policies.sql"


def next_timestamp(now: datetime, existing: list[str]) -> str:
    """A UTC timestamp for a new migration: now, or one second after the newest migration if that is later."""
    moment = now.astimezone(UTC)
    newest = max((found[1] for name in existing if (found := MIGRATION_NAME.match(name))), default="")
    if newest >= moment.strftime(_TIMESTAMP):
        moment = datetime.strptime(newest, _TIMESTAMP).replace(tzinfo=UTC) + timedelta(seconds=1)
    return moment.strftime(_TIMESTAMP)


def _is_stale(name: str, text: str, latest: Mapping[str, Block]) -> bool:
    return name not in latest or latest[name].text != normalise(text)


def _broken_marker(migration: str, line: str) -> Problem:
    return Problem(
        "policy_marker_broken",
        f"migrations/{migration}",
        f"a marker line does not fit: {line}",
        "Restore the migration from version control",
    )


def _misnamed(name: str) -> Problem:
    return Problem("policy_name_invalid", f"policies/{name}", "its name is not NN_subject.sql", "Rename it")


def _edited(block: Block) -> Problem:
    return Problem(
        "policy_block_edited",
        f"migrations/{block.migration}",
        f"the block of policies/{block.source} is not what was compiled (its sha256 differs)",
        f"Restore the migration, edit supabase/policies/{block.source} and compile again",
    )


def _stale(name: str) -> Problem:
    return Problem(
        "policy_stale",
        f"policies/{name}",
        "its text differs from its latest compiled block (or was never compiled)",
        'Run `autexor policies compile -m "what changes"`',
    )


def _vanished(block: Block) -> Problem:
    return Problem(
        "policy_vanished",
        f"policies/{block.source}",
        f"it was compiled into migrations/{block.migration}, but the file is gone",
        "Restore it; to end its rules, leave the file in place and let it drop them",
    )
