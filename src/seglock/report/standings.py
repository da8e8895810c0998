"""The table of locks by cost and by the strongest thief of each tier that was tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seglock.report.numbers import NOTHING, four, signed
from seglock.results.attack import AttackResult, Tier
from seglock.results.standing import (
    LEAST_BITS,
    MOST_BEYOND,
    MOST_DROP,
    MOST_REGAINED,
    Thief,
    broken,
    most_beyond,
    strongest,
    tried,
)

Figures = Mapping[str, Any]
THIEVES: tuple[Tier, ...] = ("T0", "T1", "T2", "T3")
LIMITS = {
    "drop": MOST_DROP,
    "bits": LEAST_BITS,
    "regained": MOST_REGAINED,
    "beyond": MOST_BEYOND,
}


def standings(
    locks: Mapping[str, Figures], attacks: Sequence[AttackResult]
) -> dict[str, dict[str, Any]]:
    """summary.json's ``standings``: each lock's strongest thieves by tier, what a thief with labels
    has beyond training from scratch, the cost of training, and the limits that it breaks.

    ``attacked`` is false where no attack was run: then T0 is what evaluation tried.
    """
    plain = next((one for one in locks.values() if not one["steps"]), None)
    return {
        name: _standing(one, [result for result in attacks if result.lock == name], plain)
        for name, one in locks.items()
        if one["steps"]
    }


def _standing(
    figures: Figures, attacks: Sequence[AttackResult], baseline: Figures | None
) -> dict[str, Any]:
    known = tried(
        plain=figures["plain"],
        plain_bn=figures["plain_bn"],
        wrong=figures["incorrect_p95"],
        owner=figures["owner_miou"],
        floor=figures["floor"],
    )
    thieves = {tier: strongest(tier, attacks, known if tier == "T0" else ()) for tier in THIEVES}
    beyond = most_beyond(attacks)
    limits = broken(
        drop=figures["drop"], bits=figures["key_space_bits"], t0=thieves["T0"], beyond=beyond
    )
    own, plain = figures["seconds"], baseline["seconds"] if baseline else None
    return {
        "attacked": bool(attacks),
        "thieves": {tier: _told(thief) for tier, thief in thieves.items() if thief},
        "beyond": beyond.document() if beyond else None,
        "cost": own / plain if own and plain else None,
        "broken": list(limits),
    }


def _told(thief: Thief) -> dict[str, Any]:
    return {"name": thief.name, "miou": thief.miou, "regained": thief.regained}


def holds_text(standing: Figures) -> str:
    """Whether a lock holds, in two words or so.

    >>> holds_text({"broken": ["T0"], "attacked": True}), holds_text({"broken": [], "attacked": 0})
    ('broken: T0', 'not attacked')
    """
    if standing["broken"]:
        return f"broken: {', '.join(standing['broken'])}"
    return "holds" if standing["attacked"] else "not attacked"


def thief_text(standing: Figures, tier: str) -> str:
    """The strongest thief of a tier: mean IoU, what it regained, its name."""
    thief = standing["thieves"].get(tier)
    if thief is None:
        return NOTHING
    share = "" if thief["regained"] is None else f" [{thief['regained']:.2f}]"
    return f"{four(thief['miou'])}{share} {thief['name']}"


def sentences(standings: Mapping[str, Figures]) -> Iterable[str]:
    """A sentence a lock, for a terminal: does it hold, and whom it met."""
    for name, standing in standings.items():
        words = [f"{tier} {thief_text(standing, tier)}" for tier in standing["thieves"]]
        if standing["beyond"]:
            line = standing["beyond"]
            words.append(
                f"{signed(line['beyond'])} beyond scratch ({line['attack']}, "
                f"{line['labelled']} images)"
            )
        yield f"{name}: {holds_text(standing)}. {'; '.join(words)}."
