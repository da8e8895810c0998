"""SHF: values of a block change places (paper, section 2.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

from seglock.methods.method import CAP, Change, Draws, FfxPassword, Method, choose


class Shf(Method):
    """A permutation of the positions it touches; the others stay."""

    name = "shf"
    percent = 100
    moves = True

    def draw(self, draws: Draws) -> Change:
        """Which positions, where it does not touch all, and their order."""
        if draws.count == 0:
            return Change(())
        positions = range(draws.size) if draws.count == draws.size else draws.positions()
        return Change(positions, draws.permutation("order", draws.count))

    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """Exact for one step, and where one touches all; else an upper bound."""
        count = moving_at_most(size, min(size, sum(counts)))
        if size not in counts:
            count = min(count, math.prod(moving_at_most(size, k) for k in counts))
        return min(CAP, count)

    def every_change(self, size: int, count: int, ffx_password: FfxPassword) -> Iterator[Change]:
        """By the positions that really move."""
        for moved in range(count + 1):
            for chosen in combinations(range(size), moved):
                for order in permutations(range(moved)):
                    if all(i != j for i, j in enumerate(order)):
                        yield Change(chosen, order)


def moving_at_most(n: int, k: int) -> int:
    """Permutations of n points that move at most k of them: sum of C(n, j) derangements of j."""
    total, derangements = 1, 1
    for j in range(1, k + 1):
        derangements = j * derangements + (-1) ** j
        total += choose(n, j) * derangements
        if total >= CAP:
            return CAP
    return total
