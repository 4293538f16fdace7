"""`autexor worker`: run the background workers, and see how they and their queues are."""

import os
import sys

import typer

from cli import platform
from cli.output import JsonFlag, QuietFlag, emit, tell
from cli.project import ROOT

app = typer.Typer(no_args_is_help=True, help="Run the background workers, and see how they are.")


@app.command("run")
def run() -> None:
    """Become `python -m workers`, with the settings of this environment (see `autexor stack env`)."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "workers"])


@app.command("status")
def status(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the workers seen within a day, and how much waits for them.

    For those who run the platform: asks the database as a worker does, with AUTEXOR_DATABASE_URL. A garage's
    people see their own deliveries with `autexor deliveries status`. With `--quiet`, the ids of the workers
    that are alive; exit 1 when there is none.
    """
    workers, queues = platform.ask(platform.WORKERS), platform.ask(platform.QUEUES)
    alive = [worker for worker in workers if worker["is_alive"]]
    if as_json:
        emit({"workers": workers, "queues": queues}, as_json=True)
    elif quiet:
        emit(alive, quiet=True)
    else:
        rows = [{**worker, "lanes": _lanes(worker["lanes"])} for worker in workers]
        columns = ("host", "pid", "version", "is_alive", "lanes", "started_at", "seen_at")
        emit(rows, columns=columns, title="Workers")
        rows = [{**queue, "oldest_seconds": round(queue["oldest_seconds"])} for queue in queues]
        emit(rows, title="Queues")
    if not alive:
        tell("No worker is alive: start one with `autexor worker run`.", style="yellow")
        raise typer.Exit(1)


@app.command("poisoned")
def poisoned(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the newest messages that broke or were set aside, and why.

    What was set aside failed; its garage sees it with `autexor deliveries list` and may retry it. The
    `subject_id` is the delivery's id.
    """
    rows = platform.ask(platform.POISONED)
    emit(rows, as_json=as_json, quiet=quiet, id_field="subject_id")


def _lanes(lanes: dict[str, int]) -> str:
    return " ".join(f"{queue}={count}" for queue, count in sorted(lanes.items()))
