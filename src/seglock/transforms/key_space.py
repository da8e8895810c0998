"""How many different plans the keys of a lock can give, and all of them where they are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seglock.methods.ffx import FROM_KEY
from seglock.steps import plan_count
from seglock.transforms.plan import Plan, compose_plans, identity_plan
from seglock.transforms.sequence import every_plan

if TYPE_CHECKING:
    from seglock.methods import FfxPassword
    from seglock.steps import Step


def key_space_bits(steps: Sequence[Step], ffx_password: FfxPassword = FROM_KEY) -> float:
    """log2 of the number of distinct plans, 256 at most; see `plan_count` for where it is exact.

    >>> from seglock.steps import parse_step
    >>> round(key_space_bits([parse_step("np-2")]), 2)
    9.85
    """
    return math.log2(plan_count(steps, ffx_password))


def small_space(steps: Sequence[Step], ffx_password: FfxPassword, limit: int) -> list[Plan] | None:
    """Every plan the steps can give, or None where there are more than ``limit``.

    A space whose size can be told from one step is refused before any plan of it is made.
    """
    if any(plan_count([step], ffx_password) > limit for step in steps):
        return None
    start = identity_plan(steps[0].block_size if steps else 1)
    found = {_fingerprint(start): start}
    for step in steps:
        # Doing one more step never makes two plans one, so a space too large stays too large.
        following: dict[bytes, Plan] = {}
        for change in every_plan(step, ffx_password):
            for plan in found.values():
                both = compose_plans(plan, change)
                following[_fingerprint(both)] = both
                if len(following) > limit:
                    return None
        found = following
    return list(found.values())


def _fingerprint(plan: Plan) -> bytes:
    return plan.permutation.tobytes() + plan.selector.tobytes() + plan.tables.tobytes()
