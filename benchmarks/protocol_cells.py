"""The cells of the protocol: which network, under which lock and key, with what changed.

``main`` is the paper's table. The other variants each change one thing, for the locks where it can
matter, to test a reason for what ``main`` shows:

- ``seeds``: a seed of its own for each key.
- ``finetuned``: every network starts from a trained baseline, as one would from pretrained
  weights; its own baseline is trained on as well, so that all have seen as much.
- ``half-data``: half of the training images.
- ``divisor-255``: FFX divided by 255, so that its plain positions keep the range of an image.
- ``fixed-password``: FFX under the paper's fixed password, so that wrong keys differ in the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seglock.config import BASELINE, Params, check_params, merge_values
from seglock.results.evaluation import Evaluation
from seglock.results.training import Training

Kept = dict[str, Any]
"""A finished cell's figures, as its JSON has them."""

MAIN = "main"
SEEDS = "seeds"
HALF, HELD = "half", "held"
"""Lists of every other training image, and of the validation images as they were."""
FIRST_BLOCKS = (2, 4, 8, 16, 64, 256)
REPEATS = 3
"""Seeds of the baseline, and keys of the best lock."""

_SMALL = (BASELINE, "shf-2", "np-2", "ffx-2", "shf-4", "np-4", "ffx-4")
_FFX = ("ffx-2", "ffx-4", "ffx-16")


@dataclass(frozen=True)
class Variant:
    """Its locks (none: all of the profile); the values it changes, of sections and of each lock;
    whether each repeat of a lock has a seed of its own too."""

    locks: tuple[str, ...] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    each: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False


VARIANTS: Mapping[str, Variant] = {
    MAIN: Variant(),
    SEEDS: Variant(seeded=True),
    "finetuned": Variant(
        (*_SMALL, "shf-16", "np-16", "ffx-16"), {"model": {"initial_weights": BASELINE}}
    ),
    "half-data": Variant(_SMALL, {"data": {"train_split": HALF, "val_split": HELD}}),
    "divisor-255": Variant(_FFX, each={"ffx_divisor": 255}),
    "fixed-password": Variant(_FFX, each={"ffx_password": "fixed"}),
}
ABLATIONS = tuple(name for name in VARIANTS if name not in (MAIN, SEEDS))


@dataclass(frozen=True)
class Cell:
    """One network. ``repeat`` is the seed's number for the baseline, the key's for a lock."""

    variant: str
    lock: str
    repeat: int = 0

    @property
    def name(self) -> str:
        """Names what the stages write of it: ``main_shf-4_0``."""
        return f"{self.variant}_{self.lock}_{self.repeat}"

    @property
    def project(self) -> str:
        """The project it belongs to: the variant's own, where that changes more than the lock."""
        return self.variant if VARIANTS[self.variant].changes else MAIN

    def params(self, params: Params) -> Params:
        """The profile as this cell changes it."""
        variant = VARIANTS[self.variant]
        plain = merge_values(params.model_dump(mode="json"), variant.changes)
        if self.lock == BASELINE or variant.seeded:
            plain["train"]["seed"] += self.repeat
        if self.lock != BASELINE:
            plain["locks"][self.lock] |= variant.each
        return check_params(plain, where=self.name)

    def figures(self, found: Evaluation, training: Training) -> Kept:
        """What is kept of evaluation.json and training.json: plain values."""
        scores, bits = found.scores, found.key_space_bits
        incorrect = scores.incorrect and scores.incorrect.document()
        if incorrect is not None:
            incorrect["miou"] = [round(value, 5) for value in incorrect["miou"]]
        return {
            "variant": self.variant,
            "lock": self.lock,
            "repeat": self.repeat,
            "method": found.method,
            "block_size": found.block_size,
            "key_space_bits": bits and round(bits, 2),
            "owner_miou": scores.owner_miou,
            "plain": scores.plain.miou,
            "plain_bn": scores.plain_bn and scores.plain_bn.miou,
            "incorrect": incorrect,
            "unauthorised": scores.unauthorised,
            "regained": scores.regained,
            "floors": scores.floors.document(),
            "iou": scores.owner.iou,
            "best_epoch": training.best_epoch,
            "val_miou": training.val_miou,
            "train_seconds": training.seconds and round(training.seconds, 1),
        }


def cells(params: Params, variants: Sequence[str], kept: Mapping[str, Kept]) -> list[Cell]:
    """All cells that are known to be wanted; which lock is repeated shows when ``main`` is done."""
    found: list[Cell] = []
    for variant in variants:
        locks = VARIANTS[variant].locks or in_order(params)
        found += [Cell(variant, lock) for lock in locks if lock in params.locks]
        if variant == MAIN:
            repeated = filter(None, (BASELINE, best_lock(params, kept)))
            found += [Cell(MAIN, lock, n) for lock in repeated for n in range(1, REPEATS)]
    return found


def in_order(params: Params) -> list[str]:
    """The baseline, then the locks by block side, the telling sides first."""

    def rank(name: str) -> tuple[bool, bool, int]:
        side = params.locks[name].block_size or 0
        return name != BASELINE, bool(side) and side not in FIRST_BLOCKS, side

    return sorted(params.locks, key=rank)


def best_lock(params: Params, kept: Mapping[str, Kept]) -> str | None:
    """The lock whose owner is furthest above everyone else, once all were measured."""
    found = {lock: kept.get(Cell(MAIN, lock).name) for lock in params.locks if lock != BASELINE}
    measured = {lock: figures for lock, figures in found.items() if figures is not None}
    if not found or len(measured) < len(found):
        return None
    return max(measured, key=lambda k: measured[k]["owner_miou"] - measured[k]["unauthorised"])
