"""The only printer of the command line: data to stdout, talk to stderr.

Data is a mapping (one thing) or a sequence of mappings (many). It becomes a rich table on a terminal,
tab-separated lines in a pipe, one JSON document with `--json` (absent values are null) or bare ids with
`--quiet`. `NO_COLOR` is honoured by rich itself. Whoever wrote the data, no character of it commands the
terminal.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

Row = Mapping[str, Any]
Data = Row | Sequence[Row]

# What moves to another line or column; what commands a terminal (C0, C1) or turns the text around it (bidi).
_GAPS = re.compile(r"\r\n|[\t\n\v\f\r\x85\u2028\u2029]")
_COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Those of them that JSON may carry as they are, and that a terminal would obey.
_RAW_IN_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only, one a line.")]


def emit(
    data: Data,
    *,
    as_json: bool = False,
    quiet: bool = False,
    id_field: str = "id",
    columns: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """Print what a command found or did, on stdout.

    `columns` chooses and orders what people see; JSON always carries every field. `id_field` names what
    `--quiet` prints.
    """
    rows: Sequence[Row] = [data] if isinstance(data, Mapping) else data
    if as_json:
        document = json.dumps(data, default=_plain, ensure_ascii=False, indent=2)
        emit_text(_RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document))
    elif quiet:
        for row in rows:
            if row[id_field] is not None:
                emit_text(_text(row[id_field]))
    elif isinstance(data, Mapping):
        _print_one(data, columns or list(data), title)
    else:
        _print_many(rows, columns or (list(rows[0]) if rows else []), title)


def emit_text(text: str) -> None:
    """Print one finished line or document on stdout, untouched."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_words(text: str) -> None:
    """Print what somebody wrote: as it is into a pipe or file, harmless on a terminal."""
    emit_text("\n".join(map(printable, text.split("\n"))) if _is_terminal() else text)


def printable(text: str) -> str:
    """The text on one line, and nothing in it that a terminal would obey instead of show."""
    return _COMMANDS.sub("\ufffd", _GAPS.sub(" ", text))


def tell(message: str, *, style: str | None = None) -> None:
    """Say something to the person at the keyboard, on stderr. `message` is plain text, not rich markup."""
    lines = "\n".join(printable(line) for line in message.split("\n"))
    talk_console().print(escape(lines), style=style, highlight=False, soft_wrap=True)


@contextmanager
def progress(label: str) -> Iterator[None]:
    """Show that something slow is going on: a spinner on a terminal, one line elsewhere (stderr)."""
    console = talk_console()
    if not console.is_terminal:
        tell(f"{label} …")
        yield
        return
    with console.status(escape(printable(label))):
        yield


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far something slow has come (stderr); gives a function that is told of each step done."""
    console = talk_console()
    if not console.is_terminal:
        tell(f"{label} …")
        yield lambda steps: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(escape(printable(label)), total=total)
        yield lambda steps: bar.advance(task, steps)


def talk_console() -> Console:
    """The console for talk: stderr, looked up anew so that redirection is honoured."""
    return Console(file=sys.stderr)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _title(title: str | None) -> str | None:
    return None if title is None else escape(printable(title))


def _print_one(row: Row, columns: Sequence[str], title: str | None) -> None:
    if not _is_terminal():
        for name in columns:
            emit_text(f"{name}\t{_text(row.get(name))}")
        return
    table = Table(title=_title(title), show_header=False, box=None)
    for name in columns:
        table.add_row(f"[bold]{escape(name)}[/bold]", escape(_text(row.get(name))))
    Console(file=sys.stdout).print(table)


def _print_many(rows: Sequence[Row], columns: Sequence[str], title: str | None) -> None:
    if not _is_terminal():
        for row in rows:
            emit_text("\t".join(_text(row.get(name)) for name in columns))
        return
    if not rows:
        tell("Nothing found.")
        return
    table = Table(title=_title(title))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(row.get(name))) for name in columns))
    Console(file=sys.stdout).print(table)


def _plain(value: object) -> Any:
    """What JSON makes of a value it does not know: text, never a float that loses a cent."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple):
        return printable(json.dumps(value, default=_plain, ensure_ascii=False))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return printable(str(value))
