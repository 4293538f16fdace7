"""What the demo found out: each fact is told when it is proved, kept, and printed as JSON at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.output import tell


@dataclass
class Facts:
    """`values` are the numbers and ids; a claim that does not hold lands in `failures`."""

    values: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    denials: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def step(self, title: str) -> None:
        """Begin the next step of the story."""
        self.steps.append({"title": title, "proved": []})
        tell(f"\n{len(self.steps)}. {title}", style="bold")

    def prove(self, claim: str, holds: bool, seen: object = None) -> None:
        """Tell one claim of this step and whether it holds; `seen` is what was found."""
        text = claim if seen is None else f"{claim}: {_told(seen)}"
        if holds:
            self.steps[-1]["proved"].append(text)
            tell(f"   ✓ {text}", style="green")
        else:
            self.failures.append(text)
            tell(f"   ✗ {text}", style="bold red")

    def deny(self, name: str, *, control: str, expected: object, actual: object) -> None:
        """Tell one refusal. `control` is the same request, allowed to someone who may."""
        is_refused = actual == expected
        self.denials.append(
            {"name": name, "control": control, "expected": expected, "actual": actual, "ok": is_refused}
        )
        self.prove(f"{name} is refused ({control})", is_refused, actual)

    def fail(self, reason: str) -> None:
        """Note a failure that ended the story early."""
        self.failures.append(reason)

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for `--json`."""
        return {
            "ok": not self.failures,
            **self.values,
            "denials": self.denials,
            "steps": self.steps,
            "failures": self.failures,
        }


def _told(seen: object) -> str:
    if isinstance(seen, Mapping):
        return ", ".join(f"{value} {name}" for name, value in seen.items())
    if isinstance(seen, list | tuple | set):
        return ", ".join(_told(one) for one in seen)
    return str(seen)
