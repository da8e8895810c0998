"""The methods: each turns a key and a step into a plan. A new method is a function in ``PLANNERS``.

Source of SHF, NP and FFX: paper, section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from seglock.config.steps import FfxPassword, Method, Step
from seglock.keys import derive_permutation, derive_positions
from seglock.transforms.ffx import FIXED_PASSWORD, FROM_KEY, ffx_table
from seglock.transforms.plan import COMPLEMENT, IDENTITY, Plan, compose_plans, identity_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.keys import SecretKey


def plan_sequence(steps: Sequence[Step], key: SecretKey, ffx_password: FfxPassword) -> Plan:
    """One plan for all steps, applied from left to right; each draws from its own derived key."""
    plans = [
        PLANNERS[step.method](step, position, key, ffx_password)
        for position, step in enumerate(steps)
    ]
    return reduce(compose_plans, plans)


def shuffle_plan(step: Step, positions: NDArray[np.int64], order: NDArray[np.int64]) -> Plan:
    """SHF: the values at ``positions`` change places, ``order`` says how; the others stay."""
    permutation = np.arange(step.positions, dtype=np.int64)
    permutation[positions] = positions[order]
    return Plan(
        step.block_size,
        permutation,
        IDENTITY[None],
        np.zeros(step.positions, dtype=np.uint8),
    )


def negative_plan(step: Step, positions: NDArray[np.int64]) -> Plan:
    """NP: 255 - x at ``positions``."""
    return _substitution(step, positions, COMPLEMENT)


def ffx_plan(step: Step, positions: NDArray[np.int64], password: bytes) -> Plan:
    """FFX: FFX(x) in 0..999 at ``positions``; the encrypted images are int16."""
    plan = _substitution(step, positions, ffx_table(password))
    return Plan(plan.block_size, plan.permutation, plan.tables, plan.selector, "int16")


def _substitution(step: Step, positions: NDArray[np.int64], table: NDArray[np.int16]) -> Plan:
    selector = np.zeros(step.positions, dtype=np.uint8)
    selector[positions] = 1
    return Plan(
        step.block_size,
        np.arange(step.positions, dtype=np.int64),
        np.stack([IDENTITY, table]),
        selector,
    )


def _use(step: Step, position: int, method: str) -> str:
    return f"{method}/{step.block_size}/{step.count}/{position}"


def _positions(step: Step, position: int, key: SecretKey) -> NDArray[np.int64]:
    use = _use(step, position, step.method)
    return derive_positions(key, use, step.positions, step.count)


def _plan_shf(step: Step, position: int, key: SecretKey, _: FfxPassword) -> Plan:
    if step.count == step.positions:
        order = derive_permutation(key, _use(step, position, "shf"), step.positions)
        return shuffle_plan(step, np.arange(step.positions, dtype=np.int64), order)
    if step.count == 0:
        return identity_plan(step.block_size)
    order = derive_permutation(key, _use(step, position, "shf-order"), step.count)
    return shuffle_plan(step, _positions(step, position, key), order)


def _plan_np(step: Step, position: int, key: SecretKey, _: FfxPassword) -> Plan:
    return negative_plan(step, _positions(step, position, key))


def _plan_ffx(step: Step, position: int, key: SecretKey, ffx_password: FfxPassword) -> Plan:
    from_key = ffx_password == FROM_KEY
    use = _use(step, position, "ffx-password")
    password = key.derive(use) if from_key else FIXED_PASSWORD
    return ffx_plan(step, _positions(step, position, key), password)


Planner = Callable[[Step, int, "SecretKey", FfxPassword], Plan]
PLANNERS: dict[Method, Planner] = {"shf": _plan_shf, "np": _plan_np, "ffx": _plan_ffx}
