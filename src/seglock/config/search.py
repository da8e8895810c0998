"""The ``search`` section of params.yaml: which locks to try, how, and what they must keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
)

from seglock.config.refusal import Weight
from seglock.config.rules import as_fault
from seglock.config.search_locks import PUBLISHED
from seglock.config.search_rules import (
    enqueue_faults,
    fraction_faults,
    pattern_faults,
    search_faults,
    thief_faults,
)
from seglock.config.section import (
    LARGEST,
    Count,
    Name,
    NotNegative,
    Percent,
    Positive,
    PositiveInt,
    Seconds,
    Section,
    Seed,
    Share,
    percent,
    without,
)
from seglock.methods import METHODS, FfxPassword
from seglock.steps import SEARCHABLE_BITS


def _whole(value: Any) -> Any:
    """``75%`` as 75."""
    found = percent(value)
    return int(found) if found is not value and found.is_integer() else value


Pattern = Annotated[str, AfterValidator(without(pattern_faults))]
Fraction = Annotated[
    int | Literal["published"],
    BeforeValidator(without(fraction_faults)),
    BeforeValidator(_whole),  # the last one is asked first
]
Enqueue = Annotated[list[str] | Literal["published"], BeforeValidator(without(enqueue_faults))]
Attacks = Annotated[list[str] | Literal["all"], BeforeValidator(without(thief_faults))]


class RangeParams(Section):
    """Any number from ``low`` to ``high``, drawn evenly in its logarithm."""

    low: Positive
    high: Positive

    def faults(self) -> list[str]:
        got = f"{self.low} and {self.high}"
        return [] if self.low < self.high else [as_fault("low must be less than high", got)]


def _list_or_range(value: Any) -> str:
    return "[range]" if isinstance(value, Mapping | RangeParams) else "[list]"


Numbers = Annotated[
    Annotated[RangeParams, Tag("[range]")]
    | Annotated[list[NotNegative], Field(min_length=1), Tag("[list]")],
    Discriminator(_list_or_range),
]
"""A list of numbers, or a range; the bracketed tags stay out of messages."""


def _none_is_0(value: Any) -> Any:
    return 0.0 if value is None else value


Refusing = Annotated[Weight, BeforeValidator(_none_is_0)]


def _the_papers() -> list[int | Literal["published"]]:
    return [PUBLISHED]


class SpaceParams(Section):
    """What a trial may choose. One value in a list fixes it; null keeps params.yaml's own.

    ``steps`` are methods, or compositions from left to right such as ``np+shf``; ``block_size``
    None is every side from 2 that divides the images; ``fraction`` is the share of positions in
    percent, for every step of a lock, or ``published``. ``refuse`` has weights of a refusal, all of
    whose other parts are as a weight alone leaves them; null or 0 is none. ``ffx_password`` is not
    searched.
    """

    steps: Annotated[list[Pattern], Field(min_length=1)] = Field(default_factory=lambda: [*METHODS])
    block_size: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    fraction: Annotated[list[Fraction], Field(min_length=1)] = Field(default_factory=_the_papers)
    refuse: Annotated[list[Refusing], Field(min_length=1)] | None = None
    ffx_password: FfxPassword = "from_key"  # noqa: S105 - a choice, not a password
    lr: Numbers | None = None
    weight_decay: Numbers | None = None
    epochs: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    image_side: Annotated[list[PositiveInt], Field(min_length=1)] | None = None


class ResourceParams(Section):
    """What one trial takes of a machine or of a Ray cluster; ``memory_gib`` is for Ray only."""

    cpus: Annotated[float, Field(gt=0, le=LARGEST)] = 1.0
    gpus: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    memory_gib: Annotated[float, Field(gt=0, le=LARGEST)] | None = None


class ThiefParams(Section):
    """Whom a trial's ``unauthorised`` is of, beside plain images and wrong keys.

    ``tier``: the strongest attack up to it counts as well, since a thief of one tier has all that
    those below have; None: no attack is run. ``attacks``: all of them, but for those that every
    trial tries anyway (plain images, new statistics, wrong keys), or some by name; one that does
    not apply to a trial's lock is left out there. ``queries`` and ``seconds`` are each attack's,
    whichever comes first; ``labelled`` is the percent of the training images' number that a thief
    with labels has.
    """

    tier: Literal["T0", "T1", "T2", "T3"] | None = None
    attacks: Attacks = "all"
    queries: PositiveInt = 100
    seconds: Seconds = 10.0
    labelled: Percent = 10.0


class SearchParams(Section):
    """The study: its space, how it is sampled, when a trial is stopped, and what is recommended."""

    study: Name | None = None
    trials: Count = 0
    enqueue: Enqueue = Field(default_factory=list)
    space: SpaceParams = SpaceParams()
    sampler: Literal["tpe", "gp", "nsga2", "grid", "random"] = "tpe"
    seed: Seed = 0
    objective: Literal["pareto", "scalar"] = "pareto"
    weight: NotNegative = 1.0
    split: Literal["val", "test"] = "val"
    wrong_keys: Annotated[int, Field(ge=8, le=LARGEST)] = 8
    thief: ThiefParams = ThiefParams()
    baseline_seeds: PositiveInt = 3
    confirm: Count = 2
    max_drop: Share = 0.02
    max_regained: Share = 0.15
    min_key_bits: Annotated[float, Field(ge=0, le=256)] = float(SEARCHABLE_BITS)
    pruner: Literal["baseline", "none", "median", "successive_halving", "hyperband"] = "baseline"
    margin: Share = 0.15
    warmup_epochs: Count = 3
    workers: PositiveInt = 1
    retries: Count = 2
    storage: str | None = None
    storage_timeout_seconds: Seconds = 60.0
    resources: ResourceParams = ResourceParams()

    def faults(self) -> list[str]:
        return search_faults(dict(self))
