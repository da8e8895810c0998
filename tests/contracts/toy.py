"""Two methods that a newcomer might add: one file, as the docs have it. Their tables stay below
256 and are neither x nor 255 - x; that of ``rev`` everyone knows, that of ``xor`` the key decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seglock.methods import LEVELS, FfxPassword, Method
from seglock.methods.method import CAP, Change, Draws, choose

if TYPE_CHECKING:
    from seglock.methods.method import Table


class Rev(Method):
    """The bits of a value from the other end."""

    name = "rev"

    def draw(self, draws: Draws) -> Change:
        """Which positions."""
        return Change(draws.positions(), table=self.public_table(draws.ffx_password))

    def public_table(self, ffx_password: FfxPassword) -> Table:
        """00000001 becomes 10000000."""
        return np.array([int(f"{x:08b}"[::-1], 2) for x in range(LEVELS)], np.int16)

    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """Masks; an upper bound for several steps."""
        return min(CAP, math.prod(choose(size, count) for count in counts))


class Xor(Method):
    """XOR with a number from 1 to 255."""

    name = "xor"

    def draw(self, draws: Draws) -> Change:
        """Which positions, and the number."""
        return Change(draws.positions(), table=_xor(int(draws.permutation("number", 255)[0]) + 1))

    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """Masks and numbers; an upper bound for several steps."""
        return min(CAP, math.prod(choose(size, count) * 255 for count in counts if count))

    def every_change(self, size: int, count: int, ffx_password: FfxPassword) -> Iterator[Change]:
        """Each mask with each number."""
        for change in super().every_change(size, count, ffx_password):
            for number in range(1, LEVELS) if count else ():
                yield Change(change.positions, table=_xor(number))
            if not count:
                yield change


def _xor(number: int) -> Table:
    return np.arange(LEVELS, dtype=np.int16) ^ np.int16(number)
