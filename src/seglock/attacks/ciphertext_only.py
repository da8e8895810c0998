"""T2, `ciphertext-only`: the plan from statistics of encrypted images and of anyone's photos.

No pair, no label and no use of the network. Who has the network and ciphertexts has the owner's
predictions on those anyway: the network takes them as they are. What the plan adds is the
pictures themselves, and the network's use on all other images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.blocks import block_grid, block_rows
from seglock.attacks.estimates import AS_IS, ENCRYPTED, NEGATED, UNKNOWN, estimated_plan
from seglock.attacks.ffx_levels import mask_by_range, table_by_neighbours
from seglock.attacks.np_mask import mask_by_correlation, settle_complement
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, Material, needs_steps
from seglock.attacks.shf_matching import match, statistics
from seglock.transforms.ffx import FIXED_PASSWORD, ffx_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.meter import Meter
    from seglock.transforms.plan import Plan

MATCHED_LIMIT = 768
"""Positions of a block whose correlations can be matched: n = 768 is M = 16."""


_GOOD_MATCH = 0.01
"""Mean squared error of matched covariances, of mean variance 1, below which no start is added."""


def why_not(facts: Facts) -> str | None:
    """FFX in company and shuffled large blocks are left out."""
    if needs_steps(facts):
        return needs_steps(facts)
    if "ffx" in facts.methods and facts.methods != {"ffx"}:
        return "FFX values are read by the pixels beside them, which SHF moves and NP negates"
    if "shf" in facts.methods and facts.positions > MATCHED_LIMIT:
        return (
            f"matching the correlations of {facts.positions} shuffled positions is out of its "
            f"reach, which is {MATCHED_LIMIT}"
        )
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Recover the NP or FFX mask, the FFX table and the SHF permutation, as the steps have them."""
    facts, seen = material.facts, material.ciphertexts
    assert seen is not None
    seen = seen[: meter.left or 1]
    meter.spend(len(seen))
    if "ffx" in facts.methods:
        plan = _ffx(seen, facts)
        return Finding((Candidate(plan),), about={"ciphertexts": len(seen)})
    grid, photos = (block_grid(images, facts.block_size) for images in (seen, material.photos))
    mask = np.zeros(facts.positions, bool)
    if "np" in facts.methods:
        mask = mask_by_correlation(block_rows(seen, facts.block_size), facts)
        mask = settle_complement(grid.reshape(-1, facts.positions), mask, photos, facts)
    order, about = np.arange(facts.positions), dict[str, Any]()
    if "shf" in facts.methods:
        read = np.where(mask, 255 - grid, grid)
        order, error = match(
            statistics(read),
            statistics(photos),
            np.random.default_rng(seed),
            lambda least: least > _GOOD_MATCH and not meter.exhausted,
        )
        about = {"matching_error": error}
    plan = estimated_plan(facts, order, np.where(mask, NEGATED, AS_IS))
    return Finding((Candidate(plan),), about={"ciphertexts": len(seen), **about})


def _ffx(seen: NDArray[Any], facts: Facts) -> Plan:
    rows = block_rows(seen, facts.block_size)
    mask = mask_by_range(rows)
    if facts.ffx_password == "fixed":  # noqa: S105 - a choice, not a password
        table = ffx_table(FIXED_PASSWORD)
    elif mask.any() and not mask.all():
        table = table_by_neighbours(rows, mask, facts.block_size)
    else:  # every position hidden: nothing plain to read them by
        table = np.full(256, UNKNOWN, np.int16)
    return estimated_plan(
        facts, np.arange(facts.positions), np.where(mask, ENCRYPTED, AS_IS), table
    )


ATTACK = Attack("ciphertext-only", "T2", "ciphertexts", run, why_not)
