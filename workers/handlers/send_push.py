"""Push one notification to one device."""

from __future__ import annotations

from workers.core.errors import WorkerError
from workers.core.jobs import PushJob
from workers.core.messages import render_push
from workers.core.outcomes import Done, Outcome
from workers.handlers.failures import calling_provider, outcome_of
from workers.ports import Ports


def send_push(job: PushJob, ports: Ports) -> Outcome:
    """Done once the push service gave a ticket: that is not yet a delivery."""
    data = {"notification_id": str(job.data.notification_id), "kind": job.data.kind}
    push = render_push(job.template, job.locale, job.details, job.wording)
    try:
        with calling_provider():
            ticket = ports.pusher.push(job.expo_token, push, data)
    except WorkerError as error:
        return outcome_of(error, job.attempt, {"provider": ports.pusher.name})
    return Done({"ticket_id": ticket, "provider": ports.pusher.name})
