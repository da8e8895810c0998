"""Every attack by its name. A new attack is one file with an ``ATTACK``, entered here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seglock.attacks import (
    block_adapter,
    bn_reestimate,
    chosen_plaintext,
    ciphertext_only,
    exhaustive,
    finetune,
    gradient,
    hill_climb,
    known_plaintext,
    plain,
    random_keys,
    random_search,
    stem_finetune,
    unsupervised,
)
from seglock.config import nearest_name
from seglock.errors import AttackError

if TYPE_CHECKING:
    from seglock.attacks.protocol import Attack, Facts

ATTACKS: dict[str, Attack] = {
    module.ATTACK.name: module.ATTACK
    for module in (
        plain,
        random_keys,
        bn_reestimate,
        unsupervised,
        random_search,
        exhaustive,
        hill_climb,
        gradient,
        finetune,
        stem_finetune,
        block_adapter,
        ciphertext_only,
        known_plaintext,
        chosen_plaintext,
    )
}


def find_attack(name: str) -> Attack:
    """The attack called ``name``; raises AttackError with the nearest known name."""
    if name not in ATTACKS:
        raise AttackError(
            "an attack must be one that the suite has",
            got=repr(name),
            fix=nearest_name(name, ATTACKS),
        )
    return ATTACKS[name]


def applicable(names: Iterable[str], facts: Facts) -> list[Attack]:
    """Those of the named attacks that apply to a lock, in order."""
    attacks = [find_attack(name) for name in names]
    return [attack for attack in attacks if attack.why_not(facts) is None]
