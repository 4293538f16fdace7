"""The real program, run in this process against the real stack."""

import gc
import io
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from cli import main
from devstack.stack import Stack


class Said(NamedTuple):
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


class Keyboard(io.StringIO):
    """A terminal's stdin, with what is typed on it."""

    def isatty(self) -> bool:
        return True


Autexor = Callable[..., Said]


@pytest.fixture
def autexor(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Autexor:
    """Runs `autexor …` as a member (Olga, unless said otherwise), with or without something typed."""
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AUTEXOR_PASSWORD", "autexor-demo")

    def run(*arguments: str, who: str = "olga@garage-noord.test", typed: str | None = None) -> Said:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setenv("AUTEXOR_EMAIL", who)
        monkeypatch.setattr(sys, "argv", ["autexor", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Keyboard(typed))
        # The official client warns of its own ways and leaves its sockets to the end of the process.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
                main.main()
            code = int(left.value.code or 0)
            del left
            gc.collect()
        assert "Traceback" not in err.getvalue()
        return Said(code, out.getvalue(), err.getvalue())

    return run
