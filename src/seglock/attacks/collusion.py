"""T0 and a second file, `collusion`: another customer's network, and that customer's own key.

What both were folded from has the same columns, moved and negated by two plans of which the thief
knows one: undone, the other network's first convolution is the public one of `stem-match`. The
network before a rotation, with the key that leaked, is such a file too.
"""

from __future__ import annotations

from seglock.attacks import stem_match
from seglock.attacks.budget import Meter
from seglock.attacks.protocol import Attack, Facts, Finding, Material


def why_not(facts: Facts) -> str | None:
    """As `stem-match`; and nobody colludes who has no second file."""
    if facts.steps and not facts.colluders:
        return "it was not folded, so that nobody has another file from the same weights"
    return stem_match.why_not(facts)


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Match with what the other network's first convolution was before it was folded."""
    return stem_match.matched(material, material.unfolded_stem, meter, seed)


ATTACK = Attack("collusion", "T0", "keys", run, why_not)
