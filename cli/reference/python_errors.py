"""Finds the errors that the command line and the local stack raise with a code, by reading their source."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# Per class: the places of code, what, fix among the arguments (a name is also looked for as a keyword).
SHAPES: dict[str, dict[str, int | None]] = {
    "CommandFailed": {"code": 0, "what": 1, "fix": 3},
    "Misuse": {"code": 0, "what": 1, "fix": 3},
    "Problem": {"code": 0, "what": 2, "fix": 3},
    "StackError": {"code": None, "what": 0, "fix": None},
}
EXIT_CODES = {"Misuse": 2}


@dataclass(frozen=True, order=True)
class CodedError:
    """An error of the command line: `…` stands for what is filled in."""

    code: str
    exit_code: int
    what: str
    fix: str


def coded_errors(source: str) -> Iterator[CodedError]:
    """Every error of a Python text that is made with a literal code."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        shape = SHAPES.get(node.func.id)
        if shape is None:
            continue
        words = {name: _argument(node, name, place) for name, place in shape.items()}
        if words["code"] and "…" not in words["code"]:
            exit_code = EXIT_CODES.get(node.func.id, 1)
            yield CodedError(words["code"], exit_code, words["what"], words["fix"])


def _argument(call: ast.Call, name: str, place: int | None) -> str:
    for keyword in call.keywords:
        if keyword.arg == name:
            return _text(keyword.value)
    if place is not None and place < len(call.args):
        return _text(call.args[place])
    return ""


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return "…"
