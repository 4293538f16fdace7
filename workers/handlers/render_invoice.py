"""Render an invoice's frozen snapshot and file the PDF in private storage."""

from __future__ import annotations

from hashlib import sha256

from workers.core.documents import INVOICE_TEMPLATE_VERSION, invoice_html, invoice_view
from workers.core.errors import RenderFailed, WorkerError
from workers.core.jobs import RenderJob, Snapshot
from workers.core.outcomes import Done, Outcome
from workers.handlers.failures import outcome_of
from workers.ports import Pdf, Ports, RenderedPdf


def render_invoice(job: RenderJob, ports: Ports) -> Outcome:
    """Done with the file's size, hash and page count."""
    try:
        document = render_document(job.snapshot, job.logo_png_base64, ports.pdf)
        ports.files.upload(job.storage_bucket, job.storage_path, document.pdf, "application/pdf")
    except WorkerError as error:
        return outcome_of(error, job.attempt)
    return Done(
        {
            "byte_size": len(document.pdf),
            "sha256": sha256(document.pdf).hexdigest(),
            "page_count": document.pages,
            "template_version": INVOICE_TEMPLATE_VERSION,
        }
    )


def render_document(snapshot: Snapshot, logo_png_base64: str | None, pdf: Pdf) -> RenderedPdf:
    """The PDF of a snapshot; the same snapshot gives the same bytes. Raises RenderFailed."""
    view = invoice_view(snapshot, logo_png_base64, pdf.typeface)
    total = len(view.pages)
    document = pdf.render(invoice_html(view, total), snapshot.issue_date)
    if document.pages != total:
        # A note longer than its room spills over: say the real total on the second try.
        total = document.pages
        document = pdf.render(invoice_html(view, total), snapshot.issue_date)
    if document.pages != total:
        raise RenderFailed("page_count_unstable")
    return document
