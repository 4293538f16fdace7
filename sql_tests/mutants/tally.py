"""Counting verdicts, and which survivors are no hole at all."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sql_tests.mutants.suite import Verdict

BAR = 0.95
# Survivors that open nothing, and why: conditions that another one beside them makes superfluous.
UNIQUE = "it hangs from a row that was found in the garage before, and ids are one garage's own"
KEYED = "the foreign key refuses a customer of another garage just the same"
OWN = "it is about the caller's own rows, which tests of the subject look at"
MORE = "without it more is refused, not less"
NO_HOLE = {
    r"accept_invitation\(.*without 7:": MORE,
    r"credit_invoice\(.*without 4:": UNIQUE,
    r"invoice_work_order\(.*without [357]:": UNIQUE,
    r"issue_invoice\(.*without [357]:": UNIQUE,
    r"merge_customers\(.*without (1|6|8|10|14|16|18|20|22):": UNIQUE,
    r"plan_erasure\(.*without 1:": UNIQUE,
    r"portal_mark_conversation_read\(.*without [14]:": UNIQUE,
    r"portal_mark_conversation_read\(.*without 6:": OWN,
    r"portal_send_message\(.*without 1:": UNIQUE,
    r"render_again\(.*without 4:": UNIQUE,
    r"render_source\(.*without [12]:": UNIQUE,
    r"resend_invitation\(.*without 1:": UNIQUE,
    r"retry_delivery\(.*without 4:": UNIQUE,
    r"revoke_invitation\(.*without [135]:": UNIQUE,
    r"trace_invoice\(.*without (3|5|9|11|13|17|18|20|22|24|26):": UNIQUE,
    r"trace_invoice\(.*without 19:": OWN,
    r"transfer_vehicle\(.*without 3:": KEYED,
    r"transfer_vehicle\(.*without 5:": UNIQUE,
}


@dataclass
class Tally:
    """Verdicts by kind."""

    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """One more."""
        self.verdicts.append(verdict)

    @property
    def exploitable(self) -> list[Verdict]:
        """Grants, keys, checks and switches that nothing else holds back."""
        return [v for v in self.verdicts if not v.mutant.behind_locks and no_hole(v) is None]

    @property
    def survivors(self) -> list[Verdict]:
        """What no test noticed and is a hole."""
        return [v for v in self.verdicts if not v.is_killed and no_hole(v) is None]

    @property
    def harmful(self) -> list[Verdict]:
        """Single policies that let somebody into another garage: there must be none."""
        return [v for v in self.verdicts if v.mutant.behind_locks and v.crosses]

    @property
    def share(self) -> float:
        """The killed ones among the exploitable."""
        found = self.exploitable
        return sum(v.is_killed for v in found) / len(found) if found else 1.0

    @property
    def is_good(self) -> bool:
        """Two locks hold, and neither of the broken ones nor of the rest more than 5 % get by."""
        behind = [v for v in self.verdicts if v.mutant.behind_locks]
        unnoticed = [v for v in self.survivors if v.mutant.behind_locks]
        return not self.harmful and len(unnoticed) <= (1 - BAR) * len(behind) and self.share >= BAR

    def rows(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Planted, killed, no hole, survived and harmful, by kind and in all."""
        kinds = dict.fromkeys(v.mutant.kind for v in self.verdicts)
        for kind in (*kinds, "all"):
            of_kind = [v for v in self.verdicts if kind in (v.mutant.kind, "all")]
            killed = sum(v.is_killed for v in of_kind)
            harmless = sum(not v.is_killed and no_hole(v) is not None for v in of_kind)
            harmful = sum(v.mutant.behind_locks and v.crosses for v in of_kind)
            yield kind, (len(of_kind), killed, harmless, len(of_kind) - killed - harmless, harmful)

    def lines(self) -> Iterator[str]:
        """Survivors and harmful ones by name, and the share."""
        for verdict in self.harmful:
            yield f"reached another garage: {verdict.mutant}"
        for verdict in self.survivors:
            yield f"survived: {verdict.mutant}"
        for verdict in self.verdicts:
            if not verdict.is_killed and (why := no_hole(verdict)):
                yield f"no hole: {verdict.mutant} ({why})"
        killed = sum(v.is_killed for v in self.exploitable)
        yield f"{killed:,} of {len(self.exploitable):,} exploitable mutants killed ({self.share:.1%})"


def no_hole(verdict: Verdict) -> str | None:
    """Why a mutant opens nothing, if that is known."""
    return next((why for name, why in NO_HOLE.items() if re.search(name, str(verdict.mutant))), None)
