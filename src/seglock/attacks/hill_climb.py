"""T1, `hill-climb`: changes of the key are kept when the cross-entropy on labelled images falls."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.climb import climb, draw_best
from seglock.attacks.labels import by_labels
from seglock.attacks.protocol import Attack, Finding, Material

_RANDOM_SHARE = 0.1


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Random keys for a tenth of the budget, then exchanges of two positions of the best."""
    judged = by_labels(material, max(meter.budget.labelled))
    start = draw_best(material.facts, judged, meter, seed, share=_RANDOM_SHARE)
    found = climb(material.facts, judged, meter, seed, start)
    return found.finding()


ATTACK = Attack("hill-climb", "T1", "keys", run)
