"""T0, `stem-match`: the plan of a folded network from the columns of its first convolution.

Folding moves and negates columns and does nothing else to them. Where the plain first convolution
is public each is found again among the public ones (Hungarian assignment of what they have in
common, then its sign). What has mixed its output channels leaves the angles between columns, which
are matched as covariances are. Where nothing is public, angles stand in the place of ciphertexts'
covariance: a filter of photographs is smooth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.climb import Found
from seglock.attacks.estimates import AS_IS, NEGATED, estimated_plan, ffx_kinds
from seglock.attacks.faint import natural, read_faint, settle
from seglock.attacks.guesses import guess
from seglock.attacks.jacobian import partial
from seglock.attacks.protocol import Attack, Finding, Material, needs_steps
from seglock.attacks.reading import MATCHED_LIMIT
from seglock.attacks.unlabelled import USUAL, Signals
from seglock.models.fold import columns, find_stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

FOLDABLE = {"shf", "np"}
"""Methods that move columns or change their sign."""

_SURE = 0.5
"""The mean cosine of matched columns above which no other plan is looked at: unrelated ones have
0.1 to 0.3."""


def why_not(facts: Facts) -> str | None:
    """Locks that cannot have been folded."""
    if needs_steps(facts):
        return needs_steps(facts)
    if facts.methods - FOLDABLE:
        return f"{', '.join(sorted(facts.methods - FOLDABLE))} cannot be folded into a convolution"
    if facts.stem != facts.block_size:
        return f"its first convolution does not step by blocks of {facts.block_size}"
    if facts.positions > MATCHED_LIMIT:
        return f"all pairs of {facts.positions} positions are out of its reach of {MATCHED_LIMIT}"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Match with the public convolution where there is one, else with photos' smoothness."""
    public = material.public
    stem = None if public is None else columns(find_stem(public)[1]).numpy()
    return matched(material, stem, meter, seed)


def matched(
    material: Material, public: NDArray[np.float64] | None, meter: Meter, seed: int
) -> Finding:
    """The plan by which a network's first convolution comes from a plain one, (C, b, b, n)."""
    facts = material.facts
    own = columns(find_stem(material.network)[1]).numpy()
    judged = Signals(material, [guess(facts, seed, number) for number in range(USUAL)])
    found: Found | None = None
    if public is not None and public.shape == own.shape:
        plan, cosine = _by_columns(facts, own, public)
        found = settle([plan], judged, meter)
        if cosine > _SURE or meter.exhausted:
            return found.finding("signal")
        # Of another order of colour channels there is none: the public columns have their own.
        mixed = read_faint(facts, _angles(own), _angles(public), meter, seed, colours=False)
        found = settle(mixed, judged, meter, found)
    photos, smooth = natural(material), _smoothness(own)
    for expected in (partial(photos), photos):
        if found is None or not meter.exhausted:
            found = settle(read_faint(facts, smooth, expected, meter, seed), judged, meter, found)
    assert found is not None
    return found.finding("signal")


def _by_columns(
    facts: Facts, own: NDArray[np.float64], public: NDArray[np.float64]
) -> tuple[Plan, float]:
    """Each column's nearest, and the mean cosine between the two."""
    from scipy.optimize import linear_sum_assignment

    one, other = (_unit(some).reshape(-1, facts.positions) for some in (own, public))
    cosines = one.T @ other
    likeness = np.abs(cosines) if facts.substitutes else cosines
    order = np.arange(facts.positions)
    if facts.shuffles:
        order = np.asarray(linear_sum_assignment(-likeness)[1])
    signs = cosines[np.arange(facts.positions), order]
    kinds = np.where((signs < 0) & bool(facts.substitutes), NEGATED, AS_IS)
    found = float(likeness[np.arange(facts.positions), order].mean())
    return estimated_plan(facts, order, kinds, ffx_kinds()), found


def _unit(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns (C, b, b, n) of length 1, whatever their inputs are divided by."""
    length = np.sqrt((found**2).sum(axis=(0, 1, 2)))
    scaled: NDArray[np.float64] = found / np.where(length > 0, length, 1.0)
    return scaled


def _angles(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of columns of every two blocks, (b^4, n, n): the same for mixed output channels."""
    rows = _unit(found).reshape(len(found), -1, found.shape[-1])
    products = np.einsum("cpi,cqj->pqij", rows, rows).reshape(-1, *2 * found.shape[-1:])
    scaled: NDArray[np.float64] = products / np.abs(products).max()
    return scaled


def _smoothness(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of columns (3, n, n) within a block, with its right, with its lower one, as
    statistics of photos have them."""
    rows = _unit(found)
    pairs = ((rows, rows), (rows[:, :, :-1], rows[:, :, 1:]), (rows[:, :-1], rows[:, 1:]))
    products = [np.einsum("cyxi,cyxj->ij", one, other) for one, other in pairs]
    scaled: NDArray[np.float64] = np.stack(products) / products[0].diagonal().mean()
    return scaled


ATTACK = Attack("stem-match", "T0", "keys", run, why_not)
