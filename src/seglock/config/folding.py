"""The ``fold`` of a lock: how its key comes into the initial weights before it is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from seglock.config.rules import BASELINE, as_fault
from seglock.errors import ConfigError
from seglock.steps import is_wide, split_steps

Fold = Literal["only", "stem", "redrawn"]
"""``only``: folded into the first convolution, and nothing is trained. ``stem``: folded, then
trained on. ``redrawn``: the first convolution is drawn anew, over whole blocks, then trained on."""


FOLDED: tuple[Fold, ...] = ("only", "stem")
"""Those that begin as the plain first convolution, moved and negated."""


def fold_faults(locks: Mapping[str, Mapping[str, Any]], model: Mapping[str, Any]) -> list[str]:
    """A fold needs steps of SHF and NP, and weights to fold them into.

    >>> fold_faults({"baseline": {"steps": [], "fold": None}}, {"initial_weights": "none"})
    []
    """
    faults = []
    start = model.get("initial_weights")
    for name, lock in locks.items():
        fold, where = lock.get("fold"), f"locks.{name}.fold"
        if fold is None:
            continue
        if not _foldable(lock.get("steps", ["np-2"])):
            rule = f"{where} needs steps that move or negate values"
            got = ", ".join(lock["steps"]) or "none"
            faults.append(as_fault(rule, got, "use shf and np, or take fold out"))
        if start == "none":
            fix = "set it to imagenet, coco, baseline or a file, or take fold out"
            faults.append(as_fault(f"{where} needs model.initial_weights", "none", fix))
        if fold == "only" and start == "imagenet":
            rule = f"{where}: only needs the weights of a whole network"
            fix = f"set model.initial_weights: {BASELINE}, or write fold: stem"
            faults.append(as_fault(rule, "imagenet, which has no classifier", fix))
        if fold == "only" and lock.get("refuse") is not None:
            rule = f"{where}: only trains nothing, and a refusal is taught"
            faults.append(as_fault(rule, "refuse", "write fold: stem, or take refuse out"))
    return faults


def _foldable(steps: list[str]) -> bool:
    try:
        images, features = split_steps(steps)
        return bool(images) and not features and not is_wide(images)
    except ConfigError:
        return True  # names that cannot be read are told elsewhere
