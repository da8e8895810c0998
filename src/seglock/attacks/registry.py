"""Every attack and analysis by its name.

A new attack is one file with an ``ATTACK``, a new analysis one with an ``ANALYSIS``, entered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from seglock.attacks import (
    adapt,
    block_adapter,
    bn_reestimate,
    channel_match,
    chosen_plaintext,
    ciphertext_only,
    collusion,
    disguise,
    distil,
    exhaustive,
    finetune,
    gradient,
    hill_climb,
    inversion,
    jacobian,
    key_proximity,
    known_plaintext,
    plain,
    random_keys,
    random_search,
    repair,
    stem_finetune,
    stem_match,
    unsupervised,
)
from seglock.errors import AttackError, nearest_name

if TYPE_CHECKING:
    from seglock.attacks.protocol import Attack
    from seglock.attacks.run import Analysis

ATTACKS: Mapping[str, Attack] = {
    module.ATTACK.name: module.ATTACK
    for module in (
        plain,
        random_keys,
        bn_reestimate,
        channel_match,
        unsupervised,
        adapt,
        disguise,
        jacobian,
        inversion,
        stem_match,
        collusion,
        random_search,
        exhaustive,
        hill_climb,
        gradient,
        finetune,
        stem_finetune,
        repair,
        block_adapter,
        ciphertext_only,
        known_plaintext,
        chosen_plaintext,
        distil,
    )
} | {attack.name: attack for attack in (disguise.SEEN, channel_match.SEEN, channel_match.KNOWN)}
ANALYSES: Mapping[str, Analysis] = {key_proximity.ANALYSIS.name: key_proximity.ANALYSIS}


def find_any(name: str) -> Attack | Analysis:
    """The attack or the analysis called ``name``; raises AttackError with the nearest known one."""
    every: dict[str, Attack | Analysis] = {**ATTACKS, **ANALYSES}
    if name not in every:
        raise AttackError(
            "an attack must be one that the suite has",
            got=repr(name),
            fix=nearest_name(name, every),
        )
    return every[name]
