"""NP: 255 - x at some positions of a block (paper, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from seglock.methods.method import CAP, LEVELS, Change, Draws, FfxPassword, Method, choose

if TYPE_CHECKING:
    from seglock.methods.method import Table


class Np(Method):
    """The negative of the values that it touches."""

    name = "np"

    def draw(self, draws: Draws) -> Change:
        """Which positions."""
        return Change(draws.positions(), table=negative())

    def public_table(self, ffx_password: FfxPassword) -> Table:
        """255 - x."""
        return negative()

    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """Distinct XORs of one mask of each weight: all masks of every weight that can come out.

        The weights that can come out are every second number from ``low`` to ``high``.
        """
        low, high = 0, 0
        for weight in counts:
            low, high = _xor_weights(size, low, high, weight)
        total = 0
        for weight in range(low, high + 1, 2):
            total += choose(size, weight)
            if total >= CAP:
                return CAP
        return total


@lru_cache(maxsize=1)
def negative() -> Table:
    """255 - x for each x, int16 (256,), read-only."""
    import numpy

    table = numpy.arange(LEVELS - 1, -1, -1, dtype=numpy.int16)
    table.flags.writeable = False
    return table


def _xor_weights(n: int, low: int, high: int, weight: int) -> tuple[int, int]:
    """Least and largest weight of (a mask of weight low, low + 2, ..., high) XOR (one of weight).

    XOR of weights v and w reaches |v - w| up to min(v + w, 2n - v - w), in steps of two. The
    largest may come out one too high, where no step from the least falls.
    """
    least = max(low - weight, weight - high, (weight - low) % 2)
    return least, min(high + weight, 2 * n - low - weight, n)
