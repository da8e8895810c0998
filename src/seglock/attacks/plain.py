"""T0, `plain`: the stolen network on plain images, as they are."""

from __future__ import annotations

from seglock.attacks.budget import Meter
from seglock.attacks.protocol import Attack, Candidate, Finding, Material, needs_lock


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Nothing is tried: what the lock gives away by itself."""
    del material, seed
    meter.spend()
    return Finding((Candidate(),))


ATTACK = Attack("plain", "T0", "keys", run, needs_lock)
