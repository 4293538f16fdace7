"""Finds every refusal in our SQL: the calls of private.refuse(code, message, hint, status), and the comments
of constraints that say one ("code: message | hint")."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

DEFAULT_STATUS = 422
_CALL = re.compile(r"private\.refuse\(\s*(?=')")
_COMMENT = re.compile(
    r"comment\s+on\s+(?:constraint\s+(\w+)\s+on|index)\s+(\S+)\s+is"
    r"\s+'([a-z0-9_]+): ((?:[^']|'')+?) \| ((?:[^']|'')+)'"
)
_TAKEN = re.compile(r"_(p?key|idx|at_a_time)$")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, order=True)
class Refusal:
    """One way the database refuses; `%s` in a message stands for what was asked for."""

    code: str
    status: int
    message: str
    hint: str


def refusals(sql: str) -> Iterator[Refusal]:
    """Every refusal in a text. A message may be a literal or a format('…', …) of one."""
    for call in _CALL.finditer(sql):
        arguments = _arguments(sql, call.end())
        code, message, hint = (_first_literal(argument) for argument in arguments[:3])
        status = int(arguments[3]) if len(arguments) > 3 else DEFAULT_STATUS
        yield Refusal(code, status, message, hint)


def constraint_refusals(sql: str) -> Iterator[Refusal]:
    """Every refusal in a comment of a constraint or index; the name's ending tells keys from checks."""
    for constraint, target, code, message, hint in _COMMENT.findall(sql):
        name = constraint or target
        status = 404 if name.endswith("_fkey") else 409 if _TAKEN.search(name) else DEFAULT_STATUS
        yield Refusal(code, status, message.replace("''", "'"), hint.replace("''", "'"))


def _first_literal(argument: str) -> str:
    found = _LITERAL.search(argument)
    if found is None:
        raise ValueError(f"no text in {argument!r}")
    return found[1].replace("''", "'")


def _arguments(sql: str, start: int) -> list[str]:
    """The arguments of a call, given where the first begins."""
    arguments: list[str] = []
    depth, begin, place = 0, start, start
    while True:
        literal = _LITERAL.match(sql, place)
        if literal:
            place = literal.end()
            continue
        letter = sql[place]
        if letter == ")" and depth == 0:
            return [*arguments, sql[begin:place].strip()]
        if letter == "," and depth == 0:
            arguments.append(sql[begin:place].strip())
            begin = place + 1
        depth += {"(": 1, ")": -1}.get(letter, 0)
        place += 1
