"""attacks/LOCK/NAME.json: what an attack, or an analysis of the owner's, got out of a lock.

The two figures that locks are compared by are defined here: `regained`, and for thieves with labels
`beyond_scratch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from seglock.errors import ReportError
from seglock.results.record import Record, RunId

ATTACKS = Path("data/attacks")
Tier = Literal["T0", "T1", "T2", "T3", "analysis"]
TIERS: dict[Tier, str] = {
    "T0": "the model and photos without labels",
    "T1": "also labelled plain images",
    "T2": "the model, photos and encrypted images",
    "T3": "also pairs of both, or an oracle that encrypts",
}
"""What a thief of each tier has. An ``analysis`` knows the secret: it shows how a lock behaves, and
is no attack."""
FIGURES = ("miou", "regained", "refused", "plan_found", "above_chance", "queries", "seconds")
"""The few numbers of a result that are told beside other figures."""


class OpenRecord(Record):
    """A record that says more than its fields, whatever an attack has to tell: all of it is kept,
    in its order, and nothing is added."""

    model_config = ConfigDict(extra="allow")
    _order: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _as_it_came(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(values)
        if isinstance(values, dict):
            made._order = tuple(values)
        return made

    @model_serializer(mode="wrap")
    def _in_order(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {name: values[name] for name in self._order}


class SpentBudget(Record):
    """What one attack might spend; ``labelled`` are shares of the task's labelled images."""

    queries: int
    seconds: float
    labelled: tuple[float, ...] = ()


class CurvePoint(OpenRecord):
    """One candidate of an attack, or the plans at one distance from the right one: their mean IoU.

    source: theft or scratch, where it was trained, on ``labelled`` images, a ``share`` of the
    task's. changes: of an analysis, how far from the right plan; ``min`` and ``max`` over them.
    """

    miou: float
    source: str | None = Field(default=None, alias="from")
    labelled: int | None = None
    share: float | None = None
    changes: int | float | None = None
    min: float | None = None
    max: float | None = None


class AttackResult(OpenRecord):
    """One result. Mean IoU is of the test split, 0 to 1; ``queries`` count ``unit``.

    refused: the share of the test images, 0 to 1, that get one class at every pixel, the one that
    the training masks have most; None in files of versions that did not measure it.
    labelled: how many labelled images the chosen network was trained on, for attacks that train.
    course: (queries, best score so far) at each gain, lower is better; empty for attacks that do
    not search. curve: every candidate, in the order of the attack. run_id: of the network's
    training; None in files of versions that did not keep it.
    """

    attack: str
    tier: Tier
    lock: str
    budget: SpentBudget
    unit: str
    queries: int
    seconds: float
    miou: float
    refused: float | None = None
    floor: float
    correct: float
    regained: float | None
    plan_found: bool | None
    above_chance: bool | None
    scratch_miou: float | None = None
    labelled: int | None = None
    cross_entropy: float | None = None
    signal: float | None = None
    course: tuple[tuple[int, float], ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    run_id: RunId | None = None

    @property
    def is_analysis(self) -> bool:
        """Whether it started from the secret itself."""
        return self.tier == "analysis"

    @property
    def score(self) -> str:
        """What the course counts, in words."""
        if self.signal is not None:
            return "signal"
        return "score" if self.cross_entropy is None else "cross-entropy"

    @property
    def figures(self) -> dict[str, float]:
        """Those of ``FIGURES`` that there are, by name; 1 for true."""
        found = {name: getattr(self, name) for name in FIGURES}
        return {
            name: int(value) if isinstance(value, bool) else value
            for name, value in found.items()
            if value is not None
        }


def regained(miou: float, *, owner: float, floor: float) -> float | None:
    """Share of the owner's gain over the floor that is open to all: 0 perfect, 1 no lock.

    None where the owner is no better than the floor. Below 0 the lock beats the floor.

    >>> regained(0.5, owner=0.75, floor=0.25), regained(0.5, owner=0.25, floor=0.25)
    (0.5, None)
    """
    return (miou - floor) / (owner - floor) if owner > floor else None


class BeyondScratch(Record):
    """The strongest of a lock's T1 attacks on so many labelled images, beside doing without it.

    scratch_miou: the best that any of the attacks' procedures made of the same images without the
    theft, from scratch or from published weights, within the same budget: a thief who has the
    labels can do that instead, whichever attack is the strongest.
    beyond: how much more the theft gave, in mean IoU: 0 or less, and it saved nothing. share: of
    the task's labelled images, 0 to 1. regained: of the attack, as everywhere.
    """

    labelled: int
    share: float | None
    attack: str
    miou: float
    scratch_miou: float
    beyond: float
    regained: float | None


def beyond_scratch(results: Iterable[AttackResult]) -> tuple[BeyondScratch, ...]:
    """What the theft of one lock saved thieves with labels, for each number of labelled images.

    Fewest images first; empty without an attack that trains. Searches use the most images that
    the budget allows, so they count there.
    """
    own = [one for one in results if one.tier == "T1"]
    searches = [one for one in own if all(line.labelled is None for line in one.curve)]
    trained = [(one, line) for one in own for line in one.curve if line.labelled is not None]
    counts = sorted({line.labelled or 0 for _, line in trained if line.source == "scratch"})
    found = []
    for count in counts:
        here = [(one, line) for one, line in trained if line.labelled == count]
        thefts = [(line.miou, one) for one, line in here if line.source == "theft"]
        if count == counts[-1]:
            thefts += [(one.miou, one) for one in searches]
        without = max(line.miou for _, line in here if line.source == "scratch")
        miou, best = max(thefts, key=lambda theft: theft[0])
        found.append(
            BeyondScratch(
                labelled=count,
                share=here[0][1].share,
                attack=best.attack,
                miou=miou,
                scratch_miou=without,
                beyond=miou - without,
                regained=regained(miou, owner=best.correct, floor=best.floor),
            )
        )
    return tuple(found)


def read_attacks(root: Path, locks: Iterable[str]) -> list[AttackResult]:
    """The results of ``locks``: attacks by tier, then analyses, each lock by lock.

    Raises ReportError, naming the stage to run, for a file that is damaged or of another lock.
    """
    results = []
    for lock in locks:
        fix = f"run dvc repro attack@{lock}"
        for path in sorted((root / ATTACKS / lock).glob("*.json")):
            result = AttackResult.read(path, fix=fix)
            if result.lock != lock:
                raise ReportError(f"{path} must be about lock {lock}", got=result.lock, fix=fix)
            results.append(result)
    order = [*TIERS, "analysis"]
    return sorted(results, key=lambda result: order.index(result.tier))
