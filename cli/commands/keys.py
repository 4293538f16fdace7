"""`autexor keys`: make, rotate and retire the keys that sign tokens of customers; secrets stay in a file."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from cli.errors import CommandFailed
from cli.output import JsonFlag, QuietFlag, emit
from workers.edge.keys import SigningKey, SigningKeys, new_signing_key

app = typer.Typer(no_args_is_help=True, help="Make and rotate the keys that sign customers' tokens.")

File = Annotated[Path, typer.Argument(help="The file with the value of AUTEXOR_PORTAL_SIGNING_KEYS.")]


@app.command("new")
def new(file: File, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Put a new key into the file, behind those in it: published, it signs nothing yet.

    A file that is not there is made, for its owner alone, and its first key signs. No secret is shown.
    """
    keys = _read(file) if file.exists() else ()
    _show(_write(file, (*keys, new_signing_key())), as_json, quiet)


@app.command("promote")
def promote(file: File, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Let the newest key sign from now on; the others lose what signs and verify only."""
    keys = _read(file)
    if len(keys) == 1 or not keys[-1].d:
        raise CommandFailed(
            "no_key_waits",
            f"No key in {file} waits to sign",
            "the newest one signs already",
            "Make one first: `autexor keys new`",
        )
    _show(_write(file, (keys[-1], *(key.retired() for key in keys[:-1]))), as_json, quiet)


@app.command("drop")
def drop(file: File, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Take the retired keys out of the file: tokens they signed are refused."""
    _show(_write(file, tuple(key for key in _read(file) if key.d)), as_json, quiet)


@app.command("list")
def list_keys(file: File, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show the keys by their ids, and what each does."""
    _show(_read(file), as_json, quiet)


def _read(file: Path) -> tuple[SigningKey, ...]:
    try:
        return SigningKeys.model_validate_json(file.read_bytes()).keys
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no set of keys whose first can sign"
        raise CommandFailed(
            "keys_unreadable",
            f"The keys in {file} cannot be used",
            str(why),
            "Name the file that `autexor keys new` made",
        ) from None


def _write(file: Path, keys: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
    """Replace the file in one step, readable by its owner only."""
    aside = file.with_name(f"{file.name}.new")
    text = json.dumps({"keys": [key.private() for key in keys]})
    try:
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text + "\n")
        aside.replace(file)
    except OSError as error:
        raise CommandFailed(
            "keys_unwritable",
            f"The keys cannot be written to {file}",
            str(error.strerror),
            "Name a file in a directory of yours",
        ) from None
    return keys


def _show(keys: tuple[SigningKey, ...], as_json: bool, quiet: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"kid": key.kid, "does": _does(place, key), "position": place} for place, key in enumerate(keys, 1)
    ]
    emit(rows, as_json=as_json, quiet=quiet, id_field="kid", columns=("position", "kid", "does"))


def _does(place: int, key: SigningKey) -> str:
    if place == 1:
        return "signs"
    return "is published, waits" if key.d else "verifies only"
