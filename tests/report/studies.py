"""A made-up study.json, as the search writes it: twenty trials whose figures look measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.report.conftest import CLASSES, SIDE

FLOOR = 0.1031
BASELINE = (0.7930, 0.7858, 0.7961)
EPOCHS = 12
# What a lock costs its owner and leaves to a thief, by method: at M = 2, and per doubling of M.
_TRENDS = {
    "shf": (0.002, 0.055, 0.190, -0.045),
    "np": (0.003, 0.021, 0.115, -0.022),
    "ffx": (0.085, 0.030, 0.540, -0.050),
    "np+shf": (0.011, 0.065, 0.075, -0.025),
}
_STOPPED = {11: "behind", 14: "dominated", 17: "behind"}
_FAILED = 19


def _trial(number: int, method: str, side: int, fraction: str) -> dict[str, Any]:
    rng = np.random.default_rng([number, side])
    cost, growth, left, change = _TRENDS[method]
    doublings = float(np.log2(side)) - 1
    share = 1.0 if fraction == "published" else 0.55
    mean = sum(BASELINE) / len(BASELINE)
    owner = mean - share * (cost + growth * doublings**1.5) + float(rng.normal(0, 0.006))
    thief = FLOOR + max(left + change * doublings, 0.01) / share + float(rng.uniform(0, 0.015))
    suffix = "" if fraction == "published" else f"-f{fraction}"
    steps = [f"{name}-{side}{suffix}" for name in method.split("+")]
    state = "stopped" if number in _STOPPED else "failed" if number == _FAILED else "complete"
    done = state == "complete"
    curve = [owner * (1 - float(np.exp(-epoch / 3.5))) for epoch in range(1, EPOCHS + 1)]
    length = {"complete": EPOCHS, "stopped": 5, "failed": 2}[state]
    return {
        "number": number,
        "state": state,
        "lock": "_".join(steps),
        "steps": steps,
        "method": method,
        "block_size": side,
        "fraction": fraction,
        "refuse": 0.0,
        "lr": 0.2,
        "weight_decay": 0.0005,
        "epochs": EPOCHS,
        "image_side": SIDE,
        "owner_miou": owner if done else None,
        "unauthorised": thief if done else None,
        "plain": thief - 0.05 if done else None,
        "plain_bn": thief if done else None,
        "incorrect_mean": FLOOR + 0.02 if done else None,
        "incorrect_p95": thief - 0.02 if done else None,
        "drop": mean - owner if done else None,
        "regained": (thief - FLOOR) / (owner - FLOOR) if done else None,
        "floor": FLOOR if done else None,
        "key_id": "0123456789abcdef" if done else None,
        "key_hash": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA" if done else None,
        "key_space_bits": 96.0 if done else None,
        "run_id": f"{number + 171:08x}" * 4,
        "seconds": 8.1 if done else 3.4,
        "worker": "local-0",
        "attempt": 1,
        "stopped": {"rule": _STOPPED[number], "epoch": 5, "reason": "too far below"}
        if state == "stopped"
        else None,
        "reason": "the loss must be finite, got nan" if state == "failed" else None,
        "curve": curve[:length],
    }


def pareto(trials: list[dict[str, Any]]) -> list[int]:
    """Numbers of the complete trials that no other beats, by comparing all pairs."""
    done = [t for t in trials if t["state"] == "complete"]

    def beats(a: dict[str, Any], b: dict[str, Any]) -> bool:
        no_worse = a["owner_miou"] >= b["owner_miou"] and a["unauthorised"] <= b["unauthorised"]
        return no_worse and (a["owner_miou"], a["unauthorised"]) != (
            b["owner_miou"],
            b["unauthorised"],
        )

    return [b["number"] for b in done if not any(beats(a, b) for a in done)]


def _area(trials: list[dict[str, Any]], owner: float, thief: float) -> float:
    area, low = 0.0, owner
    front = sorted(
        (t["unauthorised"], t["owner_miou"]) for t in trials if t["number"] in pareto(trials)
    )
    for left, height in front:
        if left < thief and height > low:
            area += (thief - left) * (height - low)
            low = height
    return area


THIEF = {
    "tier": "T1",
    "attacks": ["unsupervised", "hill-climb"],
    "queries": 200,
    "seconds": 2.0,
    "labelled": 10.0,
}


def trials_of(trials: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Trials by number."""
    return {t["number"]: t for t in trials}


def make_study(*, count: int = 20, dataset: str = "synthetic", **changes: Any) -> dict[str, Any]:
    """study.json as plain values, of the first ``count`` trials; ``changes`` replace parts."""
    choices = [(method, side) for side in (4, 2, 8, 16) for method in _TRENDS]
    plan = [(method, side, "published") for method, side in choices]
    plan += [("np", 4, "25"), ("shf", 4, "25"), ("np", 2, "25"), ("shf", 16, "25")]
    trials = [_trial(number, *choice) for number, choice in enumerate(plan[:count])]
    mean = sum(BASELINE) / len(BASELINE)
    front = pareto(trials)
    best = trials_of(trials)[front[0]] if front else None
    within = [
        t for t in trials if t["number"] in front and t["drop"] <= 0.02 and t["regained"] <= 0.15
    ]
    best = min(within, key=lambda t: t["regained"]) if within else best
    volumes = {
        name: {
            "reference": [FLOOR, thief],
            "values": [
                [t["number"], _area(trials[: t["number"] + 1], FLOOR, thief)] for t in trials
            ],
        }
        for name, thief in (("floor", FLOOR), ("baseline", mean))
    }
    states = [t["state"] for t in trials]
    study: dict[str, Any] = {
        "study": "tradeoff-1a2b3c4d",
        "storage": ".seglock/search/tradeoff-1a2b3c4d/study.db",
        "asked": count,
        "about": {
            "dataset": dataset,
            "dataset_digest": "d" * 64,
            "image_side": SIDE,
            "classes": list(CLASSES),
            "model": "fcn_small",
            "split": "val",
            "epochs": EPOCHS,
            "wrong_keys": 8,
        },
        "objective": "pareto",
        "sampler": "tpe",
        "seed": 0,
        "pruner": "baseline",
        "limits": {"max_drop": 0.02, "max_regained": 0.15, "min_key_bits": 64.0},
        "baselines": [
            {
                "epochs": EPOCHS,
                "image_side": SIDE,
                "seeds": [0, 1, 2],
                "owner_miou": list(BASELINE),
                "curves": [[0.5, 0.7]] * 3,
                "floor": FLOOR,
                "run_ids": ["a" * 32, "b" * 32, "c" * 32],
                "mean": mean,
                "spread": max(BASELINE) - min(BASELINE),
            }
        ]
        if trials
        else [],
        "trials": trials,
        "counts": {s: states.count(s) for s in ("complete", "stopped", "failed")} | {"running": 0},
        "front": front,
        "hypervolume": volumes,
        "importances": {
            "owner_miou": {"steps": 0.61, "block_size": 0.33, "fraction": 0.06},
            "unauthorised": {"steps": 0.72, "block_size": 0.21, "fraction": 0.07},
        },
        "importances_reason": None,
        "recommendation": {
            "status": "recommended" if best else "empty",
            "trial": best["number"] if best else None,
            "lock": best["lock"] if best else None,
            "steps": best["steps"] if best else None,
            "reason": "the owner has 0.7817, a drop of 0.0099 (limit 0.0200), and others regain "
            "0.1204 of it (limit 0.1500): the only choice within all limits"
            if best
            else "no trial has ended yet",
            "nearest": None,
        },
        "early_stopping": {"stopped": 3, "epochs_saved": 21, "epochs_full": 240},
        "run_id": "f" * 32,
    }
    return study | changes
