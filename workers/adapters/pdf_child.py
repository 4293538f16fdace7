"""The program inside a rendering process: HTML frames in, PDF frames out.

It runs as a plain script (`python -I pdf_child.py regular.ttf bold.ttf italic.ttf`) with an empty
environment and imports nothing of ours. Once it is warm it may neither open a connection, nor start a
program, nor open a file outside Python's own directories. A frame is a big-endian length and that much
JSON: `{html, created}` in, `{pdf, pages}` or `{error}` out.
"""

from __future__ import annotations

import io
import json
import logging
import mimetypes
import os
import struct
import sys
from base64 import b64encode
from typing import Any, BinaryIO

import pypdf
from reportlab.lib.fonts import addMapping
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from xhtml2pdf import default, pisa
from xhtml2pdf.config.resources import ResourceAccessPolicy

MEMORY_BYTES = 768 * 1024 * 1024
CPU_SECONDS = 30
FAMILY = "document"

_STYLES = ((0, 0), (1, 0), (0, 1))
_FORBIDDEN = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
    }
)
_POLICY = ResourceAccessPolicy.server(None, allow_remote=False)
_WARM_UP = '<style>b { font-family: document }</style><p style="font-family: document">é € <b>é</b></p>'


class Complaints(logging.Handler):
    """Collects what the renderer only mentions in its log, such as text shrunk to fit a frame."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message without its arguments: those may quote the document."""
        self.messages.append(str(record.msg))


def register_fonts(files: list[str]) -> None:
    """Make the document's family known; an unregistered one would silently become Helvetica."""
    for path, (bold, italic) in zip(files, _STYLES, strict=True):
        name = f"{FAMILY}{bold}{italic}"
        pdfmetrics.registerFont(TTFont(name, path))
        addMapping(FAMILY, bold, italic, name)
    addMapping(FAMILY, 1, 1, f"{FAMILY}10")
    default.DEFAULT_FONT[FAMILY] = FAMILY


def render(html: str, created: int) -> dict[str, Any]:
    """One document; a warning is a failure, as the renderer gives no more for a missing font or picture."""
    os.environ["SOURCE_DATE_EPOCH"] = str(created)
    complaints = Complaints()
    log = logging.getLogger("xhtml2pdf")
    log.addHandler(complaints)
    try:
        target = io.BytesIO()
        context = pisa.CreatePDF(
            html, dest=target, encoding="utf-8", capacity=1 << 26, resource_policy=_POLICY
        )
    finally:
        log.removeHandler(complaints)
    if context.err or context.warn or context.log or complaints.messages:
        first = [entry[2] for entry in context.log] + complaints.messages
        return {"error": f"renderer_complained {first[0] if first else ''}"[:200]}
    pdf = target.getvalue()
    return {"pdf": b64encode(pdf).decode("ascii"), "pages": len(pypdf.PdfReader(io.BytesIO(pdf)).pages)}


def limit_resources() -> None:
    """Bound memory and the CPU time of one document, where the system can."""
    try:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.RLIM_INFINITY))
    except (ImportError, ValueError, OSError):
        return


def lock_up() -> None:
    """From here on: no connections, no programs, no files but Python's own. It cannot be undone."""
    mimetypes.init()  # it would read the system's tables at the first picture
    own = {sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)}
    roots = tuple(os.path.realpath(root) + os.sep for root in own)

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN:
            raise PermissionError(event)
        if event == "open" and isinstance(args[0], str | bytes):
            path = os.path.realpath(os.fsdecode(args[0]))
            if not path.startswith(roots):
                raise PermissionError("open")

    sys.addaudithook(refuse)


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """The next request, or None when the parent is done (or gone)."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    request: dict[str, Any] = json.loads(stream.read(struct.unpack(">I", head)[0]))
    return request


def main(fonts: list[str]) -> None:
    """Serve requests until the input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    register_fonts(fonts)
    render(_WARM_UP, 0)
    lock_up()
    while (request := read_frame(source)) is not None:
        limit_resources()
        try:
            answer = render(request["html"], request["created"])
        except Exception as error:  # noqa: BLE001 - whatever a document triggers is that document's failure
            answer = {"error": f"renderer_crashed {type(error).__name__}"}
        body = json.dumps(answer).encode("utf-8")
        target.write(struct.pack(">I", len(body)) + body)
        target.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
