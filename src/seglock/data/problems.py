"""A problem of a dataset, and the one message that lists them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seglock.errors import DataError

_SHOWN = 8


@dataclass(frozen=True)
class Problem:
    """One problem: its kind, the split and id (or file) it is at, and what is wrong there."""

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def require_sound(problems: Sequence[Problem], where: Path) -> None:
    """Raise one DataError that lists all problems, if there are any.

    One line a problem, grouped by kind; of a kind the first few and a count of the rest.
    """
    if not problems:
        return
    many = "s" * (len(problems) > 1)
    lines = [f"{where} must be a sound dataset, got {len(problems)} problem{many}:"]
    for kind, count in Counter(problem.kind for problem in problems).items():
        lines.append(f"{kind} ({count}):")
        lines += [f"  {problem}" for problem in problems if problem.kind == kind][:_SHOWN]
        if count > _SHOWN:
            lines.append(f"  ... and {count - _SHOWN} more")
    raise DataError("\n".join(lines))
