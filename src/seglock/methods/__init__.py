"""The methods that a transform step may have: one file each, entered in ``METHODS``.

A method says all that is its own: what a step does to a block, how many plans there are, and which
of it everyone knows. Steps, plans, key space, attacks and audit ask it. Pure; without keys, files
and images, and NumPy only where it makes arrays.
"""

from seglock.methods.ffx import Ffx
from seglock.methods.method import LEVELS, FfxPassword, Method
from seglock.methods.np import Np
from seglock.methods.shf import Shf

METHODS: dict[str, Method] = {method.name: method for method in (Shf(), Np(), Ffx())}

__all__ = ["LEVELS", "METHODS", "FfxPassword", "Method"]
