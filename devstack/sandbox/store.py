"""What the sandboxed providers accepted, in one SQLite file, so that it survives a restart."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists deliveries (
    id text primary key, kind text not null, created_at text not null, content text not null
);
create table if not exists attachments (
    delivery_id text not null references deliveries (id), position integer not null,
    filename text not null, type text not null, bytes blob not null, sha256 text not null,
    primary key (delivery_id, position)
);
create index if not exists deliveries_kind_idx on deliveries (kind);
"""

Delivery = dict[str, Any]


@dataclass(frozen=True)
class Attachment:
    """A file that came with a mail."""

    filename: str
    type: str
    content: bytes


class Store:
    """Deliveries: dicts with `id`, `kind` (email, sms, whatsapp, push), `created_at` (ISO, UTC) and more."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "inbox.sqlite", check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def add(
        self, delivery_id: str, kind: str, content: Delivery, attachments: Sequence[Attachment] = ()
    ) -> None:
        """Keep a delivery; it is on disk when this returns."""
        files = [
            (delivery_id, n, file.filename, file.type, file.content, hashlib.sha256(file.content).hexdigest())
            for n, file in enumerate(attachments)
        ]
        row = (delivery_id, kind, datetime.now(UTC).isoformat(timespec="milliseconds"), json.dumps(content))
        with self._lock, self._db:
            self._db.execute("insert into deliveries values (?, ?, ?, ?)", row)
            self._db.executemany("insert into attachments values (?, ?, ?, ?, ?, ?)", files)

    def all(self) -> list[Delivery]:
        """Every delivery, newest first, attachments without their bytes."""
        with self._lock:
            found = self._db.execute("select * from deliveries order by rowid desc").fetchall()
            return [self._delivery(row) for row in found]

    def newest(self, kind: str, limit: int, offset: int = 0) -> list[Delivery]:
        """Some of one kind, newest first."""
        sql = "select * from deliveries where kind = ? order by rowid desc limit ? offset ?"
        with self._lock:
            return [self._delivery(row) for row in self._db.execute(sql, (kind, limit, offset)).fetchall()]

    def counts(self) -> dict[str, int]:
        """How many there are of each kind; those of which there are none are left out."""
        with self._lock:
            return dict(self._db.execute("select kind, count(*) from deliveries group by kind").fetchall())

    def get(self, delivery_id: str) -> Delivery | None:
        """One delivery."""
        with self._lock:
            row = self._db.execute("select * from deliveries where id = ?", [delivery_id]).fetchone()
            return self._delivery(row) if row else None

    def attachment(self, delivery_id: str, position: int) -> Attachment | None:
        """One attachment with its bytes."""
        sql = "select filename, type, bytes from attachments where delivery_id = ? and position = ?"
        with self._lock:
            row = self._db.execute(sql, [delivery_id, position]).fetchone()
        return Attachment(*row) if row else None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _delivery(self, row: tuple[str, str, str, str]) -> Delivery:
        delivery_id, kind, created_at, content = row
        found = self._db.execute(
            "select filename, type, length(bytes), sha256 from attachments"
            " where delivery_id = ? order by position",
            [delivery_id],
        )
        names = ("filename", "type", "size", "sha256")
        files = [dict(zip(names, file, strict=True)) for file in found]
        about = {"id": delivery_id, "kind": kind, "created_at": created_at}
        return {**about, **json.loads(content), "attachments": files}
