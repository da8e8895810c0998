"""From the steps of a lock and a key to one plan: what each step draws, and in which company."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from seglock.keys import derive_permutation
from seglock.methods import METHODS
from seglock.methods.method import Change, Draws
from seglock.transforms.plan import IDENTITY, Plan, compose_plans, dtype_of, identity_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.keys import SecretKey
    from seglock.methods import FfxPassword
    from seglock.steps import FeatureStep, Step


def plan_use(
    draw: str,
    position: int,
    steps: Sequence[Step],
    ffx_password: FfxPassword,
    features: Sequence[FeatureStep] = (),
) -> str:
    """The use under which the step at ``position`` (from 0) of its kind draws from its key.

    It names the whole sequence and, where a step has a password, where that comes from: what two
    different sequences draw from one key has nothing in common, and an option that a lock has no
    use for changes nothing.

    >>> from seglock.steps import parse_step
    >>> plan_use("positions", 1, [parse_step("shf-4"), parse_step("ffx-4-f25")], "fixed")
    'plan/positions/1/shf-4-48+ffx-4-12-fixed'
    """
    names = (f"{step.method}-{step.block_size}-{step.count}" for step in steps)
    kinds = (f"-{ffx_password}" if METHODS[step.method].has_password else "" for step in steps)
    drawn = (name + kind for name, kind in zip(names, kinds, strict=True))
    sequence = "+".join([*drawn, *map(str, features)])
    return f"plan/{draw}/{position}/{sequence}"


def plan_sequence(
    steps: Sequence[Step],
    key: SecretKey,
    ffx_password: FfxPassword,
    features: Sequence[FeatureStep] = (),
) -> Plan:
    """One plan for all steps, applied from left to right; each draws from its own derived key.

    features: the feature steps of the same lock.
    """

    def plan(position: int, step: Step) -> Plan:
        def use(draw: str) -> str:
            return plan_use(draw, position, steps, ffx_password, features)

        draws = Draws(
            step.positions,
            step.count,
            ffx_password,
            permutation=lambda draw, size: derive_permutation(key, use(draw), size),
            secret=lambda draw: key.derive(use(draw)),
        )
        return changed(step, METHODS[step.method].draw(draws))

    plans = [plan(*numbered) for numbered in enumerate(steps)]
    return reduce(compose_plans, plans) if plans else identity_plan(1)


def every_plan(step: Step, ffx_password: FfxPassword) -> Iterator[Plan]:
    """Every plan that one step can have, each once."""
    changes = METHODS[step.method].every_change(step.positions, step.count, ffx_password)
    return (changed(step, change) for change in changes)


def changed(step: Step, change: Change) -> Plan:
    """The plan of one step that makes this change."""
    plan = identity_plan(step.block_size)
    touched = change.positions
    if isinstance(touched, range):  # of a large block: NumPy would make a list of it first
        touched = np.arange(touched.start, touched.stop)
    positions = np.asarray(touched, dtype=np.int64)
    permutation, selector = plan.permutation.copy(), plan.selector.copy()
    if change.order is not None:
        permutation[positions] = positions[np.asarray(change.order, dtype=np.int64)]
    tables = [IDENTITY]
    if change.table is not None:
        tables.append(change.table)
        selector[positions] = 1
    dtype = dtype_of(METHODS[step.method].reach)
    return Plan(step.block_size, permutation, np.stack(tables), selector, dtype)


def public_tables(steps: Sequence[Step], ffx_password: FfxPassword) -> NDArray[np.int16]:
    """The tables that a position may have as far as everyone knows them, (K, 256): x first.

    Each is what some of the steps whose table is public make of a value, one after the other.

    >>> from seglock.steps import parse_step
    >>> public_tables([parse_step("np-4"), parse_step("np-4")], "from_key")[:, 0].tolist()
    [0, 255]
    """
    found = [IDENTITY]
    for step in steps:
        table = METHODS[step.method].public_table(ffx_password)
        after = [] if table is None else [table[known] for known in found]
        found += [t for t in after if not any(np.array_equal(t, known) for known in found)]
    return np.stack(found)
