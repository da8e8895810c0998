"""How a lock stands: the strongest thief of each tier, and which limits it breaks.

One place for what the report, the terminal, MLflow, the search and `benchmarks.locks` say of a lock
that was attacked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from seglock.results.attack import (
    TIERS,
    AttackResult,
    BeyondScratch,
    Tier,
    beyond_scratch,
    regained,
)
from seglock.steps import SEARCHABLE_BITS

if TYPE_CHECKING:
    from seglock.results.evaluation import Evaluation
    from seglock.results.trial import TrialRecord


class AskedLimits(Protocol):
    """The search section of params.yaml, or the limits of a study."""

    @property
    def max_drop(self) -> float: ...
    @property
    def max_regained(self) -> float: ...
    @property
    def min_key_bits(self) -> float: ...


@dataclass(frozen=True)
class LockLimits:
    """What a lock that holds keeps to: at most ``drop`` of mean IoU for its owner, ``regained`` by
    T0, ``beyond`` training from scratch for T1; and ``bits`` of key space or more."""

    drop: float = 0.01
    regained: float = 0.05
    beyond: float = 0.02
    bits: float = SEARCHABLE_BITS

    @classmethod
    def of(cls, search: AskedLimits) -> Self:
        """The user's own limits, of params.yaml or of a study."""
        return cls(drop=search.max_drop, regained=search.max_regained, bits=search.min_key_bits)


@dataclass(frozen=True)
class Thief:
    """The strongest of a tier on one network: mean IoU, and the share of the owner's lead."""

    name: str
    miou: float
    regained: float | None

    @property
    def lost(self) -> float:
        """``regained``; all of it where the owner has no lead."""
        return 1.0 if self.regained is None else self.regained


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
    beyond: float | None,
    limits: LockLimits = LockLimits(),
) -> tuple[str, ...]:
    """Which limits a lock breaks: ``bits``, ``drop``, ``T0`` and ``T1``; what is unknown, none.

    >>> broken(drop=0.02, bits=33.0, t0=Thief("plain", 0.3, None), beyond=None)
    ('bits', 'drop', 'T0')
    """
    faults = {
        "bits": bits is not None and bits < limits.bits,
        "drop": drop is not None and drop > limits.drop,
        "T0": t0 is not None and t0.lost > limits.regained,
        "T1": beyond is not None and beyond > limits.beyond,
    }
    return tuple(name for name, fault in faults.items() if fault)


def verdict(faults: Collection[str], held: str | None) -> str:
    """Whether a lock holds, in a few words: broken by thieves, or else too dear for its owner.

    >>> verdict(["drop", "T0"], "T0"), verdict(["drop"], "T0")
    ('broken: T0', 'drop too large')
    >>> verdict([], "T1"), verdict([], None)
    ('holds to T1', 'not attacked')
    """
    if by := [fault for fault in faults if fault != "drop"]:
        return f"broken: {', '.join(by)}"
    if faults:
        return "drop too large"
    return f"holds to {held}" if held else "not attacked"


@dataclass(frozen=True)
class LockStanding:
    """One lock, or one key of it: its strongest thieves, what T1 has beyond training from scratch,
    the limits that it breaks, and the last tier that it was tried against."""

    thieves: dict[Tier, Thief]
    beyond: float | None
    broken: tuple[str, ...]
    held: Tier | None

    @property
    def verdict(self) -> str:
        """Whether it holds, in a few words."""
        return verdict(self.broken, self.held)

    @classmethod
    def of(
        cls,
        found: Evaluation,
        attacks: Iterable[AttackResult],
        drop: float | None,
        limits: LockLimits,
    ) -> Self:
        """A lock as the pipeline judged and attacked it."""
        scores, attacks = found.scores, list(attacks)
        known = tried(
            plain=scores.plain.miou,
            plain_bn=scores.plain_bn.miou if scores.plain_bn else None,
            wrong=scores.incorrect.p95 if scores.incorrect else None,
            owner=scores.owner_miou,
            floor=scores.floors.floor,
        )
        best = {tier: strongest(tier, attacks, known if tier == "T0" else ()) for tier in TIERS}
        line = most_beyond(attacks)
        beyond = line.beyond if line else None
        faults = broken(
            drop=drop, bits=found.key_space_bits, t0=best["T0"], beyond=beyond, limits=limits
        )
        return cls(
            {t: thief for t, thief in best.items() if thief}, beyond, faults, held_against(attacks)
        )

    @classmethod
    def of_trial(cls, trial: TrialRecord, limits: LockLimits) -> Self:
        """A study's measured trial. A thief of T1 to T3 whom the study asked for may regain no
        more than one of T0."""
        assert trial.owner_miou is not None
        assert trial.unauthorised is not None
        known = tried(
            plain=trial.plain,
            plain_bn=trial.plain_bn,
            wrong=trial.incorrect_p95,
            owner=trial.owner_miou,
            floor=trial.floor or 0.0,
        )
        attacks = trial.attacks or {}
        found: list[tuple[Tier, Thief]] = [("T0", thief) for thief in known]
        found += [
            (one["tier"], Thief(name, one["miou"], one.get("regained")))
            for name, one in attacks.items()
        ]
        whole = Thief(trial.strongest or "thief", trial.unauthorised, trial.regained)
        found.append((trial.strongest_tier or "T0", whole))
        best: dict[Tier, Thief] = {}
        for tier, thief in found:
            if tier not in best or thief.miou > best[tier].miou:
                best[tier] = thief
        scratch = [one["scratch_miou"] for one in attacks.values() if "scratch_miou" in one]
        theirs = [
            one["miou"] - max(scratch)
            for one in attacks.values()
            if scratch and one["tier"] == "T1"
        ]
        beyond = max(theirs, default=None)
        faults = broken(
            drop=trial.drop,
            bits=trial.key_space_bits or 0.0,
            t0=best.get("T0"),
            beyond=beyond,
            limits=limits,
        )
        more = [
            tier
            for tier, thief in best.items()
            if tier not in ("T0", *faults) and thief.lost > limits.regained
        ]
        tiers = {one["tier"] for one in attacks.values()}
        held: Tier | None = "T1" if theirs else "T0" if "T0" in tiers else None
        return cls(best, beyond, (*faults, *sorted(more)), held)
