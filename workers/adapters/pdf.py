"""PDFs by xhtml2pdf in a child process that can be killed and that holds no secrets (see `pdf_child`)."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from base64 import b64decode
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from font_source_sans_pro import font_files_ttf
from reportlab.pdfbase.ttfonts import TTFont

from workers.core.errors import RenderFailed
from workers.ports import RenderedPdf

_CHILD = Path(__file__).with_name("pdf_child.py")
_REGULAR, _BOLD, _ITALIC = (
    font_files_ttf[face] for face in ("SourceSansPro", "SourceSansProSemibold", "SourceSansProIt")
)
_NEEDED_BY_PYTHON = ("PATH", "LD_LIBRARY_PATH")


class SourceSans:
    """The metrics of the document's font, read from the same files that the child embeds."""

    def __init__(self) -> None:
        self._regular = TTFont("regular", _REGULAR)
        self._bold = TTFont("bold", _BOLD)
        self._characters = self._regular.face.charToGlyph.keys() & self._bold.face.charToGlyph.keys()

    def width(self, text: str, points: float, bold: bool = False) -> float:
        """How wide `text` is, in points."""
        return float((self._bold if bold else self._regular).stringWidth(text, points))

    def has(self, character: str) -> bool:
        """Whether both weights draw this character."""
        return ord(character) in self._characters


class ChildProcessPdf:
    """Renders one document at a time; the child is kept between documents and replaced when it dies."""

    def __init__(self, timeout_seconds: float = 30.0) -> None:
        self.typeface = SourceSans()
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = _start()

    def render(self, html: str, created: date) -> RenderedPdf:
        """The PDF of `html`, dated `created`, so that the same input gives the same bytes.

        Raises RenderFailed when the renderer complains, crashes or takes longer than the timeout.
        """
        midnight = datetime(created.year, created.month, created.day, tzinfo=UTC)
        with self._lock:
            answer = self._ask({"html": html, "created": int(midnight.timestamp())})
        if "error" in answer:
            raise RenderFailed(answer["error"])
        return RenderedPdf(pdf=b64decode(answer["pdf"]), pages=answer["pages"])

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._discard()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._child = self._child or _start()
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            child.kill()

        timer = threading.Timer(self._timeout, give_up)
        timer.start()
        try:
            return _exchange(child, request)
        except (OSError, struct.error, ValueError) as error:
            self._discard()
            raise RenderFailed("renderer_timed_out" if timed_out.is_set() else "renderer_died") from error
        finally:
            timer.cancel()

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close_quietly(pipe)
        child.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(_CHILD), _REGULAR, _BOLD, _ITALIC],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _NEEDED_BY_PYTHON if name in os.environ},
        # Ctrl-C goes to the whole group: the worker still wants to finish the document it holds.
        start_new_session=True,
    )


def _exchange(child: subprocess.Popen[bytes], request: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    body = json.dumps(request).encode("utf-8")
    child.stdin.write(struct.pack(">I", len(body)) + body)
    child.stdin.flush()
    (length,) = struct.unpack(">I", child.stdout.read(4))
    answer: dict[str, Any] = json.loads(child.stdout.read(length))
    return answer


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:
        return
