"""The leaderboard of attacks: what each got out of each lock, read from data/attacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seglock import files
from seglock.errors import ReportError
from seglock.report.numbers import four
from seglock.report.schema import Section, checked

TIERS = {
    "T0": "the model and photos without labels",
    "T1": "also labelled plain images",
    "T2": "the model, photos and encrypted images",
    "T3": "also pairs of both, or an oracle that encrypts",
}


class AttackResult(Section):
    """One attack's JSON, as far as the report shows it."""

    attack: str
    tier: str
    lock: str
    unit: str
    queries: int
    seconds: float
    miou: float
    floor: float
    correct: float
    regained: float | None
    plan_agreement: float | None
    chance: float | None = None
    scratch_miou: float | None = None


def read_attacks(root: Path, locks: Iterable[str]) -> list[AttackResult]:
    """The results of ``locks``, lock by lock; none where none were attacked.

    Raises ReportError, naming the stage to run, for a file that is damaged or of another lock.
    """
    results = []
    for lock in locks:
        fix = f"run dvc repro attack@{lock}"
        for path in sorted((root / "data" / "attacks" / lock).glob("*.json")):
            value = files.read_json(path, error=ReportError, fix=fix)
            result = checked(AttackResult, value, where=str(path), fix=fix)
            if result.lock != lock:
                raise ReportError(f"{path} must be about lock {lock}", got=result.lock, fix=fix)
            results.append(result)
    return sorted(results, key=lambda result: list(TIERS).index(result.tier))


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
        lock["attacks"][result.attack] = result.model_dump(exclude={"lock", "correct", "floor"})
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
