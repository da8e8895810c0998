"""How a lock stands: the strongest thief of each tier, and which limits it breaks.

One place for what the report, the terminal and `benchmarks.locks` say of a lock that was attacked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from seglock.results.attack import AttackResult, BeyondScratch, Tier, beyond_scratch, regained
from seglock.steps import SEARCHABLE_BITS

if TYPE_CHECKING:
    from seglock.config import SearchParams


@dataclass(frozen=True)
class LockLimits:
    """What a lock that holds keeps to: at most ``drop`` of mean IoU for its owner, ``regained`` by
    T0, ``beyond`` training from scratch for T1; and ``bits`` of key space or more."""

    drop: float = 0.01
    regained: float = 0.05
    beyond: float = 0.02
    bits: float = SEARCHABLE_BITS

    @classmethod
    def of(cls, search: SearchParams) -> Self:
        """The user's own limits."""
        return cls(drop=search.max_drop, regained=search.max_regained, bits=search.min_key_bits)


@dataclass(frozen=True)
class Thief:
    """The strongest of a tier on one network: mean IoU, and the share of the owner's lead."""

    name: str
    miou: float
    regained: float | None


def tried(
    *, plain: float | None, plain_bn: float | None, wrong: float | None, owner: float, floor: float
) -> list[Thief]:
    """What evaluation tries of each lock, as thieves of T0: ``wrong`` is p95 of the wrong keys.

    >>> [thief.name for thief in tried(plain=0.1, plain_bn=None, wrong=0.2, owner=0.5, floor=0.1)]
    ['plain', 'wrong keys']
    """
    scores = {"plain": plain, "plain BN": plain_bn, "wrong keys": wrong}
    return [
        Thief(name, miou, regained(miou, owner=owner, floor=floor))
        for name, miou in scores.items()
        if miou is not None
    ]


def strongest(
    tier: Tier, attacks: Iterable[AttackResult], others: Iterable[Thief] = ()
) -> Thief | None:
    """The strongest of one lock's thieves of a tier; the first of equals, None without any."""
    found = [Thief(one.attack, one.miou, one.regained) for one in attacks if one.tier == tier]
    return max([*found, *others], key=lambda thief: thief.miou, default=None)


def most_beyond(attacks: Iterable[AttackResult]) -> BeyondScratch | None:
    """Where a thief with labels is furthest beyond training from scratch on the same images."""
    return max(beyond_scratch(attacks), key=lambda line: line.beyond, default=None)


def held_against(attacks: Iterable[AttackResult]) -> Tier | None:
    """The last tier that a lock can be said to hold against: a thief with labels counts beside
    training from scratch alone. None where no attack says anything."""
    attacks = list(attacks)
    if most_beyond(attacks):
        return "T1"
    return "T0" if any(one.tier == "T0" for one in attacks) else None


def broken(
    *,
    drop: float | None,
    bits: float | None,
    t0: Thief | None,
    beyond: BeyondScratch | None,
    limits: LockLimits = LockLimits(),
) -> tuple[str, ...]:
    """Which limits a lock breaks: ``bits``, ``drop``, ``T0`` and ``T1``; what is unknown, none.

    >>> broken(drop=0.02, bits=33.0, t0=Thief("plain", 0.3, None), beyond=None)
    ('bits', 'drop', 'T0')
    """
    faults = {
        "bits": bits is not None and bits < limits.bits,
        "drop": drop is not None and drop > limits.drop,
        "T0": t0 is not None and (t0.regained is None or t0.regained > limits.regained),
        "T1": beyond is not None and beyond.beyond > limits.beyond,
    }
    return tuple(name for name, fault in faults.items() if fault)
