"""T1, `random-search`: the best of random keys, scored on labelled images."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.climb import draw_best
from seglock.attacks.labels import by_labels
from seglock.attacks.protocol import Attack, Finding, Material


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Draw keys as long as the budget lasts, and keep the one with the least cross-entropy."""
    judged = by_labels(material, max(meter.budget.labelled))
    found = draw_best(material.facts, judged, meter, seed)
    return found.finding()


ATTACK = Attack("random-search", "T1", "keys", run)
