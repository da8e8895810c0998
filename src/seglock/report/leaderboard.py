"""The leaderboard of attacks: what each got out of each lock, and the best of each tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seglock.report.attacks import TIERS, AttackResult
from seglock.report.numbers import four


def leaderboard(results: Sequence[AttackResult]) -> dict[str, Any] | None:
    """Locks by attacks, and locks by tiers with the best attack of each; None without results.

    >>> leaderboard([])
    """
    if not results:
        return None
    locks: dict[str, dict[str, Any]] = {}
    for result in results:
        lock = locks.setdefault(
            result.lock,
            {"correct": result.correct, "floor": result.floor, "attacks": {}, "tiers": {}},
        )
        lock["attacks"][result.attack] = result.model_dump(
            mode="json", exclude={"lock", "correct", "floor", "course", "curve"}
        )
        best = lock["tiers"].get(result.tier)
        if best is None or result.miou > best["miou"]:
            lock["tiers"][result.tier] = lock["attacks"][result.attack]
    names = {result.attack: result.tier for result in results}
    return {"attacks": names, "tiers": dict(TIERS), "locks": locks}


def shade(regained: float | None) -> str:
    """A cell's colour: none at 0 or below, full at 1 and above.

    >>> shade(0.0), shade(0.5), shade(None)
    ('', 'background: rgba(214, 69, 65, 0.35)', '')
    """
    share = min(1.0, max(0.0, regained or 0.0))
    return f"background: rgba(214, 69, 65, {0.7 * share:.2f})" if share else ""


def agreement_text(result: dict[str, Any]) -> str:
    """The plan's share that was found, beside what chance gives.

    >>> agreement_text({"plan_agreement": 0.75, "chance": 0.5})
    '0.7500 (chance 0.5000)'
    """
    if result["plan_agreement"] is None:
        return four(None)
    return f"{four(result['plan_agreement'])} (chance {four(result['chance'])})"
