"""What became of every message, set against what the providers took."""

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.chaos.stage import Stage

_ROWS = """
select id::text, 'communications' as kind, status, last_error from public.communications
union all
select id::text, 'push_notifications', status, last_error from public.push_notifications
union all
select id::text, 'invoice_documents', status, last_error from public.invoice_documents
"""
_UNSETTLED = """
select (select count(*) from public.communications where status in ('queued', 'sending'))
     + (select count(*) from public.push_notifications where status in ('queued', 'sending'))
     + (select count(*) from public.invoice_documents where status in ('pending', 'rendering'))
     + (select sum(depth) from private.queue_metrics() where queue <> 'receipts') as n
"""
_SUCCESSES = """
select extract(epoch from finished_at)::float8 as at from public.delivery_attempts
 where outcome = 'done' order by 1
"""
_POISONED = "select count(*) as n from private.poisoned_messages where set_aside_at is not null"
SENT = frozenset({"sent", "delivered", "read"})
FINAL = SENT | {"unknown", "failed", "stored"}


@dataclass
class Verdict:
    """Counts of what happened, and every violation in words."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The verdict as a person reads it."""
        counts = (self.statuses, self.reasons, self.notes)
        told = [f"{name}: {count}" for found in counts for name, count in sorted(found.items())]
        for what, seconds in sorted(self.recoveries.items()):
            told.append(f"recovery after {what}: {len(seconds)} times, most {max(seconds):.1f} s")
        return [
            *told,
            *(f"VIOLATION {each}" for each in self.violations),
            f"violations: {len(self.violations)}",
        ]


def unsettled(stage: Stage) -> int:
    """How many rows and messages are not at their end."""
    return int(stage.ask(_UNSETTLED)[0]["n"])


def judge(stage: Stage, poison: int, disturbances: list[tuple[str, float]], limit: float) -> Verdict:
    """Every row in a final state, sent exactly when it was taken, never twice; `limit` for the recovery."""
    verdict = Verdict()
    accepted = stage.relay.accepted()
    for row in stage.ask(_ROWS):
        verdict.statuses[f"{row['kind']} {row['status']}"] += 1
        if row["status"] in ("unknown", "failed"):
            verdict.reasons[f"{row['status']}, {row['last_error']}"] += 1
        if row["status"] not in FINAL:
            verdict.violations.append(f"{row['kind']} {row['id']} is {row['status']}")
        elif row["kind"] != "invoice_documents":
            _weigh(verdict, row["id"], row["status"], accepted.pop(row["id"], 0))
    for reference, count in accepted.items():
        verdict.violations.append(f"{count} messages of {reference}, which is no row")
    _count_poison(stage, verdict, poison)
    _time(stage, verdict, disturbances, limit)
    return verdict


def _weigh(verdict: Verdict, reference: str, status: str, count: int) -> None:
    """A row against the number of times its message was taken."""
    if status == "unknown":
        verdict.notes[f"unknown, in truth taken {count} times"] += 1
        return
    if count != (status in SENT):
        verdict.violations.append(f"{reference} is {status} and was taken {count} times")


def _count_poison(stage: Stage, verdict: Verdict, poison: int) -> None:
    found = int(stage.ask(_POISONED)[0]["n"])
    verdict.notes["poison set aside"] = found
    if found != poison:
        verdict.violations.append(f"{found} of {poison} poisoned messages were set aside")
    if left := unsettled(stage):
        verdict.violations.append(f"{left} rows and messages are not at their end")


def _time(stage: Stage, verdict: Verdict, disturbances: list[tuple[str, float]], limit: float) -> None:
    """From each disturbance to the next success."""
    successes = [row["at"] for row in stage.ask(_SUCCESSES)]
    for what, at in disturbances:
        if what.startswith(("end", "stop")):
            verdict.violations.append(f"a worker's {what}")
        later = next((each for each in successes if each > at), None)
        if later is None:
            continue
        verdict.recoveries.setdefault(what, []).append(later - at)
        if later - at > limit:
            verdict.violations.append(f"{later - at:.1f} s from a {what} to the next success")
