"""What a thief gets out of a stolen network, attack by attack, with a budget; and the judge.

May touch: a network, images of the attacker's own, answers of the owner's client; torch, NumPy,
SciPy. May not: keys, files, MLflow, the test split. `judge`, `agreement` and the analyses
(`run`, `key_proximity`) alone know the true plan; no attack imports them, and nothing they
know reaches one. An estimated plan may be the true one: it is as secret, and never printed or
written.
"""

from seglock.attacks.budget import Budget, Meter
from seglock.attacks.judge import Judge, Verdict
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, Material, Pairs
from seglock.attacks.registry import ANALYSES, ATTACKS, find_any
from seglock.attacks.run import Analysis, check_applies, find, run_analysis, run_attack
from seglock.attacks.scene import Scene

__all__ = [
    "ANALYSES",
    "ATTACKS",
    "Analysis",
    "Attack",
    "Budget",
    "Candidate",
    "Facts",
    "Finding",
    "Judge",
    "Material",
    "Meter",
    "Pairs",
    "Scene",
    "Verdict",
    "check_applies",
    "find",
    "find_any",
    "run_analysis",
    "run_attack",
]
