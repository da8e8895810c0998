"""Made-up results of attacks, in the shape in which the judge writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
BUDGET = {"queries": 2000, "seconds": 30.0, "labelled": list(SHARES)}
FLOOR = 0.11
TRAINED = ("finetune", "stem-finetune", "block-adapter")
SEARCHED = {"unsupervised": "T0", "hill-climb": "T1", "random-search": "T1", "gradient": "T1"}


def make_attack(attack: str, tier: str, lock: str, **changes: Any) -> dict[str, Any]:
    """One attack's JSON; ``regained`` follows from the other figures unless it is given."""
    values: dict[str, Any] = {
        "attack": attack,
        "tier": tier,
        "lock": lock,
        "budget": BUDGET,
        "unit": "keys",
        "queries": 1500,
        "seconds": 12.345,
        "miou": 0.4,
        "floor": FLOOR,
        "correct": 0.7,
        "plan_found": None,
        "above_chance": None,
    } | changes
    values.setdefault("curve", [{"miou": values["miou"]}])
    gain = values["correct"] - values["floor"]
    share = (values["miou"] - values["floor"]) / gain if gain > 0 else None
    return {"regained": share} | values


def make_trained(attack: str, lock: str, *, gain: float = 0.1, **changes: Any) -> dict[str, Any]:
    """A training attack: theft and scratch at each share of 440 labelled images."""
    lines = []
    for share in SHARES:
        count = round(share * 440)
        scratch = 0.15 + 0.35 * share**0.4
        for source, miou in (("theft", scratch + gain), ("scratch", scratch)):
            about = {"from": source, "labelled": count, "share": count / 440, "cross_entropy": 0.4}
            about |= {"lr": 0.002, "length": 40, "trainings": 7, "refused": 0.0}
            lines.append({"miou": miou} | about)
    about = lines[-2] | {"scratch_miou": lines[-1]["miou"], "curve": lines, "unit": "steps"}
    return make_attack(attack, "T1", lock, **(about | changes))


def make_searched(attack: str, lock: str, *, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """An attack that searches: its best score falls at each entry of its course."""
    rng = np.random.default_rng([seed, *map(ord, attack + lock)])
    queries = np.unique(np.geomspace(8, 1400, 14).astype(int))
    scores = 2.0 - np.cumsum(rng.uniform(0.01, 0.12, len(queries)))
    course = [[int(q), float(s)] for q, s in zip(queries, scores, strict=True)]
    score = {"signal" if attack == "unsupervised" else "cross_entropy": course[-1][1]}
    about = score | {"plan_found": False, "above_chance": True, "course": course}
    return make_attack(attack, SEARCHED[attack], lock, **(about | changes))


def make_proximity(
    lock: str, changes: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 48), correct: float = 0.7
) -> dict[str, Any]:
    """key-proximity, which knows the secret; its fields as far as the report reads them."""
    curve = []
    for count in changes:
        miou = FLOOR + (correct - FLOOR) * float(np.exp(-count / 9))
        spread = 0.0 if count == 0 else 0.04
        about = {"min": miou - spread, "max": miou + spread}
        curve.append({"changes": count, "miou": miou} | about)
    return {
        "attack": "key-proximity", "tier": "analysis", "lock": lock, "budget": BUDGET,
        "unit": "keys", "queries": 64, "seconds": 3.2, "miou": correct, "floor": FLOOR,
        "correct": correct, "regained": 1.0, "plan_found": None, "above_chance": None,
        "curve": curve,
    }  # fmt: skip


def put(root: Path, results: Iterable[dict[str, Any]]) -> Path:
    """Write data/attacks/LOCK/NAME.json for each result; returns ``root``."""
    for values in results:
        path = root / "data" / "attacks" / values["lock"] / f"{values['attack']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    return root


def make_suite(locks: Iterable[str]) -> list[dict[str, Any]]:
    """Every kind of result for each lock."""
    suite = []
    for place, lock in enumerate(locks):
        correct = 0.72 - 0.02 * (place % 8)
        for number, attack in enumerate(TRAINED):
            gain = 0.12 - 0.04 * number - 0.01 * (place % 8)
            suite.append(make_trained(attack, lock, gain=gain, correct=correct))
        suite += [make_searched(attack, lock, correct=correct) for attack in SEARCHED]
        suite.append(make_attack("plain", "T0", lock, miou=0.2, correct=correct, unit="images"))
        suite.append(make_attack("ciphertext-only", "T2", lock, miou=0.5, correct=correct))
        suite.append(make_attack("chosen-plaintext", "T3", lock, miou=correct, correct=correct))
        suite.append(make_proximity(lock, correct=correct))
    return suite
