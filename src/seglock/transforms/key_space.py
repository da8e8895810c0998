"""How many different plans the keys of a lock can give; counts saturate at 2**256, a key's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from seglock.errors import TransformError
from seglock.steps import FfxPassword, Method, Step
from seglock.transforms.ffx import FIXED_PASSWORD, FROM_KEY
from seglock.transforms.methods import ffx_plan, negative_plan, shuffle_plan
from seglock.transforms.plan import Plan, compose_plans, identity_plan

COUNTED: tuple[Method, ...] = ("shf", "np", "ffx")
KEY_BITS = 256
CAP = 1 << KEY_BITS


def key_space_bits(steps: Sequence[Step], ffx_password: FfxPassword = FROM_KEY) -> float:
    """log2 of the number of distinct plans, 256 at most.

    Exact for one step, and for any sequence of NP, full SHF and FFX with the fixed password.
    An upper bound where several partial SHF meet (their product need not reach every permutation
    that moves so few points), and for FFX with a password from the key (two passwords may give
    one table).

    >>> from seglock.steps import parse_step
    >>> round(key_space_bits([parse_step("np-2")]), 2)
    9.85
    """
    return math.log2(plan_count(steps, ffx_password))


def plan_count(steps: Sequence[Step], ffx_password: FfxPassword = FROM_KEY) -> int:
    """The number of distinct plans, 2**256 at most; see `key_space_bits` for where it is exact.

    A plan is a permutation, an NP mask and an FFX mask, each free of the others wherever the
    steps stand: a permutation between two masks only relabels the positions of one.

    Raises TransformError for a method whose plans are not counted here.
    """
    _check_known(steps)
    if not steps:
        return 1
    size = steps[0].positions
    shuffles = [s.count for s in steps if s.method == "shf"]
    count = _moving_at_most(size, min(size, sum(shuffles)))
    if size not in shuffles:
        count = min(count, math.prod(_moving_at_most(size, k) for k in shuffles))
    count *= _masks(size, [s.count for s in steps if s.method == "np"])
    for step in steps:
        if step.method == "ffx" and step.count:
            passwords = CAP if ffx_password == FROM_KEY else 1
            count *= _choose(size, step.count) * passwords
    return min(CAP, count)


def small_space(steps: Sequence[Step], ffx_password: FfxPassword, limit: int) -> list[Plan] | None:
    """Every plan the steps can give, or None where there are more than ``limit``.

    A space whose size can be told from one step is refused before any plan of it is made.
    """
    _check_known(steps)
    if ffx_password == FROM_KEY and any(s.method == "ffx" and s.count for s in steps):
        return None
    if any(plan_count([step], ffx_password) > limit for step in steps):
        return None
    start = identity_plan(steps[0].block_size if steps else 1)
    found = {_fingerprint(start): start}
    for step in steps:
        # Doing one more step never makes two plans one, so a space too large stays too large.
        following: dict[bytes, Plan] = {}
        for change in _plans_of(step):
            for plan in found.values():
                both = compose_plans(plan, change)
                following[_fingerprint(both)] = both
                if len(following) > limit:
                    return None
        found = following
    return list(found.values())


def _plans_of(step: Step) -> Iterator[Plan]:
    """Every plan of one step, lazily; each once."""
    every = range(step.positions)
    if step.method == "shf":
        for moved in range(step.count + 1):
            for chosen in combinations(every, moved):
                for order in permutations(range(moved)):
                    if all(i != j for i, j in enumerate(order)):
                        yield shuffle_plan(step, _array(chosen), _array(order))
        return
    for chosen in combinations(every, step.count):
        if step.method == "np":
            yield negative_plan(step, _array(chosen))
        elif step.method == "ffx":
            yield ffx_plan(step, _array(chosen), FIXED_PASSWORD)


def _check_known(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.method not in COUNTED:
            raise TransformError(
                f"a method must be one whose plans are counted: {', '.join(COUNTED)}",
                got=repr(step.method),
                fix="count its plans in seglock/transforms/key_space.py",
            )


def _array(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(list(values), dtype=np.int64)


def _fingerprint(plan: Plan) -> bytes:
    return plan.permutation.tobytes() + plan.selector.tobytes() + plan.tables.tobytes()


def _choose(n: int, k: int) -> int:
    """C(n, k), at most the cap; it grows with k up to n / 2, so passing the cap ends it."""
    value = 1
    for i in range(min(k, n - k)):
        value = value * (n - i) // (i + 1)
        if value >= CAP:
            return CAP
    return value


def _moving_at_most(n: int, k: int) -> int:
    """Permutations of n points that move at most k of them: sum of C(n, j) derangements of j."""
    total, derangements = 1, 1
    for j in range(1, k + 1):
        derangements = j * derangements + (-1) ** j
        total += _choose(n, j) * derangements
        if total >= CAP:
            return CAP
    return total


def _masks(n: int, weights: Sequence[int]) -> int:
    """Distinct XORs of one mask of each weight: all masks of every weight that can come out.

    The weights that can come out are every second number from ``low`` to ``high``.
    """
    low, high = 0, 0
    for weight in weights:
        low, high = _xor_weights(n, low, high, weight)
    total = 0
    for weight in range(low, high + 1, 2):
        total += _choose(n, weight)
        if total >= CAP:
            return CAP
    return total


def _xor_weights(n: int, low: int, high: int, weight: int) -> tuple[int, int]:
    """Least and largest weight of (a mask of weight low, low + 2, ..., high) XOR (one of weight).

    XOR of weights v and w reaches |v - w| up to min(v + w, 2n - v - w), in steps of two. The
    largest may come out one too high, where no step from the least falls.
    """
    least = max(low - weight, weight - high, (weight - low) % 2)
    return least, min(high + weight, 2 * n - low - weight, n)
