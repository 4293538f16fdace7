"""docs/errors.md: every stable code, where it comes from, what it says and what to do."""

from pathlib import Path

from cli.reference.markdown import page, table
from cli.reference.python_errors import coded_errors
from cli.reference.sql_refusals import constraint_refusals, refusals
from workers.edge.errors import STATUS
from workers.edge.messages import MESSAGES

ABOUT_SQL = """## The database

Through the API an error is `{"code": "PT409", "message": …, "details": <stable code>, "hint": …}` with that
HTTP status; in SQL the stable code is the error's `detail`. `%s` stands for what was asked for."""
ABOUT_EDGE = """## The portal's edge

`{"code": <stable code>, "message": …, "hint": …}` in Dutch, French or English, by `Accept-Language`."""
ABOUT_CLI = """## The command line and the local stack

Three lines on stderr: what (with the stable code), why, how to fix it. `…` stands for what is filled in."""


def errors_page(root: Path) -> str:
    """The page, from the SQL under supabase/, the edge's tables and the source of cli/ and devstack/."""
    return page(
        "Errors",
        "A code never changes its meaning; messages and hints may be reworded.",
        ABOUT_SQL,
        table(("code", "status", "message", "hint"), _sql_rows(root)),
        ABOUT_EDGE,
        table(("code", "status", "message", "hint"), _edge_rows()),
        ABOUT_CLI,
        table(("code", "exit", "what", "how to fix it"), _cli_rows(root)),
    )


def _sql_rows(root: Path) -> list[list[str]]:
    # Policies are compiled into migrations; reading both would only say everything twice.
    texts = [
        path.read_text(encoding="utf-8") for path in sorted((root / "supabase/migrations").glob("*.sql"))
    ]
    found = sorted({found for text in texts for found in (*refusals(text), *constraint_refusals(text))})
    return [[f"`{r.code}`", str(r.status), r.message, r.hint] for r in found]


def _edge_rows() -> list[list[str]]:
    return [[f"`{code}`", str(STATUS[code]), *MESSAGES[code]["en"]] for code in sorted(MESSAGES)]


def _cli_rows(root: Path) -> list[list[str]]:
    sources = [path for room in ("cli", "devstack") for path in sorted((root / room).rglob("*.py"))]
    found = sorted({error for path in sources for error in coded_errors(path.read_text(encoding="utf-8"))})
    return [[f"`{e.code}`", str(e.exit_code), e.what, e.fix] for e in found]
