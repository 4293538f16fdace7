"""docs/data-map.md: what data there is, whose, what for, where it goes and when; from the catalogue."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.reference.markdown import page, table

Row = Mapping[str, Any]
CACHE = Path(".devstack/catalogue")
# What the database is made of: the answers only change when one of these does.
SOURCES = ("supabase/migrations/*.sql", "devstack/platform/*.sql")
QUERIES = {
    "tables": """
        select t.table_name, t.controller, t.purpose, t.retention, t.processing, t.categories, t.subjects,
               t.is_personal, t.is_deleted_on_erasure,
               private.subject_condition(t.relation) is not null as is_reached
          from private.table_map t order by t.table_name""",
    "columns": """
        select m.table_name, m.column_name, m.class, m.category, m.subject, m.on_erasure, m.rule, m.note
          from private.data_map m order by m.table_name, m.attnum""",
    "categories": "select * from private.data_categories order by category",
    "rules": "select * from private.retention_rules order by rule",
    "processings": """
        select processing, purpose, default_basis, keep_for::text, floor::text, ceiling::text
          from private.processings order by processing""",
    "subprocessors": "select * from private.subprocessors order by name",
    "gaps": "select * from private.data_map_gaps() order by 1, 2",
}
ABOUT = """Every column says in its comment what it holds: `public`, `internal`, `secret`, or `personal`
with a category, whom it is about, and what becomes of it when that person is erased. Every table says
who is its controller and how long its rows stay. This page, exports, erasures, retention and what the
audit may write down are made from those comments alone. `controller=garage` means that the garage
decides and Autexor is its processor; `controller=autexor` is what Autexor needs to run the service."""
ABOUT_REGISTER = """Autexor as processor (art. 30.2 GDPR). On erasure of a customer, rows of a table
marked *rows* are deleted; in others the personal columns are emptied; what a rule keeps stays until its
date."""
ABOUT_PROCESSINGS = """What the data is processed for (art. 30.1 GDPR), with the basis that holds unless
the garage determines another (`autexor privacy set-basis`), and how long it is kept unless the garage
says otherwise within the limits (`autexor retention set`)."""
ABOUT_SUBPROCESSORS = """Used only while the garage has the module on that needs them (`autexor privacy
processors`). Our programs call no host that is not here: a test compares this list with
`workers/core/hosts.py`, and another one listens to what they call."""


def data_map_page(root: Path) -> str:
    """The page. Raises ValueError when a comment leaves something open."""
    facts = catalogue(root)
    if facts["gaps"]:
        raise ValueError("; ".join(f"{gap['place']} {gap['gap']}" for gap in facts["gaps"]))
    return page(
        "The data map",
        ABOUT,
        "## What is processed for what",
        ABOUT_PROCESSINGS,
        table(
            ("processing", "purpose", "basis", "kept", "at least", "at most"),
            _processings(facts["processings"]),
        ),
        "## Register of tables",
        ABOUT_REGISTER,
        table(
            ("table", "controller", "processing", "purpose", "retention", "about", "on erasure"),
            _tables(facts),
        ),
        "## Who else processes data",
        ABOUT_SUBPROCESSORS,
        table(("name", "purpose", "country", "host", "module"), _subprocessors(facts["subprocessors"])),
        "## Categories of personal data",
        table(("category", "what"), [(row["category"], row["description"]) for row in facts["categories"]]),
        "## What is kept although erasure was asked for",
        table(("rule", "why"), [(row["rule"], row["reason"]) for row in facts["rules"]]),
        "## Columns",
        *_columns(facts["columns"]),
    )


def catalogue(root: Path) -> dict[str, list[dict[str, Any]]]:
    """What a migrated database says; remembered until a migration changes."""
    kept = root / CACHE / f"{_fingerprint(root)}.json"
    if not kept.exists():
        asked = json.dumps(QUERIES)
        program = [sys.executable, "-m", "devstack.catalogue"]
        answer = subprocess.run(program, input=asked, capture_output=True, text=True, check=True, cwd=root)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(answer.stdout, encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256(json.dumps(QUERIES).encode())
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def _processings(rows: Sequence[Row]) -> list[list[str]]:
    limits = ("keep_for", "floor", "ceiling")
    return [
        [row["processing"], row["purpose"], row["default_basis"], *(_plain(row[limit]) for limit in limits)]
        for row in rows
    ]


def _tables(facts: Mapping[str, Sequence[Row]]) -> list[list[str]]:
    return [
        [
            f"`{row['table_name']}`",
            row["controller"],
            _plain(row["processing"]),
            row["purpose"],
            row["retention"],
            _plain(", ".join(row["subjects"] or ())),
            _on_erasure(row, facts["columns"]),
        ]
        for row in facts["tables"]
    ]


def _on_erasure(row: Row, columns: Sequence[Row]) -> str:
    if not row["is_reached"]:
        return "–"
    rules = {
        c["rule"] for c in columns if c["table_name"] == row["table_name"] and c["subject"] == "customer"
    } - {None}
    words = ["rows"] if row["is_deleted_on_erasure"] else ["columns"] if row["is_personal"] else []
    return ", ".join([*words, *(f"keep:{rule}" for rule in sorted(rules))]) or "–"


def _subprocessors(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [row["name"], row["purpose"], row["country"], _plain(row["host"]), _plain(row["module"], "always")]
        for row in rows
    ]


def _columns(rows: Sequence[Row]) -> list[str]:
    parts = []
    for name in dict.fromkeys(row["table_name"] for row in rows):
        lines = [
            [
                f"`{row['column_name']}`",
                row["class"] if row["category"] is None else f"{row['category']} of a {row['subject']}",
                _plain(":".join(part for part in (row["on_erasure"], row["rule"]) if part)),
                _plain(row["note"]),
            ]
            for row in rows
            if row["table_name"] == name
        ]
        parts += [f"### {name}", table(("column", "what it is", "on erasure", "note"), lines)]
    return parts


def _plain(value: object, otherwise: str = "–") -> str:
    return otherwise if value in (None, "") else str(value)
