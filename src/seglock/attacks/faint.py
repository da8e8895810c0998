"""Plans read from statistics in which those of ciphertexts are faint.

Where true ciphertexts give each link between two positions its sign, and a tree of the strongest
links the mask, here no single link can be trusted: all of them vote, each as much as the photos'
own statistics say that it should show. The network then says which of the few plans that are left
open it is more at home with.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.blocks import block_grid
from seglock.attacks.climb import Found, climb
from seglock.attacks.estimates import AS_IS, NEGATED, estimated_plan, ffx_kinds
from seglock.attacks.reading import GOOD_MATCH, MATCHED_LIMIT, unread
from seglock.attacks.shf_matching import match, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Facts, Finding, Material
    from seglock.attacks.unlabelled import Signals
    from seglock.transforms.plan import Plan

_STARTS = 4
"""Starts of one matching: more find no better match of what is faint."""


def why_not(facts: Facts) -> str | None:
    """FFX, whose values have no order, and blocks too large for all pairs of positions."""
    if unread(facts):
        return unread(facts)
    if "ffx" in facts.methods:
        return "values that FFX gives have no order that a gradient could follow"
    if facts.positions > MATCHED_LIMIT:
        return f"all pairs of {facts.positions} positions are out of its reach of {MATCHED_LIMIT}"
    return None


def natural(material: Material) -> NDArray[np.float64]:
    """The statistics (3, n, n) of the thief's own photos, as plain blocks have them."""
    return statistics(block_grid(material.photos, material.facts.block_size))


def read_faint(
    facts: Facts,
    read: NDArray[np.float64],
    public: NDArray[np.float64],
    meter: Meter,
    seed: int,
    *,
    colours: bool = True,
) -> Sequence[Plan]:
    """All plans that statistics (3, n, n) leave open beside those of plain blocks: at most 12.

    These are the mask and its complement, and every order of the colour channels of a permutation:
    which of them it is statistics without brightness do not tell. colours: whether that is open.
    """
    rng = np.random.default_rng([seed, 4])
    order, turns = np.arange(facts.positions), [(0, 1, 2)]
    is_masked = "np" in facts.methods
    if "shf" in facts.methods:
        # What is negated changes signs alone.
        mine, usual = (np.abs(some) if is_masked else some for some in (read, public))
        more = iter(range(_STARTS - 1))

        def go_on(least: float) -> bool:
            return least > GOOD_MATCH and not meter.exhausted and next(more, None) is not None

        order, _ = match(mine, usual, rng, go_on)
        if colours:
            turns = [(one, two, 3 - one - two) for one, two in permutations(range(3), 2)]
    negated = np.zeros(facts.positions, bool)
    if is_masked:
        negated = mask_by_votes(read, public[:, order][:, :, order])
    masks = [negated, ~negated] if is_masked else [negated]
    return [
        estimated_plan(
            facts,
            order // 3 * 3 + np.array(turn)[order % 3],
            np.where(mask, NEGATED, AS_IS),
            ffx_kinds(),
        )
        for mask, turn in product(masks, turns)
    ]


def correlations(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Statistics (3, n, n) in units of each position's own deviation."""
    variance = found[0].diagonal()
    deviation = np.sqrt(np.where(variance > 0, variance, 1.0))
    scaled: NDArray[np.float64] = found / np.outer(deviation, deviation)
    return scaled


def mask_by_votes(read: NDArray[np.float64], public: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which positions are negated (n,), up to a global complement, from statistics (3, n, n).

    The signs s with the largest sum of ``s[i] * s[j] * read[:, i, j] * public[:, i, j]``: the
    leading eigenvector's, then changed one by one as long as that helps.

    >>> signs = np.array([1, -1, 1, -1])
    >>> seen = np.outer(signs, signs)[None].astype(float)
    >>> wrong = mask_by_votes(seen, np.ones((1, 4, 4))) ^ (signs < 0)
    >>> bool(wrong.all() or not wrong.any())
    True
    """
    votes = (correlations(read) * correlations(public)).sum(axis=0)
    votes = votes + votes.T
    np.fill_diagonal(votes, 0.0)
    signs = np.where(np.linalg.eigh(votes)[1][:, -1] < 0, -1.0, 1.0)
    while True:
        against = -signs * (votes @ signs)
        worst = int(against.argmax())
        if against[worst] <= 1e-9 * np.abs(votes).max():
            negated: NDArray[np.bool_] = signs < 0
            return negated
        signs[worst] *= -1


def settle(
    plans: Sequence[Plan], judged: Signals, meter: Meter, best: Found | None = None
) -> Found:
    """The best of ``plans``, as many as may still be asked about, one at least, and of ``best``."""
    some = plans[: max(1, meter.left)]
    scores = judged(some)
    meter.spend(len(some))
    first = int(scores.argmin())
    if best is not None and best.score <= float(scores[first]):
        return best
    return Found.after(best, some[first], float(scores[first]), meter)


def climbed(found: Found, facts: Facts, judged: Signals, meter: Meter, seed: int) -> Finding:
    """What the rest of the budget makes of it by exchanges of two positions."""
    return climb(facts, judged, meter, seed, found).finding("signal")
