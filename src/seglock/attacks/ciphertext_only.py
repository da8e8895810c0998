"""T2, `ciphertext-only`: the plan from statistics of encrypted images and of anyone's photos.

Who has the network and ciphertexts has the owner's predictions on those anyway: it takes them as
they are. What the plan adds is the pictures, and the network's use on all others.
"""

from __future__ import annotations

import numpy as np

from seglock.attacks.budget import Meter
from seglock.attacks.protocol import Attack, Candidate, Finding, Material
from seglock.attacks.reading import read_plan, unread


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Read the plan from as many ciphertexts as the budget has queries."""
    seen = material.ciphertexts
    assert seen is not None
    seen = seen[: meter.left or 1]
    meter.spend(len(seen))
    rng = np.random.default_rng(seed)
    plan, exact = read_plan(material, seen, rng, lambda: not meter.exhausted)
    return Finding((Candidate(plan),), about={"ciphertexts": len(seen)}, exact=exact)


ATTACK = Attack("ciphertext-only", "T2", "ciphertexts", run, unread)
