"""T3, `chosen-plaintext`: images made for the purpose, as few as can determine the plan."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from seglock.attacks.blocks import block_rows, images_of
from seglock.attacks.budget import Meter
from seglock.attacks.correspondence import correspond
from seglock.attacks.protocol import (
    Attack,
    Candidate,
    Facts,
    Finding,
    Material,
    needs_one_table,
)
from seglock.methods import LEVELS
from seglock.transforms.sequence import public_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray


def chosen_blocks(facts: Facts) -> NDArray[np.uint8]:
    """The blocks (K, n) to have encrypted, the most telling first.

    For the tables: one constant block, or a few, tells masks of tables that everyone knows; 256
    constant blocks, one of each level, tell a secret table as well. For SHF: each position's
    number in digits of base 256, one block a digit, ceil(log256 n) in all.

    >>> from seglock.steps import parse_step
    >>> len(chosen_blocks(Facts((parse_step("shf-16"),), "from_key", None, 64)))
    2
    """
    constants = np.repeat(_constants(facts)[:, None], facts.positions, axis=1)
    if not facts.shuffles:
        return constants
    numbers = np.arange(facts.positions)
    digits: list[NDArray[np.uint8]] = []
    while not digits or LEVELS ** len(digits) < facts.positions:
        digits.append((numbers // LEVELS ** len(digits) % LEVELS).astype(np.uint8))
    return np.concatenate([constants, np.stack(digits)])


@lru_cache(maxsize=8)
def _constants(facts: Facts) -> NDArray[np.uint8]:
    """The levels of the constant blocks; nothing secret is among the facts. Not to be changed."""
    levels = np.arange(LEVELS, dtype=np.uint8)
    if facts.secret_tables:
        return levels
    outcomes, chosen = public_tables(facts.steps, facts.ffx_password), list[int]()
    told = [1]
    while max(told) < len(outcomes):
        told = [len(np.unique(outcomes[:, [*chosen, x]], axis=0)) for x in range(LEVELS)]
        chosen.append(int(np.argmax(told)))
    return np.array(chosen, np.uint8)


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Have the chosen blocks encrypted, in as few images as hold them, and read the plan."""
    del seed  # nothing is drawn
    facts, oracle = material.facts, material.oracle
    assert oracle is not None
    blocks = chosen_blocks(facts)
    wanted = -(-len(blocks) // facts.blocks_per_image)
    images = min(wanted, meter.left) or 1
    # What is left over of the last image repeats the blocks: it costs nothing and harms nothing.
    filled = np.resize(blocks, (wanted * facts.blocks_per_image, facts.positions))
    side = facts.image_side
    plain = images_of(filled, facts.block_size, side, side)[:images]
    encrypted = oracle(plain)
    meter.spend(images)
    found = correspond(
        block_rows(plain, facts.block_size), block_rows(encrypted, facts.block_size), facts
    )
    about = {"blocks": len(blocks), "images_needed": wanted}
    return Finding((Candidate(found.plan),), about=about, exact={"determined": found.determined})


ATTACK = Attack("chosen-plaintext", "T3", "images", run, needs_one_table)
