"""T1, `gradient`: the plan by gradient descent through the network, on labelled images.

Masks and permutation are relaxed to logits, hardened again and again, and the hardened plan with
the least cross-entropy kept. Then it is improved by exchanges that the gradient at it proposes. For
one mask of a public table (NP) a linear regression of the score on random masks says where the
logits begin.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.budget import Meter
from seglock.attacks.climb import AT_ONCE, Found, Judged, climb, draw_best
from seglock.attacks.exchanges import GuidedMoves
from seglock.attacks.guesses import guess, touched
from seglock.attacks.labels import by_labels, labelled
from seglock.attacks.protocol import (
    Attack,
    Facts,
    Finding,
    Material,
    needs_one_table,
)
from seglock.attacks.relaxed import RelaxedPlan
from seglock.attacks.soft_plan import inputs_under
from seglock.attacks.tuning import drawn
from seglock.config import TrainParams
from seglock.data import VOID
from seglock.evaluation.tally import spread
from seglock.methods import LEVELS, METHODS
from seglock.methods.method import Change
from seglock.training.optimizer import Optimizer
from seglock.transforms.sequence import changed

SHUFFLED_LIMIT = 3072
"""Positions whose order can be relaxed: n = 3072 (M = 32) are 9.4 million logits."""
_RANDOM_SHARE = 0.05
_REGRESSED_SHARE = 0.2
_RELAXED_SHARE = 0.6
_CHECKS = 25
_LR = 0.3
SCORED = 32
"""Labelled images that plans are scored on, at most: a gradient fits fewer too well."""
_WARM, _COLD = 1.0, 0.2
_FIRST = 1_000_000
"""Number of the first random mask to regress on: smaller ones are drawn by searches."""
_RIDGE = 1.0


def why_not(facts: Facts) -> str | None:
    """Shuffled blocks too large for one logit for each position and source."""
    if needs_one_table(facts):
        return needs_one_table(facts)
    if facts.shuffles and facts.positions > SHUFFLED_LIMIT:
        n = facts.positions
        return f"a relaxed permutation of {n} positions has {n**2} logits"
    return None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Random keys, the relaxed plan, then exchanges; a query is one pass of labelled images."""
    facts, share = material.facts, max(meter.budget.labelled)
    material.network.requires_grad_(False)
    judged = by_labels(material, share, SCORED)
    found = draw_best(facts, judged, meter, seed, share=_RANDOM_SHARE)
    plan = RelaxedPlan(facts).to(material.device)
    is_mask = not (facts.shuffles or facts.secret_tables or facts.reach > LEVELS)
    if is_mask and len(facts.steps) == 1:
        found, gain = regress_masks(facts, judged, meter, seed, found, share=_REGRESSED_SHARE)
        plan.begin_touched(gain)
    images, masks = (torch.from_numpy(a).to(material.device) for a in labelled(material, share))
    found = _descended(material, meter, seed, images, masks, judged, found, plan)
    some = torch.tensor(spread(len(images), SCORED, middle=False), device=material.device)
    rows = block_grid(images[some].float(), facts.block_size)
    moves = GuidedMoves(facts, material.network, rows, masks[some], meter, seed)
    found = climb(facts, judged, meter, seed, found, moves=moves)
    return found.finding()


def _descended(
    material: Material,
    meter: Meter,
    seed: int,
    images: Tensor,
    masks: Tensor,
    judged: Judged,
    start: Found,
    plan: RelaxedPlan,
) -> Found:
    """The best hardened plan on the way down, or the start where none is better."""
    facts = material.facts
    optimizer = Optimizer(plan, TrainParams(optimizer="adamw", weight_decay=0))
    if not optimizer.parameters:
        return start
    rng = np.random.default_rng([seed, 2])
    best = start
    began, checked = meter.share, 0.0
    while meter.share < _RELAXED_SHARE and not meter.exhausted:
        pace = (meter.share - began) / (_RELAXED_SHARE - began)
        batch, target = drawn(rng, images, masks)
        rows = block_grid(batch.float(), facts.block_size)
        parts = plan.draw(len(rows), _WARM * (_COLD / _WARM) ** pace)
        inputs = grid_images(inputs_under(parts, rows, facts), facts.block_size)
        logits = material.network(inputs)["out"].float()
        F.cross_entropy(logits, target.long(), ignore_index=VOID).backward()  # type: ignore[no-untyped-call]
        optimizer.step(_LR * (1.1 - pace))
        meter.spend()
        if pace < checked or meter.exhausted:
            continue
        checked = pace + 1 / _CHECKS
        hardened = plan.hardened()
        (now,) = judged([hardened]).tolist()
        meter.spend()
        if now < best.score:
            best = Found.after(best, hardened, now, meter)
    return best


def regress_masks(
    facts: Facts, judged: Judged, meter: Meter, seed: int, start: Found, *, share: float
) -> tuple[Found, NDArray[np.float64]]:
    """How much touching each position lowers the score (n,), in standard deviations of all.

    Random masks of a lock of one step, whose table everyone knows, are scored until ``share`` of
    the budget is spent. The mask of the positions that gain most is scored as well: the first
    result is the better of it and ``start``.
    """
    masks: list[NDArray[np.bool_]] = []
    scores: list[float] = []
    while not meter.exhausted and (meter.share < share or not scores):
        count = max(1, min(AT_ONCE, meter.left))
        drawn = [guess(facts, seed, _FIRST + len(masks) + i) for i in range(count)]
        scores += judged(drawn).tolist()
        masks += [touched(one) for one in drawn]
        meter.spend(count)
    gain = gains(np.array(masks, float), np.array(scores), facts.positions)
    found = start
    if not meter.exhausted:
        (step,) = facts.steps
        table = METHODS[step.method].public_table(facts.ffx_password)
        chosen = np.argsort(-gain, kind="stable")[: step.count]
        likeliest = changed(step, Change(chosen, table=table))
        (score,) = judged([likeliest]).tolist()
        meter.spend()
        if score < found.score:
            found = Found.after(found, likeliest, score, meter)
    return found, gain


def gains(
    masks: NDArray[np.float64], scores: NDArray[np.float64], positions: int
) -> NDArray[np.float64]:
    """Ridge regression of scores (K,) on masks (K, n): minus the slopes, of deviation 1.

    >>> int(gains(np.eye(3)[[0, 1, 2, 0]], np.array([0.0, 1.0, 1.0, 0.0]), 3).argmax())
    0
    """
    if len(scores) < 2:
        return np.zeros(positions)
    centred = masks - masks.mean(axis=0)
    normal = centred.T @ centred + _RIDGE * np.eye(positions)
    slope = np.linalg.solve(normal, centred.T @ (scores - scores.mean()))
    deviation = slope.std()
    gain: NDArray[np.float64] = -slope / deviation if deviation > 0 else np.zeros(positions)
    return gain


ATTACK = Attack("gradient", "T1", "steps", run, why_not)
