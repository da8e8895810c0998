"""The ``attack`` section of params.yaml: which attacks each lock must stand, and their budgets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seglock.config.section import Name, PositiveInt, Seconds, Section

Percent = Annotated[float, Field(gt=0, le=100)]


class AttackParams(Section):
    """Budgets hold for each attack; whichever comes first ends it.

    ``labelled``: percent of the task's labelled images (as many as the training split has) that a
    thief with labels may use. ``images``: the split that the attacker's images come from.
    """

    names: Literal["all"] | list[Name] = "all"
    queries: PositiveInt = 300
    seconds: Seconds = 20.0
    labelled: Annotated[list[Percent], Field(min_length=1)] = Field(
        default_factory=lambda: [1.0, 5.0, 10.0, 25.0, 50.0]
    )
    images: Literal["val", "train"] = "val"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
