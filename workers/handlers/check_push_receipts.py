"""Ask the push service what became of pushes that it took."""

from __future__ import annotations

from workers.core.errors import ProviderRefused, ProviderUnavailable, WorkerError
from workers.core.jobs import ReceiptsJob
from workers.core.outcomes import Done, GiveUp, Outcome, RetryLater
from workers.core.retry import backoff
from workers.ports import Ports


def check_push_receipts(job: ReceiptsJob, ports: Ports) -> Outcome:
    """Done with the receipts there are; those that are missing are asked for again later, by the database.

    Asking changes nothing, so whatever is not a refusal is tried again, an answer that never came, too.
    """
    try:
        receipts = ports.pusher.receipts(job.tickets)
    except ProviderRefused as error:
        return GiveUp(error.reason)
    except WorkerError as error:
        retry_after = error.retry_after if isinstance(error, ProviderUnavailable) else None
        return RetryLater(error.reason, backoff(job.attempt, retry_after))
    asked = set(job.tickets)
    told = {ticket: {"error": receipt.error} for ticket, receipt in receipts.items() if ticket in asked}
    return Done({"receipts": told})
