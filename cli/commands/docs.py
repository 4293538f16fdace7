"""`autexor docs`: the generated pages of docs/, and a check that they are not stale."""

import re
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from cli.errors import CommandFailed
from cli.output import JsonFlag, QuietFlag, emit, tell
from cli.project import ROOT
from cli.reference.data_map_page import data_map_page
from cli.reference.errors_page import errors_page
from cli.reference.markdown import page
from cli.reference.portal_page import portal_page
from cli.reference.requirements_page import requirements_page
from cli.reference.templates_page import templates_page

_COMMAND_LIST = re.compile(r"\*\*Commands\*\*:\n\n(\*.*\n)+\n")

app = typer.Typer(no_args_is_help=True, help="Generate the reference pages, and check them.")


@app.command("build")
def build_command(ctx: typer.Context, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Write every generated page whose text changed."""
    stale = _stale(ROOT, ctx)
    for name, text in stale.items():
        (ROOT / name).write_text(text, encoding="utf-8")
    emit([{"file": name} for name in stale], as_json=as_json, quiet=quiet, id_field="file")


@app.command("check")
def check_command(ctx: typer.Context, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Fail when a generated page no longer says what its source says."""
    stale = list(_stale(ROOT, ctx))
    emit([{"file": name} for name in stale], as_json=as_json, quiet=quiet, id_field="file")
    if stale:
        raise CommandFailed(
            "docs_stale",
            "Generated pages are stale",
            ", ".join(stale),
            "Run `autexor docs build` and look at what changed",
        )
    if not as_json:
        tell("The generated pages are fresh.")


def _stale(root: Path, ctx: typer.Context) -> dict[str, str]:
    """The pages whose text differs from what their sources say now: path to new text."""
    pages = {
        "docs/errors.md": errors_page(root),
        "docs/requirements.md": requirements_page(root),
        "docs/cli.md": _cli_page(ctx),
        "docs/portal-api.md": portal_page(root),
        "docs/templates.md": templates_page(root),
        "docs/data-map.md": data_map_page(root),
    }
    return {name: text for name, text in pages.items() if _read(root / name) != text}


def _cli_page(ctx: typer.Context) -> str:
    program = ctx.find_root()
    text = get_docs_for_click(obj=program.command, ctx=ctx, name="autexor", indent=1)
    # The lists of sub-commands cut their texts short, and the sub-commands follow anyway.
    return page("The command line", _COMMAND_LIST.sub("", text).strip())


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
