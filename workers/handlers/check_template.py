"""Try a garage's new wording with sample data: it is live afterwards, or refused with the reason."""

from __future__ import annotations

from workers.core.checking import problem_of
from workers.core.jobs import CheckJob
from workers.core.outcomes import Done, Outcome
from workers.ports import Ports


def check_template(job: CheckJob, ports: Ports) -> Outcome:
    """Done with a verdict, `live` or `refused`, and the problem by part and line."""
    problem = problem_of(job.template, job.channel, job.locale, job.wording)
    return Done({"verdict": "refused" if problem else "live", "problem": problem})
