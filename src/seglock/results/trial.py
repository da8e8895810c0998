"""What a study knows of each of its trials, and of the plain networks they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, computed_field

from seglock.results.attack import Tier
from seglock.results.record import Record, RunId

State = Literal["complete", "stopped", "failed"]
ENDS: tuple[State, ...] = get_args(State)
Objectives = tuple[float, float]
"""(owner_miou, unauthorised), 0 to 1: the first as high as possible, the second as low."""


class BaselineRecord(Record):
    """The plain network at one cost (epochs, image side), trained with several seeds.

    ``owner_miou`` has one value a seed; ``curves`` the validation mean IoU after each epoch.
    """

    epochs: int
    image_side: int
    seeds: tuple[int, ...]
    owner_miou: Annotated[tuple[float, ...], Field(min_length=1)]
    curves: tuple[tuple[float, ...], ...] = ()
    floor: float
    run_ids: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean(self) -> float:
        """What a drop is measured from."""
        return sum(self.owner_miou) / len(self.owner_miou)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def spread(self) -> float:
        """How far the seeds are apart: the largest minus the smallest."""
        return max(self.owner_miou) - min(self.owner_miou)


class Stopped(Record):
    """Which rule ended a trial early, and after which epoch."""

    rule: str
    epoch: int
    reason: str


class TrialRecord(Record):
    """A trial that counts: measured, stopped early, or failed for good.

    ``refuse`` is the weight of its refusal, 0 for none.
    All mean IoU are of the study's split, 0 to 1, None where nothing was measured. ``drop`` is
    the mean of the baselines of equal cost minus ``owner_miou``; ``regained`` is DESIGN's, None
    where the owner is no better than the floor; ``refused`` is as `Scores` has it. ``curve`` is the
    validation mean IoU after each epoch. With ``search.thief``, ``attacks`` has each attack's tier
    and figures by its name, and ``strongest`` names whose mean IoU ``unauthorised`` is: an attack,
    or ``plain``, ``plain_bn`` or ``incorrect_p95``.
    """

    number: int
    state: State
    lock: str
    steps: tuple[str, ...]
    method: str
    block_size: int
    fraction: str
    refuse: float = 0.0
    lr: float
    weight_decay: float
    epochs: int
    image_side: int
    owner_miou: float | None = None
    unauthorised: float | None = None
    plain: float | None = None
    plain_bn: float | None = None
    incorrect_mean: float | None = None
    incorrect_p95: float | None = None
    drop: float | None = None
    regained: float | None = None
    refused: float | None = None
    strongest: str | None = None
    strongest_tier: Tier | None = None
    attacks: dict[str, dict[str, Any]] | None = None
    floor: float | None = None
    key_id: str | None = None
    key_hash: str | None = None
    key_space_bits: float | None = None
    run_id: RunId | None = None
    seconds: float | None = None
    worker: str | None = None
    attempt: int = 1
    stopped: Stopped | None = None
    reason: str | None = None
    curve: tuple[float, ...] = ()

    @property
    def objectives(self) -> Objectives | None:
        """What it reached; None unless it is complete and measured."""
        if self.state != "complete" or self.drop is None:
            return None
        if self.owner_miou is None or self.unauthorised is None:
            return None
        return self.owner_miou, self.unauthorised

    @property
    def strongest_text(self) -> str | None:
        """Whose figure ``unauthorised`` is; None in a study without attacks."""
        return f"{self.strongest} ({self.strongest_tier})" if self.strongest else None

    @property
    def recipe(self) -> tuple[object, ...]:
        """What trials have in common that differ in nothing but their keys."""
        return self.steps, self.refuse, self.lr, self.weight_decay, self.epochs, self.image_side

    @property
    def lost(self) -> float:
        """``regained``; all of it where the owner is no better than the floor."""
        return 1.0 if self.regained is None else self.regained


class MeasuredTrial(NamedTuple):
    """A complete trial, with its two objectives."""

    trial: TrialRecord
    owner: float
    unauthorised: float


def baseline_for(
    baselines: Sequence[BaselineRecord], epochs: int, image_side: int
) -> BaselineRecord | None:
    """The baselines of one cost, if they are there."""
    cost = epochs, image_side
    return next((group for group in baselines if (group.epochs, group.image_side) == cost), None)
