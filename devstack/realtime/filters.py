"""The filters of a subscription: `column=op.value`; of several, joined by commas, all must hold."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from devstack.realtime.pgoutput import Values
from devstack.realtime.words import inspect

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_PATTERNS = ("like", "ilike", "match", "imatch")
_OPS = (*_COMPARE, *_PATTERNS, "in", "is", "isdistinct")
_IS: dict[str, str | None] = {"null": None, "unknown": None, "true": "t", "false": "f"}
MAX_VALUES = 100


@dataclass(frozen=True)
class Filter:
    """A condition on one column; `values` in the text form PostgreSQL writes."""

    column: str
    op: str
    values: tuple[str, ...]
    is_negated: bool = False
    is_numeric: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether the values are of the column's type."""
        return self.op not in (*_PATTERNS, "is")

    def matches(self, row: Values) -> bool:
        """Whether the row passes; what is not known never does, negated or not."""
        if self.column not in row:
            return False
        found = self._test(row[self.column])
        return found is not None and found != self.is_negated

    def _test(self, value: str | None) -> bool | None:
        if self.op == "is":
            return value == _IS[self.values[0].lower()]
        if value is None:
            return True if self.op == "isdistinct" else None
        if self.op in _PATTERNS:
            return bool(_pattern(self.op, self.values[0]).search(value))
        mine, theirs = self._key(value), [self._key(one) for one in self.values]
        if self.op == "in":
            return mine in theirs
        try:
            return _COMPARE["neq" if self.op == "isdistinct" else self.op](mine, theirs[0])
        except InvalidOperation:
            # Not a number has no order.
            return False

    def _key(self, text: str) -> Any:
        return Decimal(text) if self.is_numeric else text


def _pattern(op: str, text: str) -> re.Pattern[str]:
    flags = re.DOTALL | (re.IGNORECASE if op.startswith("i") else 0)
    if op.endswith("match"):
        return re.compile(text, flags)
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("^" + "".join(wild.get(part) or re.escape(part[-1]) for part in parts) + r"\Z", flags)


def parse(text: str) -> tuple[Filter, ...]:
    """Raises ValueError with the words for the client."""
    if not text.strip():
        return ()
    return tuple(_parse_one(part.strip()) for part in _split(text))


def _parse_one(text: str) -> Filter:
    if not text:
        raise _error("filter must not contain empty segments (check for extra commas)")
    column, equals, rest = text.partition("=")
    condition = rest.removeprefix("not.")
    op, dot, value = condition.partition(".")
    if not equals or not dot:
        raise _error(inspect([condition] if equals else [text]))
    if op not in _OPS:
        raise _error(inspect([op, value]))
    if op == "in" and not (len(value) > 1 and value[0] == "(" and value[-1] == ")"):
        raise _error("`in` filter value must be wrapped by parentheses")
    items = _split(value[1:-1]) if op == "in" else [value]
    values = tuple(_unquoted(item.strip() if op == "in" else item) for item in items)
    return _sound(Filter(column, op, values, is_negated=condition != rest))


def _sound(found: Filter) -> Filter:
    if len(found.values) > MAX_VALUES:
        raise ValueError(f"too many values for `in` filter. Maximum {MAX_VALUES}")
    if found.op == "is" and found.values[0].lower() not in _IS:
        raise _error(inspect([found.op, found.values[0]]))
    try:
        if found.op in _PATTERNS:
            _pattern(found.op, found.values[0])
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None
    return found


def _split(text: str) -> list[str]:
    """At the commas outside quotes and parentheses; a quote opens only where a value begins."""
    parts, current, depth, is_quoted = [], "", 0, False
    for token in re.findall(r"\\.|.", text, re.DOTALL):
        if token == '"' and (is_quoted or current[-1:] in ("", ".", "(", ",")):
            is_quoted = not is_quoted
        elif token in "()" and not is_quoted:
            depth = max(0, depth + (1 if token == "(" else -1))
        if token == "," and not depth and not is_quoted:
            parts.append(current)
            current = ""
        else:
            current += token
    return [*parts, current]


def _unquoted(value: str) -> str:
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', value, re.DOTALL)
    return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) if match else value


def _error(words: str) -> ValueError:
    return ValueError(f"Error parsing `filter` params: {words}")
