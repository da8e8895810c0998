"""The methods: each turns what a step draws from its key into a plan. A new one is a function in
``PLANNERS``.

Source of SHF, NP and FFX: paper, section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from seglock.keys import derive_permutation, derive_positions
from seglock.steps import FfxPassword, Method, Step
from seglock.transforms.ffx import FIXED_PASSWORD, FROM_KEY, ffx_table
from seglock.transforms.plan import COMPLEMENT, IDENTITY, Plan, compose_plans, identity_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.keys import SecretKey

Draw = Literal["positions", "order", "password"]
DRAWS: tuple[Draw, ...] = get_args(Draw)


def plan_use(draw: Draw, position: int, steps: Sequence[Step], ffx_password: FfxPassword) -> str:
    """The use under which the step at ``position`` (from 0) draws from its key.

    It names the whole sequence and, where a step is FFX, where its password comes from: what two
    different sequences draw from one key has nothing in common, and an option that a lock has no
    use for changes nothing.

    >>> from seglock.steps import parse_step
    >>> plan_use("positions", 1, [parse_step("shf-4"), parse_step("ffx-4-f25")], "fixed")
    'plan/positions/1/shf-4-48+ffx-4-12-fixed'
    """
    names = (f"{step.method}-{step.block_size}-{step.count}" for step in steps)
    kinds = (f"-{ffx_password}" if step.method == "ffx" else "" for step in steps)
    sequence = "+".join(name + kind for name, kind in zip(names, kinds, strict=True))
    return f"plan/{draw}/{position}/{sequence}"


@dataclass(frozen=True)
class Draws:
    """What one step of a sequence may draw from the key: the same each time, and for it alone."""

    key: SecretKey
    steps: Sequence[Step]
    position: int
    ffx_password: FfxPassword

    @property
    def step(self) -> Step:
        """The step that draws."""
        return self.steps[self.position]

    def positions(self) -> NDArray[np.int64]:
        """``count`` of the block's positions, in the order drawn."""
        return derive_positions(
            self.key, self._use("positions"), self.step.positions, self.step.count
        )

    def order(self) -> NDArray[np.int64]:
        """A permutation of 0 .. ``count`` - 1."""
        return derive_permutation(self.key, self._use("order"), self.step.count)

    def password(self) -> bytes:
        """A password of FFX, 32 bytes."""
        return self.key.derive(self._use("password"))

    def _use(self, draw: Draw) -> str:
        return plan_use(draw, self.position, self.steps, self.ffx_password)


def plan_sequence(steps: Sequence[Step], key: SecretKey, ffx_password: FfxPassword) -> Plan:
    """One plan for all steps, applied from left to right; each draws from its own derived key."""
    plans = [
        PLANNERS[step.method](Draws(key, steps, position, ffx_password))
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


def _plan_shf(draws: Draws) -> Plan:
    step = draws.step
    if step.count == 0:
        return identity_plan(step.block_size)
    full = step.count == step.positions
    positions = np.arange(step.positions, dtype=np.int64) if full else draws.positions()
    return shuffle_plan(step, positions, draws.order())


def _plan_np(draws: Draws) -> Plan:
    return negative_plan(draws.step, draws.positions())


def _plan_ffx(draws: Draws) -> Plan:
    from_key = draws.ffx_password == FROM_KEY
    password = draws.password() if from_key else FIXED_PASSWORD
    return ffx_plan(draws.step, draws.positions(), password)


Planner = Callable[[Draws], Plan]
PLANNERS: dict[Method, Planner] = {"shf": _plan_shf, "np": _plan_np, "ffx": _plan_ffx}
