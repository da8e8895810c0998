"""The leaderboard of attacks: what each got out of each lock, and the best of each tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seglock.report.countermeasures import MOVED, countermeasures
from seglock.report.numbers import NOTHING
from seglock.results.attack import TIERS, AttackResult, beyond_scratch

_TOLD = (
    "attack", "tier", "budget", "unit", "queries", "seconds", "miou", "regained", "refused",
    "plan_found", "above_chance", "scratch_miou", "labelled", "cross_entropy", "signal",
)  # fmt: skip
_LAST = 2.0
_WHOLE = 1.0
_NO_LOCK = "no lock: plain images are the right ones"
_NOT_RUN = "not attacked"

Figures = Mapping[str, Any]


def leaderboard(
    results: Sequence[AttackResult], locks: Mapping[str, Figures] | None = None
) -> dict[str, Any] | None:
    """Locks by attacks, and locks by tiers with the best attack of each; None without attacks.

    results: as `read_attacks` has them. locks: summary.json's. ``strongest`` is the attack with
    the most; of equals that of the first tier. ``ranking`` has the attacked locks by what it
    regained, least first; locks that are the same to four decimals by what the best attacks of
    the other tiers regained. ``places`` has their places: equals share one, and who lost all of the
    owner's lead has none. ``not_attacked`` says why the others are not in it. ``beyond_scratch``
    is what each lock's thieves with labels have beyond training without it.

    >>> leaderboard([])
    """
    results = [result for result in results if not result.is_analysis]
    if not results:
        return None
    locks = locks or {}
    attacked: dict[str, dict[str, Any]] = {}
    for result in results:
        lock = attacked.setdefault(
            result.lock,
            {
                "correct": result.correct,
                "floor": result.floor,
                "strongest": None,
                "attacks": {},
                "tiers": {},
                "beyond_scratch": [],
            },
        )
        values = {name: getattr(result, name) for name in _TOLD}
        values["budget"] = result.budget.document()
        lock["attacks"][result.attack] = values
        best = lock["tiers"].get(result.tier)
        if best is None or result.miou > best["miou"]:
            lock["tiers"][result.tier] = values
    for name, lock in attacked.items():
        beyond = beyond_scratch(result for result in results if result.lock == name)
        lock["beyond_scratch"] = [line.document() for line in beyond]
        lock["strongest"] = max(lock["tiers"].values(), key=lambda best: best["miou"])["attack"]
    return {
        "attacks": {result.attack: result.tier for result in results},
        "tiers": dict(TIERS),
        "locks": attacked,
        "ranking": sorted(attacked, key=lambda name: _most(attacked[name])),
        "places": _places(attacked),
        "not_attacked": {
            name: _NOT_RUN if figures["steps"] else _NO_LOCK
            for name, figures in locks.items()
            if name not in attacked
        },
        "countermeasures": {
            "moved_from": MOVED,
            "groups": countermeasures(attacked, locks) if locks else [],
        },
    }


def _most(lock: Figures) -> list[float]:
    """What each tier's best attack regained, most first; last where there is nothing to regain."""
    regained = [best["regained"] for best in lock["tiers"].values()]
    return sorted((_LAST if r is None else round(r, 4) for r in regained), reverse=True)


def _places(locks: Mapping[str, Figures]) -> dict[str, int]:
    most = {name: _most(lock)[0] for name, lock in locks.items()}
    return {
        name: 1 + sum(other < own for other in most.values())
        for name, own in most.items()
        if own < _WHOLE
    }


def shade(regained: float | None) -> str:
    """A cell's colour: none at 0 or below, full at 1 and above.

    >>> shade(0.0), shade(0.5), shade(None)
    ('', 'background: rgba(214, 69, 65, 0.35)', '')
    """
    share = min(1.0, max(0.0, regained or 0.0))
    return f"background: rgba(214, 69, 65, {0.7 * share:.2f})" if share else ""


def share_text(line: Figures) -> str:
    """How many labelled images, of a line of ``beyond_scratch``.

    >>> share_text({"labelled": 37, "share": 0.1008}), share_text({"labelled": 2, "share": None})
    ('37 images (10%)', '2 images')
    """
    share = line["share"]
    return f"{line['labelled']} images" + ("" if share is None else f" ({100 * share:.2g}%)")


def plan_text(result: Figures) -> str:
    """What is published of the plan that an attack chose.

    >>> plan_text({"plan_found": False, "above_chance": True})
    'above chance'
    """
    if result["plan_found"] is None:
        return NOTHING
    if result["plan_found"]:
        return "found"
    return "above chance" if result["above_chance"] else "not found"


def spent_text(result: Figures) -> str:
    """What an attack spent of its budget, with the labelled images where its tier has labels.

    An attacker with fewer labelled images than the budget's share has used what there were.

    >>> budget = {"queries": 2000, "seconds": 30.0, "labelled": [0.01, 0.5]}
    >>> spent = {"tier": "T1", "queries": 1500, "unit": "keys", "seconds": 12.345}
    >>> spent_text(spent | {"budget": budget, "labelled": 220})
    '1500/2000 keys, 12.3/30 s, 220 labelled'
    >>> spent_text(spent | {"budget": budget, "labelled": None})
    '1500/2000 keys, 12.3/30 s, up to 50% labelled'
    """
    budget = result["budget"]
    parts = [
        f"{result['queries']}/{budget['queries']} {result['unit']}",
        f"{result['seconds']:.1f}/{budget['seconds']:g} s",
    ]
    if result["labelled"] is not None:
        parts.append(f"{result['labelled']} labelled")
    elif result["tier"] == "T1" and budget["labelled"]:
        parts.append(f"up to {100 * max(budget['labelled']):g}% labelled")
    return ", ".join(parts)
