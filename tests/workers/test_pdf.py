"""The real renderer: what a reader, a scanner and an attacker get from it."""

import socket
import struct
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp

from workers.adapters import pdf as pdf_module
from workers.adapters.memory import MemoryFiles
from workers.adapters.pdf import ChildProcessPdf
from workers.core.documents import invoice_html, invoice_view
from workers.core.errors import RenderFailed
from workers.core.jobs import RenderJob, Snapshot
from workers.core.outcomes import Done
from workers.core.payment import epc_payload
from workers.handlers.render_invoice import render_invoice
from workers.ports import Ports, RenderedPdf

Make = Callable[..., Snapshot]
DAY = date(2026, 11, 22)


def rendered(pdf: ChildProcessPdf, snapshot: Snapshot, logo: str | None = None) -> RenderedPdf:
    view = invoice_view(snapshot, logo, pdf.typeface)
    document = pdf.render(invoice_html(view, len(view.pages)), snapshot.issue_date)
    assert document.pages == len(view.pages)
    return document


@contextmanager
def opened(document: RenderedPdf) -> Iterator[pypdfium2.PdfDocument]:
    reader = pypdfium2.PdfDocument(document.pdf)
    try:
        yield reader
    finally:
        reader.close()


def texts(document: RenderedPdf) -> list[str]:
    with opened(document) as reader:
        return [page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in reader]


def png(width: int, height: int) -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x20\x60\xa0" * width) * height)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b64encode(data).decode()


@pytest.mark.req("D14")
@pytest.mark.parametrize(("lines", "pages"), [(1, 1), (10, 1), (60, 3), (200, 8)])
def test_every_page_says_which_it_is_and_shows_euros_and_accents(
    pdf: ChildProcessPdf, snapshot: Make, lines: int, pages: int
) -> None:
    found = texts(rendered(pdf, snapshot(lines, locale="fr")))
    assert len(found) == pages
    for number, text in enumerate(found, 1):
        assert f"Page {number} sur {pages}" in text
        assert "€" in text
        assert "é" in text or "É" in text
        assert "\ufffd" not in text


@pytest.mark.req("D7")
def test_the_document_says_what_the_law_wants(pdf: ChildProcessPdf, snapshot: Make) -> None:
    (text,) = texts(rendered(pdf, snapshot(3)))
    for wanted in (
        "2026-00001",
        "22/11/2026",
        "Garage Noord BV",
        "BE 0123.456.749",
        "Carla Peeters-Lefèvre",
        "1-ABC-234",
        "WVWZZZCDZMW123456",
        "84.512 km",
        "Oliefilter MANN W 712/95",
        "€ 95,125",
        "21%",
        "6%",
        "+++001/2345/60325+++",
        "BE68 5390 0754 7034",
    ):
        assert wanted in text.replace("\xa0", " "), wanted


@pytest.mark.req("D7")
@pytest.mark.parametrize("accent", [None, "#ffd400"])
def test_the_payment_code_can_be_scanned_from_the_page(
    pdf: ChildProcessPdf, snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]], accent: str | None
) -> None:
    invoice = snapshot(2, garage=snapshot_payload(2)["garage"] | {"accent_color": accent})
    with opened(rendered(pdf, invoice)) as reader:
        (code,) = zxingcpp.read_barcodes(reader[0].render(scale=2).to_pil())
    assert code.text == epc_payload(invoice)


def test_nothing_to_pay_means_nothing_to_scan(pdf: ChildProcessPdf, snapshot: Make) -> None:
    invoice = snapshot(1, totals={"net": "-10.00", "vat": "-2.10", "gross": "-12.10"})
    with opened(rendered(pdf, invoice)) as reader:
        assert not zxingcpp.read_barcodes(reader[0].render(scale=2).to_pil())


@pytest.mark.req("D14")
def test_the_same_snapshot_gives_the_same_bytes_also_after_another_document(
    pdf: ChildProcessPdf, snapshot: Make
) -> None:
    first = rendered(pdf, snapshot(3))
    rendered(pdf, snapshot(2, locale="en"))
    assert rendered(pdf, snapshot(3)) == first


def test_only_embedded_fonts_are_used_for_what_is_printed(pdf: ChildProcessPdf, snapshot: Make) -> None:
    with opened(rendered(pdf, snapshot(3))) as reader:
        names = {
            item.get_font().get_base_name()
            for item in reader[0].get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
        }
    assert names
    assert all("SourceSansPro" in name for name in names)


@pytest.mark.parametrize(("width", "height"), [(400, 100), (60, 300)])
def test_a_logo_takes_the_place_of_the_initial(
    pdf: ChildProcessPdf, snapshot: Make, width: int, height: int
) -> None:
    (with_logo,) = texts(rendered(pdf, snapshot(1), png(width, height)))
    (without,) = texts(rendered(pdf, snapshot(1)))
    assert "G Garage Noord" in without
    assert "G Garage Noord" not in with_logo


@pytest.mark.parametrize(
    "logo", ["bm90IGEgcG5n", "%%%", b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 40).decode()]
)
def test_a_logo_that_is_none_falls_back_to_the_initial(
    pdf: ChildProcessPdf, snapshot: Make, logo: str
) -> None:
    (text,) = texts(rendered(pdf, snapshot(1), logo))
    assert "G Garage Noord" in text


@pytest.mark.parametrize("lines", range(5, 13))
def test_predicted_pages_are_the_pages_around_a_page_break(
    pdf: ChildProcessPdf, snapshot: Make, lines: int
) -> None:
    rendered(pdf, snapshot(lines))
    rendered(pdf, snapshot(lines, vehicle=None, note="Waarborg: twee jaar op onderdelen. " * 20))


@pytest.mark.req("D14")
def test_hostile_text_is_printed_as_it_is(
    pdf: ChildProcessPdf, snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]]
) -> None:
    payload = snapshot_payload(1)
    words = (
        "<b>vet</b> file:///etc/passwd http://169.254.169.254/ \u202eEUR 1\u202c " + "W" * 400 + " 🚗 שלום"
    )
    garage = {name: f"{value} {words}"[:120] for name, value in payload["garage"].items() if value}
    document = rendered(
        pdf,
        snapshot(
            1,
            lines=[payload["lines"][0] | {"description": words}],
            note=words * 2,
            customer=dict.fromkeys(payload["customer"], words[:120]),
            vehicle=payload["vehicle"] | {"make": "M" * 60, "model": "W" * 60, "plate": "WWW-WWW-WWW-WWW"},
            garage=garage | {"bic": None, "accent_color": None, "logo_sha256": None, "trade_name": "W" * 70},
        ),
    )
    text = "\n".join(texts(document))
    assert "<b>vet</b>" in text
    assert "root:" not in text
    assert "\u202e" not in text


@pytest.mark.req("D14", "G4")
@pytest.mark.parametrize(
    "markup",
    [
        '<img src="{url}/x.png">',
        '<img src="file://{file}">',
        '<img src="{file}">',
        '<link rel="stylesheet" href="{url}/x.css">',
        '<style>@import url("{url}/x.css");</style>',
        '<style>@font-face {{ font-family: x; src: url("{file}"); }}</style><p style="font-family: x">x</p>',
        "<div style=\"background-image: url('{url}/x.png')\">x</div>",
    ],
)
def test_even_markup_in_a_template_reaches_neither_network_nor_files(
    pdf: ChildProcessPdf, tmp_path: Path, markup: str
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n-secret-")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        try:
            document = pdf.render(f"<p>.</p>{markup.format(url=url, file=secret)}", DAY)
            assert b"-secret-" not in document.pdf
        except RenderFailed:
            pass
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "html",
    [
        '<p style="font-family: document">x</p><img src="data:image/png;base64,AAAA">',
        "<style>@page { @frame a { -pdf-frame-content: a; width: 9mm; height: 5mm } }</style>"
        '<div id="a">much too long for its frame</div><p>x</p>',
    ],
)
def test_what_the_renderer_would_pass_over_is_a_failure(pdf: ChildProcessPdf, html: str) -> None:
    with pytest.raises(RenderFailed, match="renderer_complained"):
        pdf.render(html, DAY)


def test_a_renderer_that_takes_too_long_is_killed_and_replaced(snapshot: Make) -> None:
    renderer = ChildProcessPdf(timeout_seconds=2.0)
    try:
        with pytest.raises(RenderFailed, match="renderer_timed_out"):
            renderer.render("<p>" + "<b>x</b> " * 60000, DAY)
        renderer._timeout = 30.0
        assert rendered(renderer, snapshot(1)).pages == 1
    finally:
        renderer.close()


def test_a_renderer_that_dies_is_replaced(snapshot: Make) -> None:
    renderer = ChildProcessPdf()
    try:
        assert renderer._child is not None
        renderer._child.kill()
        with pytest.raises(RenderFailed, match="renderer_died"):
            renderer.render("<p>x</p>", DAY)
        assert rendered(renderer, snapshot(1)).pages == 1
    finally:
        renderer.close()


@pytest.mark.req("D10")
def test_the_renderer_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTEXOR_SERVICE_ROLE_KEY", "hidden")
    renderer = ChildProcessPdf()
    try:
        renderer.render("<p>x</p>", DAY)
        assert renderer._child is not None
        environment = Path(f"/proc/{renderer._child.pid}/environ")
        if environment.exists():
            names = {entry.split(b"=")[0] for entry in environment.read_bytes().split(b"\0") if entry}
            assert names <= {b"PATH", b"LD_LIBRARY_PATH"}
    finally:
        renderer.close()


def test_the_lock_holds_against_code_in_the_renderer_itself(tmp_path: Path) -> None:
    program = (
        "import sys, runpy, socket, subprocess\n"
        "child = runpy.run_path(sys.argv[1])\n"
        "child['lock_up']()\n"
        "for attempt in (lambda: open(sys.argv[2]), lambda: subprocess.run(['true']),\n"
        "                lambda: socket.create_connection(('127.0.0.1', 9))):\n"
        "    try:\n"
        "        attempt()\n"
        "    except PermissionError:\n"
        "        print('refused')\n"
    )
    secret = tmp_path / "secret"
    secret.touch()
    child = str(pdf_module._CHILD)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, child, str(secret)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["refused"] * 3


@pytest.mark.req("D14")
def test_the_handler_files_a_document_whose_note_spills_over(
    pdf: ChildProcessPdf, render_job: Callable[..., RenderJob], ports: Ports
) -> None:
    files = MemoryFiles()
    job = render_job(3, note="\n".join("regel" for _ in range(160)))
    outcome = render_invoice(job, replace(ports, files=files, pdf=pdf))
    assert isinstance(outcome, Done)
    stored = RenderedPdf(files.stored["invoices", job.storage_path], outcome.result["page_count"])
    assert f"Pagina 1 van {stored.pages}" in texts(stored)[0]
    assert len(texts(stored)) == stored.pages
