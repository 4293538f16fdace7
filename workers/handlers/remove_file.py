"""Remove one stored file: its row is gone, because its person asked for that or its time had come."""

from __future__ import annotations

from workers.core.errors import WorkerError
from workers.core.jobs import RemoveFileJob
from workers.core.outcomes import Done, Outcome
from workers.handlers.failures import outcome_of
from workers.ports import Ports


def remove_file(job: RemoveFileJob, ports: Ports) -> Outcome:
    """Done once the file is not there; it can be tried any number of times."""
    try:
        ports.files.remove(job.bucket, job.path)
    except WorkerError as error:
        return outcome_of(error, job.attempt)
    return Done({})
