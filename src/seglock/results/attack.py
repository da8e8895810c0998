"""The results of attacks and of analyses, read from data/attacks and checked as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from seglock import files
from seglock.errors import ReportError
from seglock.results.record import Record

Tier = Literal["T0", "T1", "T2", "T3"]
Kind = TypeVar("Kind", bound=Record)
TIERS: dict[Tier, str] = {
    "T0": "the model and photos without labels",
    "T1": "also labelled plain images",
    "T2": "the model, photos and encrypted images",
    "T3": "also pairs of both, or an oracle that encrypts",
}
ANALYSIS = "analysis"
"""The tier of what knows the secret: it shows how a lock behaves, and is no attack."""


class Budget(Record):
    """What one attack might spend; ``labelled`` are shares of the task's labelled images."""

    queries: int
    seconds: float
    labelled: tuple[float, ...] = ()


class Line(Record):
    """One candidate of an attack; ``source`` is theft or scratch where it was trained."""

    miou: float
    source: str | None = Field(default=None, alias="from")
    labelled: int | None = None
    share: float | None = None


class AttackResult(Record):
    """One attack's JSON, as far as the report shows it.

    labelled: how many labelled images the chosen network was trained on, for attacks that train.
    course: (queries, best score so far) at each gain, lower is better; empty for attacks that do
    not search. curve: every candidate, in the order of the attack.
    """

    attack: str
    tier: Tier
    lock: str
    budget: Budget
    unit: str
    queries: int
    seconds: float
    miou: float
    floor: float
    correct: float
    regained: float | None
    plan_found: bool | None
    above_chance: bool | None
    scratch_miou: float | None = None
    labelled: int | None = None
    cross_entropy: float | None = None
    signal: float | None = None
    course: tuple[tuple[float, float], ...] = ()
    curve: tuple[Line, ...] = ()

    @property
    def score(self) -> str:
        """What the course counts, in words."""
        if self.signal is not None:
            return "signal"
        return "score" if self.cross_entropy is None else "cross-entropy"


class Point(Record):
    """Plans at one distance from the right one: mean IoU over them, and its range."""

    miou: float
    changes: float | None = None
    min: float | None = None
    max: float | None = None


class Analysis(Record):
    """The JSON of what starts from the secret itself."""

    attack: str
    tier: Literal["analysis"]
    lock: str
    floor: float
    correct: float
    curve: tuple[Point, ...] = ()


def read_attacks(root: Path, locks: Iterable[str]) -> list[AttackResult]:
    """The attacks on ``locks``, by tier, then lock by lock; none where none were attacked.

    Raises ReportError, naming the stage to run, for a file that is damaged or of another lock.
    """
    results = list(_read(root, locks, AttackResult, analyses=False))
    return sorted(results, key=lambda result: list(TIERS).index(result.tier))


def read_analyses(root: Path, locks: Iterable[str]) -> list[Analysis]:
    """The analyses of ``locks``, lock by lock; raises what `read_attacks` raises."""
    return list(_read(root, locks, Analysis, analyses=True))


def _read(root: Path, locks: Iterable[str], kind: type[Kind], *, analyses: bool) -> Iterator[Kind]:
    for lock in locks:
        fix = f"run dvc repro attack@{lock}"
        for path in sorted((root / "data" / "attacks" / lock).glob("*.json")):
            value: Any = files.read_json(path, error=ReportError, fix=fix)
            is_analysis = isinstance(value, dict) and value.get("tier") == ANALYSIS
            if is_analysis != analyses:
                continue
            result = kind.check(value, where=str(path), fix=fix)
            if value["lock"] != lock:
                raise ReportError(f"{path} must be about lock {lock}", got=value["lock"], fix=fix)
            yield result
