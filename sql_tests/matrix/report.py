"""What the matrix tried, what it found to be wrong, and which of its cells prove nothing."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Failure:
    """A cell that did not turn out as decided; `crosses` when something of another garage was reached."""

    verb: str
    subject: str
    caller: str
    found: str
    crosses: bool = False

    def __str__(self) -> str:
        return f"{self.caller}: {self.verb} {self.subject}: {self.found}"


@dataclass
class Report:
    """The cells of a run, counted by verb."""

    cells: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    vacuous: list[str] = field(default_factory=list)

    def tried(self, verb: str, cells: int = 1) -> None:
        """Count cells."""
        self.cells[verb] += cells

    def fail(self, verb: str, subject: str, caller: str, found: object, crosses: bool = False) -> None:
        """Note a cell that turned out wrong."""
        self.failures.append(Failure(verb, subject, caller, str(found)[:700], crosses))

    def empty(self, verb: str, subject: str, why: object) -> None:
        """Note cells whose positive control failed: their denials prove nothing."""
        self.vacuous.append(f"{verb} {subject}: {why}"[:700])

    @property
    def summary(self) -> str:
        """One line for people."""
        by_verb = ", ".join(f"{verb} {count:,}" for verb, count in self.cells.items())
        return f"isolation matrix: {self.cells.total():,} cells ({by_verb}), {len(self.vacuous)} vacuous"
