"""What a network that refuses is taught to refuse: images of those who have not the key."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from seglock.methods import METHODS
from seglock.transforms.build import identity, under
from seglock.transforms.exchange import neighbour
from seglock.transforms.features import FeaturePlan
from seglock.transforms.transform import Transform

if TYPE_CHECKING:
    from seglock.config import RefuseParams
    from seglock.keys import SecretKey

_HALF = 0.5
MOST_EXCHANGES = 4
"""A near plan is up to so many exchanges of two positions away from the right one."""


@dataclass(frozen=True)
class Draw:
    """One draw: how the images are seen, and whether batch norm goes by the batch's own statistics
    instead of the running ones."""

    transform: Transform
    batch_statistics: bool


@dataclass(frozen=True, repr=False)
class Unauthorised:
    """Draws of a lock under its key, each a function of key, lock and number alone.

    ``refuse`` says how often images come as they are, under another key, or under a plan that is a
    few exchanges away from the right one, and how often batch norm goes by the batch.

    ``retired`` is what a key that leaked makes of the images: so often, ``retired_share``, they
    come under it, whatever the shares say.

    Keys and exchanges come from the secret by HKDF under a use of their own, so evaluation's wrong
    keys are others. A near transform is as secret as the right one.
    """

    right: Transform
    key: SecretKey
    refuse: RefuseParams
    retired: Transform | None = None
    retired_share: float = 1.0

    def draw(self, number: int) -> Draw:
        """The ``number``-th draw, from 0."""
        features = (plan.step for plan in self.right.features)
        steps = "+".join(map(str, [*self.right.steps, *features]))
        use = f"refuse/{steps}/{self.right.ffx_password}/{number}"
        rng = np.random.default_rng(int.from_bytes(self.key.derive(use)))
        kind, statistics = rng.random(2)
        shares, by_batch = self.refuse.shares, self.refuse.batch_statistics
        if self.retired is not None and rng.random() < self.retired_share:
            transform = self.retired
        elif kind < shares.plain:
            transform = identity(self.right.normalisation)
        elif kind < shares.plain + shares.wrong or not shares.near:
            transform = self._other(use)
        else:
            transform = self._near(rng)
        return Draw(transform, bool(statistics < (_HALF if by_batch is None else by_batch)))

    def _other(self, use: str) -> Transform:
        right = self.right
        others = (under(self.key.wrong(attempt, use), right) for attempt in count())
        return next(other for other in others if not other.same_plan(right))

    def _near(self, rng: np.random.Generator) -> Transform:
        right, plan = self.right, self.right._plan
        if right.features and (not right.steps or rng.random() < _HALF):
            return self._near_inside(rng)
        shuffles = any(METHODS[step.method].moves for step in right.steps)
        for _ in range(rng.integers(1, MOST_EXCHANGES, endpoint=True)):
            plan = neighbour(plan, rng, shuffles=shuffles)
        while plan.equals(right._plan):  # they undid each other
            plan = neighbour(plan, rng, shuffles=shuffles)
        return Transform(right.steps, plan, right.ffx_password, right.features)

    def _near_inside(self, rng: np.random.Generator) -> Transform:
        right, near = self.right, list(self.right.features)
        place = rng.integers(len(near))
        order = near[place].order.copy()
        exchanges = rng.integers(1, MOST_EXCHANGES, endpoint=True)
        chosen = rng.choice(len(order), (exchanges, 2), replace=False)  # none undoes another
        order[chosen] = order[chosen[:, ::-1]]
        near[place] = FeaturePlan(near[place].step, order)
        return Transform(right.steps, right._plan, right.ffx_password, tuple(near))
