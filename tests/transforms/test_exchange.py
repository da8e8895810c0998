from __future__ import annotations

import numpy as np
import pytest

from seglock.keys import demonstration_key
from seglock.methods import METHODS
from seglock.transforms import compose
from seglock.transforms.exchange import neighbour

LOCKS = [("np-4",), ("shf-4",), ("ffx-4",), ("np-4", "shf-4"), ("np-4", "shf-4", "ffx-4-f30")]


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_a_neighbour_exchanges_two_positions(steps: tuple[str, ...]) -> None:
    made = compose(steps, demonstration_key())
    shuffles = any(METHODS[step.method].moves for step in made.steps)
    rng, one = np.random.default_rng(0), made._plan
    for _ in range(20):
        other = neighbour(one, rng, shuffles=shuffles)
        changed = (other.permutation != one.permutation) | (other.selector != one.selector)
        assert changed.sum() == 2
        assert sorted(other.selector) == sorted(one.selector)
        assert sorted(other.permutation) == list(range(one.size))
