"""Decoding PostgreSQL's own logical replication messages, protocol version 1.

Source: PostgreSQL documentation, "Logical Replication Message Formats".
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Column name to its text form; columns stored out of line and not changed are absent.
Values = dict[str, str | None]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Relation:
    """A table as the stream describes it; `keys` are the columns of its replica identity."""

    oid: int
    schema: str
    table: str
    columns: tuple[str, ...]
    keys: frozenset[str]


@dataclass(frozen=True, eq=False)
class Change:
    """One row that was inserted, updated or deleted.

    `old` is what the replica identity keeps: for an UPDATE None when the key did not change.
    """

    relation: Relation
    kind: str
    commit_time: datetime
    new: Values | None
    old: Values | None


class Decoder:
    """Remembers the relations and the transaction that later messages refer to."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}
        self._commit_time = _EPOCH

    def decode(self, data: bytes) -> Change | None:
        """The change in a message, or None for the other kinds of message."""
        reader = _Reader(data)
        match reader.char():
            case "B":
                _, micros, _ = reader.unpack("!QqI")
                self._commit_time = _EPOCH + timedelta(microseconds=micros)
            case "R":
                relation = _relation(reader)
                self._relations[relation.oid] = relation
            case "I":
                return self._change(reader, "INSERT")
            case "U":
                return self._change(reader, "UPDATE")
            case "D":
                return self._change(reader, "DELETE")
        return None

    def _change(self, reader: "_Reader", kind: str) -> Change:
        relation = self._relations[reader.int32()]
        tuples: dict[str, Values] = {}
        while not reader.is_done():
            tag = reader.char()
            tuples[tag] = reader.values(relation.columns)
        old = tuples.get("O")
        if "K" in tuples:
            old = {name: value for name, value in tuples["K"].items() if name in relation.keys}
        return Change(relation, kind, self._commit_time, tuples.get("N"), old)


def _relation(reader: "_Reader") -> Relation:
    oid, schema, table = reader.int32(), reader.text(), reader.text()
    reader.char()
    columns, keys = [], set()
    for _ in range(reader.int16()):
        is_key = reader.byte() & 1
        name = reader.text()
        reader.unpack("!Ii")
        columns.append(name)
        if is_key:
            keys.add(name)
    return Relation(oid, schema or "pg_catalog", table, tuple(columns), frozenset(keys))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def is_done(self) -> bool:
        return self._at >= len(self._data)

    def unpack(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values

    def byte(self) -> int:
        return self.unpack("!B")[0]

    def char(self) -> str:
        return chr(self.byte())

    def int16(self) -> int:
        return self.unpack("!H")[0]

    def int32(self) -> int:
        return self.unpack("!I")[0]

    def text(self) -> str:
        end = self._data.index(0, self._at)
        value = self._data[self._at : end].decode()
        self._at = end + 1
        return value

    def values(self, columns: tuple[str, ...]) -> Values:
        """A tuple: n is null, t is text, u is unchanged and not sent."""
        found: Values = {}
        for name in columns[: self.int16()]:
            match self.char():
                case "n":
                    found[name] = None
                case "t":
                    size = self.int32()
                    found[name] = self._data[self._at : self._at + size].decode()
                    self._at += size
        return found
