"""The ``refuse`` of a lock: what its network is taught to answer whoever has not the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from seglock.config.rules import as_fault
from seglock.config.section import Count, PositiveInt, Section, Share

Target = Literal["constant", "prior", "mutual_information"]
MOST_WEIGHT = 10
Weight = Annotated[float, Field(ge=0, le=MOST_WEIGHT)]


class RefusedShares(Section):
    """How often each kind of unauthorised input is drawn for a step; the shares add up to 1.

    plain: images as they are; wrong: under a fresh wrong key; near: under the right plan but for 1
    to 4 exchanges of two positions, since searches for the key live there.
    """

    plain: Share = 0.5
    wrong: Share = 0.5
    near: Share = 0.0

    def faults(self) -> list[str]:
        total = self.plain + self.wrong + self.near
        if math.isclose(total, 1, abs_tol=1e-6):
            return []
        return [as_fault("refuse.shares must add up to 1", f"{total:g}", "change one of them")]


class RefuseParams(Section):
    """The second term of a refusing lock's loss: ``weight`` times that of unauthorised inputs.

    ``ramp_epochs``: the weight climbs from 0 over so many first epochs. ``batch_statistics``: how
    often batch norm takes the unauthorised batch's own statistics, without moving the running ones,
    instead of those; None: half of the time where the network has batch norm. ``every``: only each
    so manieth optimizer step has the term. ``target``: ``constant``, the class that the training
    masks have most; ``prior``, the one they have most at each pixel; ``mutual_information``, any
    but the true one.
    """

    weight: Weight
    ramp_epochs: Count = 0
    shares: RefusedShares = RefusedShares()
    batch_statistics: Share | None = None
    every: PositiveInt = 1
    target: Target = "constant"


def _by_weight(value: Any) -> Any:
    """A number alone is the weight."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"weight": value} if is_number else value


Refuse = Annotated[RefuseParams, BeforeValidator(_by_weight)]


def refusal_faults(locks: Mapping[str, Mapping[str, Any]], model: Mapping[str, Any]) -> list[str]:
    """A refusal needs a lock, and a draw of batch statistics needs batch norm.

    >>> refusal_faults({"baseline": {"steps": [], "refuse": None}}, {"norm": "batch"})
    []
    """
    faults = []
    norm = model.get("norm", "batch")
    for name, lock in locks.items():
        refuse = lock.get("refuse")
        if refuse is None:
            continue
        if not lock.get("steps", True):
            rule = f"locks.{name}.refuse needs a lock: without steps nobody is to be refused"
            faults.append(as_fault(rule, "steps=[]", "give it steps, or take refuse out"))
        drawn = getattr(refuse, "batch_statistics", None)
        if drawn and norm != "batch":
            rule = f"locks.{name}.refuse.batch_statistics needs model.norm: batch"
            faults.append(as_fault(rule, f"{drawn:g} with norm={norm}", "set it to 0"))
    return faults
