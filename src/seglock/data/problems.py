"""A problem of a dataset, and the one message that lists them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seglock.errors import DataError


@dataclass(frozen=True)
class Problem:
    """One problem: its kind, the split and id (or file) it is at, and what is wrong there."""

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def summarise(problems: Sequence[Problem], *, limit: int = 8) -> str:
    """One line a problem, grouped by kind, at most ``limit`` of a kind and a count of the rest."""
    lines = []
    for kind, count in Counter(problem.kind for problem in problems).items():
        shown = [problem for problem in problems if problem.kind == kind][:limit]
        lines.append(f"{kind} ({count}):")
        lines += [f"  {problem}" for problem in shown]
        if count > limit:
            lines.append(f"  ... and {count - limit} more")
    return "\n".join(lines)


def require_sound(problems: Sequence[Problem], where: Path) -> None:
    """Raise one DataError that lists all problems, if there are any."""
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise DataError(f"{where} must be a sound dataset, got {count}:\n{summarise(problems)}")
