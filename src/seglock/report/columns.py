"""The columns of the headline table: what each shows, and what it means in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seglock.report.numbers import NOTHING, bits, four

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its heading, what it means, and how a lock's figures fill it."""

    key: str
    title: str
    meaning: str
    fill: Callable[[Figures], str] | None = None
    is_number: bool = True

    def text(self, figures: Figures) -> str:
        """A lock's cell; a mean IoU unless ``fill`` says otherwise."""
        return self.fill(figures) if self.fill else four(figures[self.key])


def _steps(figures: Figures) -> str:
    text = ", ".join(figures["steps"]) or "none"
    divisor = figures["ffx_divisor"]
    return text if divisor is None else f"{text} (FFX / {divisor})"


def _block(figures: Figures) -> str:
    return NOTHING if figures["block_size"] is None else str(figures["block_size"])


def _incorrect(figures: Figures) -> str:
    if figures["incorrect_mean"] is None:
        return NOTHING
    return f"{four(figures['incorrect_mean'])} ± {four(figures['incorrect_std'])}"


COLUMNS = (
    Column("lock", "Lock", "Its name under locks: in params.yaml.", lambda f: f["lock"], False),
    Column(
        "steps",
        "Steps",
        "What is done to every image before the model sees it, from left to right: "
        "method, block side, and the share of positions where it is not the paper's; "
        "in brackets what FFX values are divided by where it is not their maximum.",
        _steps,
        False,
    ),
    Column("block_size", "M", "Side of a block in pixels; all blocks share one plan.", _block),
    Column(
        "key_space_bits",
        "Key space",
        "Bits of the number of different plans the key can lead to, 256 at most. "
        "Below 64 it can be searched.",
        lambda f: bits(f["key_space_bits"]),
    ),
    Column(
        "owner_miou",
        "Owner",
        "Mean IoU for the key's owner, who encrypts the test images with the right key. "
        "For the baseline: for everyone.",
    ),
    Column(
        "drop",
        "Drop",
        "What the lock costs its owner: the baseline's mean IoU less the owner's. "
        "Negative where the locked model is the better one.",
    ),
    Column(
        "unauthorised",
        "Unauthorised",
        "What a thief should be expected to get: the largest of plain, plain with batch norm "
        "re-estimated, and the 95th percentile of incorrect.",
    ),
    Column(
        "regained",
        "Regained",
        "How much of the owner's lead a thief gets back: (unauthorised - floor) / (owner - floor). "
        "0 is a perfect lock, 1 is none at all.",
    ),
    Column(
        "plain",
        "Plain",
        "Mean IoU for a thief who has the model and no key, and feeds it ordinary images.",
    ),
    Column(
        "plain_bn",
        "Plain, BN",
        "The same thief after re-estimating the model's batch-norm statistics on ordinary images "
        "without labels. Cheap, so it counts.",
    ),
    Column(
        "incorrect_mean",
        "Incorrect",
        "Mean and standard deviation over wrong keys: a thief who knows the method, not the key.",
        _incorrect,
    ),
    Column(
        "incorrect_p95",
        "Incorrect, p95",
        "95th percentile over the wrong keys: one in twenty does better.",
    ),
    Column("incorrect_max", "Incorrect, max", "The luckiest of the wrong keys."),
    Column(
        "floor_constant",
        "Floor, constant",
        "Mean IoU without any model: the best single class painted everywhere.",
    ),
    Column(
        "floor_prior",
        "Floor, prior",
        "Mean IoU without any image: at each pixel the class most training masks have there. "
        "The floor is the larger of the two.",
    ),
)
