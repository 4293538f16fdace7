"""One function per kind of work: `(job, ports) -> Outcome`."""

from __future__ import annotations

from workers.core.jobs import CheckJob, Job, PushJob, ReceiptsJob, RemoveFileJob, RenderJob, SendJob
from workers.core.outcomes import Outcome
from workers.handlers.check_push_receipts import check_push_receipts
from workers.handlers.check_template import check_template
from workers.handlers.remove_file import remove_file
from workers.handlers.render_invoice import render_invoice
from workers.handlers.send_message import send_message
from workers.handlers.send_push import send_push
from workers.ports import Ports


def handle(job: Job, ports: Ports) -> Outcome:
    """Do one job."""
    match job:
        case RenderJob():
            return render_invoice(job, ports)
        case SendJob():
            return send_message(job, ports)
        case PushJob():
            return send_push(job, ports)
        case CheckJob():
            return check_template(job, ports)
        case ReceiptsJob():
            return check_push_receipts(job, ports)
        case RemoveFileJob():
            return remove_file(job, ports)
