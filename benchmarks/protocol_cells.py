"""The cells of the protocol: which network, under which lock and key, with what changed.

``main`` is the paper's table. The other variants each change one thing, for the locks where it can
matter, to test a reason for what ``main`` shows:

- ``finetuned``: every network starts from the trained baseline, as one would from pretrained
  weights; its own baseline is trained on as well, so that all have seen as much.
- ``half-data``: half of the training images.
- ``divisor-255``: FFX divided by 255, so that its plain positions keep the range of an image.
- ``fixed-password``: FFX under the paper's fixed password, so that wrong keys differ in the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seglock.config import BASELINE, Params, check_params
from seglock.steps import parse_step

if TYPE_CHECKING:
    from seglock.data import PreparedData, Split
    from seglock.training import TrainResult
    from seglock.transforms import Transform

Kept = dict[str, Any]
"""A finished cell's figures, as its JSON has them."""

MAIN = "main"
FIRST_BLOCKS = (2, 4, 8, 16, 64, 256)
REPEATS = 3
"""Seeds of the baseline, and keys of the best lock."""

VARIANTS: Mapping[str, tuple[str, ...]] = {
    MAIN: (),
    "finetuned": (
        *(BASELINE, "shf-2", "np-2", "ffx-2", "shf-4", "np-4", "ffx-4"),
        *("shf-16", "np-16", "ffx-16"),
    ),
    "half-data": (BASELINE, "shf-2", "np-2", "ffx-2", "shf-4", "np-4", "ffx-4"),
    "divisor-255": ("ffx-2", "ffx-4", "ffx-16"),
    "fixed-password": ("ffx-2", "ffx-4", "ffx-16"),
}
"""The locks of each variant; of ``main`` all that the profile has."""

ABLATIONS = tuple(name for name in VARIANTS if name != MAIN)


@dataclass(frozen=True)
class Cell:
    """One network. ``repeat`` is the seed's number for the baseline, the key's for a lock."""

    variant: str
    lock: str
    repeat: int

    @property
    def name(self) -> str:
        """Names its file: ``main_shf-4_0``."""
        return f"{self.variant}_{self.lock}_{self.repeat}"

    @property
    def finetuned(self) -> bool:
        """Whether it starts from the trained baseline."""
        return self.variant == "finetuned"

    def steps(self, params: Params) -> list[str]:
        """The lock's steps; none for the baseline."""
        return params.locks[self.lock].steps

    def params(self, params: Params) -> Params:
        """The profile as this cell changes it."""
        plain = params.model_dump(mode="json")
        if self.lock == BASELINE:
            plain["train"]["seed"] += self.repeat
        if self.variant == "divisor-255":
            plain["locks"][self.lock]["ffx_divisor"] = 255
        if self.variant == "fixed-password":
            plain["locks"][self.lock]["ffx_password"] = "fixed"
        return check_params(plain, where=self.name)

    def data(self, data: PreparedData) -> PreparedData:
        """The images this cell is trained and judged on."""
        return (
            replace(data, train=_every_other(data.train)) if self.variant == "half-data" else data
        )

    def figures(
        self, params: Params, transform: Transform, trained: TrainResult, scores: Kept
    ) -> Kept:
        """What is kept of the cell: plain values."""
        steps = [parse_step(step) for step in self.steps(params)]
        incorrect = scores["incorrect"]
        if incorrect is not None:
            incorrect = incorrect | {"miou": [round(value, 5) for value in incorrect["miou"]]}
        return {
            "variant": self.variant,
            "lock": self.lock,
            "repeat": self.repeat,
            "method": params.locks[self.lock].method,
            "block_size": steps[0].block_size if steps else None,
            "key_space_bits": round(transform.key_space_bits, 2) if steps else None,
            "owner_miou": scores["owner_miou"],
            "plain": scores["plain"]["miou"],
            "plain_bn": scores["plain_bn"] and scores["plain_bn"]["miou"],
            "incorrect": incorrect,
            "unauthorised": scores["unauthorised"],
            "regained": scores["regained"],
            "floors": scores["floors"],
            "iou": (scores["correct"] or scores["plain"])["iou"],
            "best_epoch": trained.best_epoch,
            "val_miou": trained.val_miou,
            "train_seconds": round(trained.seconds, 1),
        }


def next_cell(params: Params, variants: Sequence[str], kept: Mapping[str, Kept]) -> Cell | None:
    """The first cell that is missing, in the order they are worth having; None at the end."""
    return next((cell for cell in cells(params, variants, kept) if cell.name not in kept), None)


def cells(params: Params, variants: Sequence[str], kept: Mapping[str, Kept]) -> list[Cell]:
    """All cells that are known to be wanted; which lock is repeated shows when ``main`` is done."""
    found: list[Cell] = []
    for variant in variants:
        locks = in_order(params) if variant == MAIN else _those_of(VARIANTS[variant], params)
        if variant == "finetuned" and MAIN not in variants:
            found.append(Cell(MAIN, BASELINE, 0))  # whose weights it starts from
        found += [Cell(variant, lock, 0) for lock in locks]
        if variant == MAIN:
            found += [Cell(MAIN, BASELINE, repeat) for repeat in range(1, REPEATS)]
            best = best_lock(params, kept)
            if best is not None:
                found += [Cell(MAIN, best, repeat) for repeat in range(1, REPEATS)]
    return found


def in_order(params: Params) -> list[str]:
    """The baseline, then the locks by block side, the telling sides first."""

    def rank(name: str) -> tuple[bool, bool, int]:
        side = params.locks[name].block_size or 0
        return name != BASELINE, bool(side) and side not in FIRST_BLOCKS, side

    return sorted(params.locks, key=rank)


def best_lock(params: Params, kept: Mapping[str, Kept]) -> str | None:
    """The lock whose owner is furthest above everyone else, once all were measured."""
    names = [name for name in params.locks if name != BASELINE]
    found = [kept.get(Cell(MAIN, name, 0).name) for name in names]
    measured = [figures for figures in found if figures is not None]
    if not names or len(measured) < len(names):
        return None
    best = max(measured, key=lambda figures: figures["owner_miou"] - figures["unauthorised"])
    return str(best["lock"])


def _those_of(locks: Sequence[str], params: Params) -> list[str]:
    return [lock for lock in locks if lock in params.locks]


def _every_other(split: Split) -> Split:
    return replace(split, ids=split.ids[::2], images=split.images[::2], masks=split.masks[::2])
