"""T0, `unsupervised`: search for the key without a label, by how much at home the network is."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.climb import climb, draw_best
from seglock.attacks.guesses import guess
from seglock.attacks.protocol import Attack, Finding, Material
from seglock.attacks.unlabelled import Signals

_RANDOM_SHARE = 0.2
_USUAL = 8  # random guesses that say how large a signal usually is


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Random keys for a fifth of the budget, then exchanges of two positions."""
    judged = Signals(material, [guess(material.facts, seed, number) for number in range(_USUAL)])
    start = draw_best(material.facts, judged, meter, seed, share=_RANDOM_SHARE)
    found = climb(material.facts, judged, meter, seed, start)
    return found.finding("signal")


ATTACK = Attack("unsupervised", "T0", "keys", run)
