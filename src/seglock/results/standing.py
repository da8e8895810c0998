"""How a lock stands: the strongest thief of each tier, and which limits it breaks.

One place for what the report, the terminal and `benchmarks.locks` say of a lock that was attacked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seglock.results.attack import AttackResult, BeyondScratch, Tier, beyond_scratch, regained

MOST_DROP, MOST_BEYOND, MOST_REGAINED, LEAST_BITS = 0.01, 0.02, 0.05, 64
"""What a lock that holds keeps to: in mean IoU, mean IoU, a share, and bits."""


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


def broken(
    *, drop: float | None, bits: float | None, t0: Thief | None, beyond: BeyondScratch | None
) -> tuple[str, ...]:
    """Which limits a lock breaks: ``bits``, ``drop``, ``T0`` and ``T1``; what is unknown, none.

    >>> broken(drop=0.02, bits=33.0, t0=Thief("plain", 0.3, None), beyond=None)
    ('bits', 'drop', 'T0')
    """
    faults = {
        "bits": bits is not None and bits < LEAST_BITS,
        "drop": drop is not None and drop > MOST_DROP,
        "T0": t0 is not None and (t0.regained is None or t0.regained > MOST_REGAINED),
        "T1": beyond is not None and beyond.beyond > MOST_BEYOND,
    }
    return tuple(name for name, fault in faults.items() if fault)
