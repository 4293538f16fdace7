"""Writing the archive: row by row and file by file to disk, so that ten years of history need no memory."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from cli.subject_export import pages

Record = dict[str, Any]
PAGE = 500


class Source(Protocol):
    """Where the person's data comes from."""

    def export(self) -> Record:
        """What the export holds: request, garage, customer, tables, processings, recipients, files."""
        ...

    def rows(self, table: str, first: int, limit: int) -> list[Record]:
        """Some rows of a table."""
        ...

    def file(self, bucket: str, path: str) -> bytes | None:
        """A stored file; None when it cannot be read."""
        ...


@dataclass
class Written:
    """What was written: numbers, and the SHA-256 of the archive in hex."""

    path: Path
    rows: int = 0
    tables: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    byte_size: int = 0
    sha256: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """The evidence that stays when the data is gone."""
        return {
            "tables": self.tables,
            "rows": self.rows,
            "files": self.files,
            "missing_files": len(self.missing),
            "bytes": self.byte_size,
        }


def write(source: Source, path: Path, advance: Callable[[int], None], export: Record, today: date) -> Written:
    """Write the archive; `advance` is told of every row and file. Only its owner may read it.

    A half-written archive is removed when something fails. Raises whatever the source does.
    """
    written = Written(path)
    locale = str(export["customer"]["locale"])
    path.touch(mode=0o600, exist_ok=False)
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for table in export["tables"]:
                written.rows += _write_table(archive, source, locale, table["table"], advance)
                written.tables += 1
            found = [_write_file(archive, source, file, written, advance) for file in export["files"]]
            archive.writestr("export.json", _json(export))
            archive.writestr("index.html", pages.index(locale, export, found, today.isoformat()))
    except BaseException:
        path.unlink()
        raise
    written.byte_size = path.stat().st_size
    written.sha256 = _sha256(path)
    return written


def _write_table(
    archive: zipfile.ZipFile, source: Source, locale: str, table: str, advance: Callable[[int], None]
) -> int:
    """Both forms of a table; a zip takes one stream at a time, so the readable one is kept as text."""
    count = 0
    readable = [pages.table_head(locale, table)]
    with archive.open(f"data/{table}.json", "w") as stream:
        stream.write(b"[")
        for record in _all_rows(source, table):
            stream.write((",\n" if count else "\n").encode() + _json(record))
            readable.append(pages.record_html(locale, record))
            count += 1
            advance(1)
        stream.write(b"\n]\n")
    title = pages.table_name(locale, table)
    archive.writestr(f"data/{table}.html", pages.document(locale, title, "".join(readable)))
    return count


def _all_rows(source: Source, table: str) -> Iterator[Record]:
    first = 0
    while True:
        rows = source.rows(table, first, PAGE)
        yield from rows
        if len(rows) < PAGE:
            return
        first += PAGE


def _write_file(
    archive: zipfile.ZipFile, source: Source, file: Record, written: Written, advance: Callable[[int], None]
) -> Record:
    name = f"files/{file['bucket']}/{file['path'].partition('/')[2]}"
    content = source.file(file["bucket"], file["path"])
    if content is None:
        written.missing.append(name)
    else:
        archive.writestr(name, content, zipfile.ZIP_STORED)
        written.files += 1
    advance(1)
    return {"table": file["table"], "name": name, "is_there": content is not None}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
