"""The filters of a subscription: `column=op.value` with eq, neq, lt, lte, gt, gte and in."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from devstack.realtime.pgoutput import Values

_FILTER = re.compile(r"([^=]+)=(eq|neq|lt|lte|gt|gte|in)\.(.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
MAX_VALUES = 100


@dataclass(frozen=True)
class Filter:
    """A condition on one column; `values` in the text form PostgreSQL writes."""

    column: str
    op: str
    values: tuple[str, ...]
    is_numeric: bool = False

    def matches(self, row: Values) -> bool:
        """Whether the row passes; a null or unknown value never does."""
        value = row.get(self.column)
        if value is None:
            return False
        mine, theirs = self._key(value), [self._key(one) for one in self.values]
        if self.op == "in":
            return mine in theirs
        try:
            return _COMPARE[self.op](mine, theirs[0])
        except InvalidOperation:
            # Not a number has no order.
            return False

    def _key(self, text: str) -> Any:
        return Decimal(text) if self.is_numeric else text


def parse(text: str) -> Filter:
    """Raises ValueError with the words for the client."""
    match = _FILTER.fullmatch(text)
    if not match:
        raise ValueError(f"Error parsing `filter` params: {text!r}")
    column, op, value = match.groups()
    if op != "in":
        return Filter(column, op, (value,))
    values = tuple(one.strip().strip('"') for one in value.removeprefix("(").removesuffix(")").split(","))
    if len(values) > MAX_VALUES:
        raise ValueError(f"Error parsing `filter` params: more than {MAX_VALUES} values")
    return Filter(column, op, values)
