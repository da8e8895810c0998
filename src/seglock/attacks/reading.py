"""A plan read from blocks that look like ciphertexts, and anyone's photos: their statistics.

No pair and no label; the network is asked only which colour channel is which, where statistics
leave it open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.blocks import block_grid
from seglock.attacks.estimates import (
    AS_IS,
    NEGATED,
    estimated_plan,
    ffx_kinds,
)
from seglock.attacks.ffx_levels import kinds_and_table, read_rows
from seglock.attacks.np_mask import mask_by_correlation, settle_complement
from seglock.attacks.protocol import Facts, Material, needs_steps
from seglock.attacks.shf_matching import match, statistics
from seglock.attacks.unlabelled import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.transforms.plan import Plan

READ = {"shf", "np", "ffx"}
"""Methods whose traces in ciphertexts are known here."""
MATCHED_LIMIT = 768
"""Positions of a block whose correlations can be matched: n = 768 is M = 16."""


GOOD_MATCH = 0.01
"""Mean squared error of matched covariances, of mean variance 1, below which no start is added."""


_DOUBT, _NEAR = 12.0, 2.0
"""How much further in brightness from photos, in squared deviations, and how many times worse in
its match an order of channels may be for the network still to be asked about it."""


def unread(facts: Facts) -> str | None:
    """Why a lock cannot be read: shuffled large blocks, and large ones of FFX in company."""
    if needs_steps(facts):
        return needs_steps(facts)
    for method in sorted(facts.methods - READ):
        return f"nobody has read {method} from ciphertexts alone"
    company = "ffx" in facts.methods and facts.methods != {"ffx"}
    if company and facts.positions > MATCHED_LIMIT:
        return (
            f"reading FFX beside other steps takes all pairs of positions, and {facts.positions} "
            f"are out of its reach, which is {MATCHED_LIMIT}"
        )
    if "shf" in facts.methods and facts.positions > MATCHED_LIMIT:
        return (
            f"matching the correlations of {facts.positions} shuffled positions is out of its "
            f"reach, which is {MATCHED_LIMIT}"
        )
    return None


def read_plan(
    material: Material,
    seen: NDArray[Any],
    rng: np.random.Generator,
    go_on: Callable[[], bool],
) -> tuple[Plan, dict[str, Any]]:
    """The NP or FFX mask, the FFX table and the SHF permutation, as the steps have them.

    seen: images (N, 3, S, S) uint8 or int16 with the statistics of ciphertexts. go_on: whether
    there is time for another start of a matching. Beside the plan, how well its permutation
    matched, which is a function of ``seen``.
    """
    facts = material.facts
    grid, photos = block_grid(seen, facts.block_size), block_grid(material.photos, facts.block_size)
    rows, table = grid.reshape(-1, facts.positions), None
    kinds = np.zeros(facts.positions, np.int64)
    if "ffx" in facts.methods:
        kinds, table = kinds_and_table(rows, photos, facts)
    elif "np" in facts.methods:
        mask = mask_by_correlation(rows, facts)
        mask = settle_complement(rows, mask, photos, facts)
        kinds = np.where(mask, NEGATED, AS_IS)
        grid = np.where(mask, 255 - grid, grid)
    order, told = np.arange(facts.positions), dict[str, Any]()
    if "shf" in facts.methods:
        grid = grid if table is None else read_rows(grid, kinds, table)
        read, public = statistics(grid), statistics(photos)
        order, error = match(read, public, rng, lambda least: least > GOOD_MATCH and go_on())
        found = estimated_plan(facts, order, kinds, ffx_kinds(table))
        order = _settle_channels(material, grid, read, public, found)
        told = {"matching_error": error}
    return estimated_plan(facts, order, kinds, ffx_kinds(table)), told


def _settle_channels(
    material: Material,
    grid: NDArray[np.uint8],
    seen: NDArray[np.float64],
    public: NDArray[np.float64],
    found: Plan,
) -> NDArray[np.int64]:
    """The order of colour channels: of those as bright as photos the best match, or the network's.

    grid: (N, rows, columns, n) blocks, read but for their order; seen and public: the statistics
    that were matched. Channels are alike in how they rise and fall together, so that any order of
    them may match; in brightness they seldom are.
    """
    source = found.permutation.astype(np.int64)
    place, channel = source // 3 * 3, source % 3
    orders: list[NDArray[np.int64]] = [
        place + np.array(turn)[channel] for turn in permutations(range(3))
    ]
    photos = _channel_means(block_grid(material.photos, material.facts.block_size))
    distances = [_distance(_channel_means(grid, order), photos) for order in orders]
    within = min(distances) + _DOUBT
    bright = [p for p, distance in zip(orders, distances, strict=True) if distance <= within]
    errors = [float(((seen - public[:, p][:, :, p]) ** 2).mean()) for p in bright]
    near = [p for p, error in zip(bright, errors, strict=True) if error <= _NEAR * min(errors)]
    if len(near) == 1:
        return near[0]
    guesses = [replace(found, permutation=p) for p in near]
    judged = Signals(material, guesses)(guesses)
    return near[int(judged.argmin())]


def _channel_means(
    grid: NDArray[np.uint8], order: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """How much brighter than the image each of its channels is, (N, 3); order: sources (n,)."""
    positions = grid.reshape(len(grid), -1, grid.shape[-1]).mean(axis=1)
    channel = (np.arange(grid.shape[-1]) if order is None else order) % 3
    means = np.stack([positions[:, channel == k].mean(axis=1) for k in range(3)], axis=1)
    relative: NDArray[np.float64] = means - means.mean(axis=1, keepdims=True)
    return relative


def _distance(seen: NDArray[np.float64], public: NDArray[np.float64]) -> float:
    """Squared difference of mean (N, 3) and (K, 3), in deviations; 0 where too few to tell."""
    if min(len(seen), len(public)) < 2:
        return 0.0
    variance = seen.var(axis=0, ddof=1) / len(seen) + public.var(axis=0, ddof=1) / len(public)
    return float(((seen.mean(axis=0) - public.mean(axis=0)) ** 2 / (variance + 1e-6)).sum())
