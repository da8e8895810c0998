"""Analysis `key-proximity`: mean IoU with keys that are nearly right, by how nearly.

A steep curve means that a search which has most of the plan has nothing yet; a flat one that each
right position pays, which is what searches climb on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.attacks.analysis import Analysis, Measured
from seglock.attacks.guesses import as_guess, guess, neighbour
from seglock.attacks.protocol import needs_steps

if TYPE_CHECKING:
    from seglock.attacks.guesses import Guess
    from seglock.attacks.judge import Judge
    from seglock.attacks.meter import Meter
    from seglock.attacks.protocol import Facts
    from seglock.transforms.plan import Plan

DRAWS = 8
"""Random keys of each distance, at most."""
_TRIES = 20


def why_not(facts: Facts) -> str | None:
    """Locks whose plans differ in nothing that an exchange changes."""
    if needs_steps(facts):
        return needs_steps(facts)
    if "shf" not in facts.methods and len(np.unique(guess(facts, 0, 0).kinds)) == 1:
        return "it treats all positions alike, and no exchange of two changes its plan"
    return None


def distances(positions: int) -> list[int]:
    """Numbers of exchanges: 1, 2, 4, ... up to as many as there are positions.

    >>> distances(12)
    [1, 2, 4, 8]
    """
    return [1 << power for power in range(positions.bit_length()) if 1 << power <= positions]


def run(judge: Judge, facts: Facts, meter: Meter, seed: int, correct: float) -> Measured:
    """Draw one key of every distance, and a random one, in turns while the budget lasts.

    ``miou`` and ``plan_agreement`` are those of one exchange. ``curve`` has a line for each
    distance: ``changes`` (None: a random key), ``draws``, the mean ``miou`` with ``min`` and
    ``max``, and the mean ``agreement``. The right key itself costs no query.
    """
    truth = judge.transform._plan
    steps: list[int | None] = [*distances(facts.positions), None]
    found: dict[int | None, list[dict[str, Any]]] = {step: [] for step in steps}
    for number in range(DRAWS):
        for step in steps:
            if meter.queries and meter.exhausted:
                break
            other = _drawn(facts, truth, step, number, seed)
            if other is not None:
                found[step].append(judge.measure(other))
                meter.spend()
    right = {"miou": correct, "plan_agreement": 1.0}
    curve = [_line(0, [right])] + [_line(k, lines) for k, lines in found.items() if lines]
    nearest = curve[1] if len(curve) > 1 else curve[0]
    about = {"plan_agreement": nearest["agreement"], "curve": curve}
    return Measured(nearest["miou"], about)


def _line(changes: int | None, lines: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [line["miou"] for line in lines]
    return {
        "changes": changes,
        "draws": len(lines),
        "miou": float(np.mean(scores)),
        "min": min(scores),
        "max": max(scores),
        "agreement": float(np.mean([line["plan_agreement"] for line in lines])),
    }


def _drawn(facts: Facts, truth: Plan, changes: int | None, number: int, seed: int) -> Plan | None:
    """Another plan, so many exchanges from the right one; None where chance gives only that one."""
    rng = np.random.default_rng([seed, number, changes or 0, *_salt(truth)])
    for _ in range(_TRIES):
        other = _random(facts, rng) if changes is None else _changed(facts, truth, changes, rng)
        plan = other.plan(facts)
        if not plan.equals(truth):
            return plan
    return None


def _random(facts: Facts, rng: np.random.Generator) -> Guess:
    return guess(facts, int(rng.integers(1 << 32)), 0)


def _changed(facts: Facts, truth: Plan, changes: int, rng: np.random.Generator) -> Guess:
    other = as_guess(truth)
    for _ in range(changes):
        other = neighbour(facts, other, rng)
    return other


def _salt(truth: Plan) -> list[int]:
    """Draws repeat for the owner; nobody else can tell which positions a score is about."""
    arrays = (truth.permutation, truth.selector, truth.tables)
    digest = hashlib.sha256(b"key-proximity" + b"".join(a.tobytes() for a in arrays)).digest()
    return [int(word) for word in np.frombuffer(digest, np.uint32)]


ANALYSIS = Analysis("key-proximity", "keys", run, why_not)
