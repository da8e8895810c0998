"""The table of locks by cost and by the strongest thief of each tier that was tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from seglock.report.numbers import NOTHING, four, signed
from seglock.results.attack import TIERS, AttackResult
from seglock.results.evaluation import Evaluation
from seglock.results.standing import LockLimits, LockStanding, most_beyond, verdict
from seglock.steps import lock_text

Figures = Mapping[str, Any]
LEARNT = 0.01
"""A network that is no more than this above the floor is said to have learnt nothing."""


def has_learnt(figures: Figures) -> bool:
    """Whether a lock's owner gets more than what needs no model.

    >>> has_learnt({"owner_miou": 0.5, "floor": 0.1}), has_learnt({"owner_miou": 0.1, "floor": 0.1})
    (True, False)
    """
    return bool(figures["owner_miou"] - figures["floor"] > LEARNT)


def standings(
    locks: Mapping[str, Figures],
    evaluations: Sequence[Evaluation],
    attacks: Sequence[AttackResult],
    limits: LockLimits = LockLimits(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """summary.json's ``standings``: the ``limits``, and each evaluated lock with its strongest
    thieves by tier, what a thief with labels has beyond training from scratch, the cost of
    training, the limits that it breaks, and the last tier that it was tried against.

    ``attacked`` is false where no attack was run: then T0 is what evaluation tried.
    """
    plain = next((one["seconds"] for one in locks.values() if not one["steps"]), None)
    return {
        "limits": asdict(limits),
        "locks": {
            one.lock: _standing(
                locks[one.lock], one, [r for r in attacks if r.lock == one.lock], plain, limits
            )
            for one in evaluations
            if not one.is_baseline
        },
    }


def _standing(
    figures: Figures,
    evaluation: Evaluation,
    attacks: Sequence[AttackResult],
    plain: float | None,
    limits: LockLimits,
) -> dict[str, Any]:
    found = LockStanding.of(evaluation, attacks, figures["drop"], limits)
    beyond, own = most_beyond(attacks), figures["seconds"]
    return {
        "attacked": any(not one.is_analysis for one in attacks),
        "thieves": {tier: asdict(thief) for tier, thief in found.thieves.items()},
        "beyond": beyond.document() if beyond else None,
        "cost": own / plain if own and plain else None,
        "held_against": found.held,
        "learnt": has_learnt(figures),
        "broken": list(found.broken),
    }


def holds_text(standing: Figures) -> str:
    """Whether a lock holds, in a few words: broken by thieves, or else too dear for its owner.
    A network that learnt nothing says nothing of its lock.

    >>> holds_text({"learnt": True, "broken": ["drop", "T0"]})
    'broken: T0'
    >>> holds_text({"learnt": True, "broken": [], "held_against": "T1"})
    'holds to T1'
    """
    if not standing.get("learnt", True):  # a report of an earlier version has none
        return "learnt nothing"
    return verdict(standing["broken"], standing.get("held_against"))


def thief_text(standing: Figures, tier: str) -> str:
    """The strongest thief of a tier: mean IoU, what it regained, its name."""
    thief = standing["thieves"].get(tier)
    if thief is None:
        return NOTHING
    share = "" if thief["regained"] is None else f" [{thief['regained']:.2f}]"
    return f"{four(thief['miou'])}{share} {thief['name']}"


def row(figures: Figures, standing: Figures | None) -> list[str]:
    """A lock in the narrow table of a terminal, as `HEADINGS` has it; the baseline has no standing.

    >>> row({"lock": "baseline", "owner_miou": 0.5, "drop": None, "key_space_bits": None}, None)
    ['baseline', '–', '0.5000', '–', '–', '–', '–', '–', '–', '–']
    """
    bits = figures["key_space_bits"]
    return [
        lock_text(figures["lock"]),
        holds_text(standing) if standing else NOTHING,
        four(figures["owner_miou"]),
        four(figures["drop"]),
        NOTHING if bits is None else f"{int(bits)}",
        *(_regained(standing["thieves"].get(tier)) if standing else NOTHING for tier in TIERS),
        _beyond(standing["beyond"]) if standing else NOTHING,
    ]


HEADINGS = ("Lock", "Holds?"), ("Owner", "Drop", "Bits", *TIERS, "Beyond")
"""The narrow table's columns of words, and of numbers: 80 characters must do."""


def _regained(thief: Figures | None) -> str:
    if thief is None or thief["regained"] is None:
        return NOTHING
    return f"{thief['regained'] + 0.0:.2f}".replace("-0.00", "0.00")


def _beyond(line: Figures | None) -> str:
    return NOTHING if line is None else f"{line['beyond']:+.2f}"


def sentences(told: Mapping[str, Any]) -> Iterable[str]:
    """What the narrow table means, and a sentence a lock: whom it met."""
    limits, locks = told["limits"], told["locks"]
    yield (
        "T0 to T3: the share of the owner's lead that the strongest thief of the tier regained; 0 "
        "is a perfect lock, 1 is none. "
        + " ".join(f"{tier}: {TIERS[tier]}." for tier in TIERS)
        + " Beyond: what T1 has in mean IoU beyond training from scratch on the same images."
    )
    yield (
        f"Holds: a drop of at most {limits['drop']:g}, {limits['bits']:g} bits or more, T0 at most "
        f"{limits['regained']:g}, Beyond at most {limits['beyond']:g}. Encrypted images (T2, T3) "
        "are to be guarded like the key."
    )
    if locks and not any(standing["attacked"] for standing in locks.values()):
        yield (
            "No attack was run, so T0 is plain images and wrong keys, the weakest thieves: "
            "`dvc repro` or `seglock attack --lock NAME` plays the others."
        )
        return
    for name, standing in locks.items():
        words = [f"{tier} {thief_text(standing, tier)}" for tier in standing["thieves"]]
        if standing["beyond"]:
            line = standing["beyond"]
            words.append(
                f"{signed(line['beyond'])} beyond scratch ({line['attack']}, "
                f"{line['labelled']} images)"
            )
        yield f"{lock_text(name)}: {'; '.join(words)}."
