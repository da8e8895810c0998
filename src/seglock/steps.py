"""The names of a lock's steps, which may follow each other, and how many plans they have.

A transform step changes images: ``METHOD-BLOCK[-fPERCENT]``. What a method is stands in
``seglock.methods``. A feature step changes what a layer of the network gives: ``chp-LAYER``.

Pure text and numbers: the transforms themselves are built from these in ``seglock.transforms``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from seglock.errors import ConfigError, TransformError, nearest_name
from seglock.methods import LEVELS, METHODS
from seglock.methods.method import CAP

if TYPE_CHECKING:
    from fractions import Fraction

    from seglock.methods import FfxPassword

CHANNELS = 3
SEARCHABLE_BITS = 64
"""Key spaces below it a determined attacker can try out whole."""
LEAST_CHANNELS = 21
"""Of a feature map that is permuted: fewer have a key space below ``SEARCHABLE_BITS``."""
_STEP = re.compile(r"(?P<method>[a-z]+)-(?P<block>[0-9]+)(?:-f(?P<percent>[0-9]+))?")
_FEATURE = re.compile(r"chp-(?P<layer>[a-z][a-z0-9_]*(?:\.[0-9]+)?)")


@dataclass(frozen=True)
class Step:
    """One transform step: a method, its block side in pixels, and how many positions it touches.

    ``percent`` is None for the method's own share: all positions for SHF, half for NP and FFX. A
    name has whole percents; code may use any fraction of one.
    """

    method: str
    block_size: int
    percent: int | Fraction | None = None

    @property
    def positions(self) -> int:
        """Values in a flattened block: 3 * M * M."""
        return CHANNELS * self.block_size * self.block_size

    @property
    def count(self) -> int:
        """How many positions of a block the step touches.

        >>> parse_step("np-2").count, parse_step("shf-2").count, parse_step("np-4-f25").count
        (6, 12, 12)
        """
        percent = METHODS[self.method].percent if self.percent is None else self.percent
        return self.positions * percent // 100

    def __str__(self) -> str:
        text = f"{self.method}-{self.block_size}"
        return text if self.percent is None else f"{text}-f{self.percent}"


@dataclass(frozen=True)
class FeatureStep:
    """A keyed permutation of the channels of what one layer of the network gives.

    layer: by its name in the network's backbone, such as ``layer2`` or ``blocks.3``; one that has
    only a number there is called ``block`` and that number.
    """

    layer: str
    method: ClassVar[str] = "chp"

    def __str__(self) -> str:
        return f"{self.method}-{self.layer}"


def split_steps(
    steps: Iterable[object],
) -> tuple[list[Step], list[FeatureStep]]:
    """A lock's steps, by name or already read: those on images, and those on feature maps.

    Raises ConfigError for a name that cannot be read.

    >>> split_steps(["np-8", "chp-layer2"])
    ([Step(method='np', block_size=8, percent=None)], [FeatureStep(layer='layer2')])
    """
    read = [step if isinstance(step, Step | FeatureStep) else read_step(step) for step in steps]
    images = [step for step in read if isinstance(step, Step)]
    return images, [step for step in read if isinstance(step, FeatureStep)]


def image_steps(steps: Iterable[object]) -> list[Step]:
    """Those of a lock's steps that change images; as `split_steps`."""
    return split_steps(steps)[0]


def read_step(name: object) -> Step | FeatureStep:
    """Read the name of either kind of step; raises ConfigError as `parse_step`."""
    match = _FEATURE.fullmatch(name) if isinstance(name, str) else None
    return FeatureStep(match["layer"]) if match else parse_step(name)


def parse_step(name: object) -> Step:
    """Read the name of a step on images.

    Raises ConfigError for anything that is not ``METHOD-BLOCK[-fPERCENT]``.

    >>> parse_step("np-4-f25")
    Step(method='np', block_size=4, percent=25)
    """
    match = _STEP.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise ConfigError(
            "a step must read METHOD-BLOCK or METHOD-BLOCK-fPERCENT, or chp-LAYER",
            got=repr(name),
            fix="write for example shf-4, np-2, ffx-8-f25 or chp-layer2",
        )
    method = match["method"]
    if method not in METHODS:
        raise ConfigError(
            f"a step's method must be one of {', '.join(METHODS)}",
            got=repr(name),
            fix=nearest_name(method, METHODS, cutoff=0.4),
        )
    block = int(match["block"])
    if block < 1:
        raise ConfigError(
            "a step's block side must be at least 1", got=repr(name), fix="use 2, 4, 8, ..."
        )
    percent = None if match["percent"] is None else int(match["percent"])
    if percent is not None and percent > 100:
        raise ConfigError(
            "a step's percentage must be at most 100", got=repr(name), fix="use -f1 to -f100"
        )
    return Step(method, block, percent)


def lock_text(name: str) -> str:
    """A lock's name as people read and type it: the steps of a composition joined by a plus, then
    the weight of its refusal. A name that is not made of steps stays as its user gave it.

    >>> lock_text("np-4-f25_shf-4-f25"), lock_text("np-8_refuse-0-05"), lock_text("my_lock")
    ('np-4-f25+shf-4-f25', 'np-8 refuse 0.05', 'my_lock')
    """
    steps, _, weight = name.partition("_refuse-")
    found = [(_STEP.fullmatch(part), _FEATURE.fullmatch(part)) for part in steps.split("_")]
    if not all((step and step["method"] in METHODS) or feature for step, feature in found):
        return name
    text = steps.replace("_", "+")
    return f"{text} refuse {weight.replace('-', '.')}" if weight else text


def check_sequence(steps: Iterable[Step | FeatureStep]) -> None:
    """Check that steps, applied from left to right, stay inside the one formula.

    Allowed: any that stay in 0..255, then at most one that does not (FFX), then only such as move
    values (SHF); all with the same block side. Of feature steps one for each layer.
    Raises TransformError naming the order to use.
    """
    for fault in sequence_faults(steps):
        raise fault


def sequence_faults(sequence: Iterable[Step | FeatureStep]) -> list[TransformError]:
    """Everything that `check_sequence` has against a sequence, worst first."""
    sequence = list(sequence)
    names = ", ".join(map(str, sequence))
    steps, features = split_steps(sequence)
    faults = []
    if len(set(features)) < len(features):
        faults.append(
            TransformError(
                "a lock may permute the channels of each layer once",
                got=f"[{names}]",
                fix=f"write [{', '.join(map(str, dict.fromkeys(sequence)))}]",
            )
        )
    sides = {step.block_size for step in steps}
    if len(sides) > 1:
        faults.append(
            TransformError(
                "the steps of one lock must share one block side",
                got=f"[{names}]",
                fix=f"use one of {', '.join(map(str, sorted(sides)))} for all of them",
            )
        )
    wide = [step for step in steps if is_wide([step])]
    if not wide:
        return faults
    name, top = wide[0].method.upper(), METHODS[wide[0].method].reach - 1
    if len(wide) > 1:
        faults.append(
            TransformError(
                f"a lock may have at most one {name} step, since {name} takes 0..255 and gives "
                f"0..{top}",
                got=f"[{names}]",
                fix=f"keep one {wide[0].method} step, and only shf after it",
            )
        )
    behind = steps[steps.index(wide[0]) :]
    late = [s.method.upper() for s in behind if not (METHODS[s.method].moves or is_wide([s]))]
    if late:
        order = ", ".join(map(str, [*(s for s in steps if not is_wide([s])), *wide]))
        faults.append(
            TransformError(
                f"{late[0]} must come before {name}, since {late[0]} is defined on 0..255 and "
                f"{name} gives 0..{top}",
                got=f"[{names}]",
                fix=f"write [{order}]",
            )
        )
    return faults


def is_wide(steps: Iterable[Step]) -> bool:
    """Whether encrypted values leave 0..255: then they take two bytes.

    >>> is_wide([parse_step("np-4")]), is_wide([parse_step("np-4"), parse_step("ffx-4")])
    (False, True)
    """
    return any(METHODS[step.method].reach > LEVELS for step in steps)


def plan_count(steps: Sequence[Step], ffx_password: FfxPassword) -> int:
    """The number of distinct plans, 2**256 at most.

    A plan is a permutation and a mask for each method, each free of the others wherever the steps
    stand: a permutation between two masks only relabels the positions of one. Exact for one step,
    and for any sequence of NP, full SHF and FFX with the fixed password. An upper bound where
    several partial SHF meet (their product need not reach every permutation that moves so few
    points), and where a method's own count is one.
    """
    counts: dict[str, list[int]] = {}
    for step in steps:
        counts.setdefault(step.method, []).append(step.count)
    found = (
        METHODS[method].plan_count(steps[0].positions, each, ffx_password)
        for method, each in counts.items()
    )
    return min(CAP, math.prod(found))


def has_one_plan(steps: Sequence[Step], ffx_password: FfxPassword) -> bool:
    """Whether every key gives the same plan, so that none is wrong.

    SHF of fewer than two positions moves nothing; NP of none or all of them has one mask, and so
    has FFX, where only a password from the key could still differ.

    >>> has_one_plan([parse_step("np-4-f100")], "from_key"), has_one_plan([], "fixed")
    (True, True)
    """
    return plan_count(steps, ffx_password) == 1


def divisors(side: int) -> list[int]:
    """All block sides that divide an image side, in ascending order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, math.isqrt(side) + 1) if side % d == 0]
    return sorted({*small, *(side // d for d in small)})


def check_block_divides(block_size: int, *sides: int) -> None:
    """Raise TransformError unless ``block_size`` divides every image side."""
    if block_size < 1 or any(side % block_size for side in sides):
        usable = [d for d in divisors(math.gcd(*sides)) if d > 1] or [1]
        shown = str(sides[0]) if len(set(sides)) == 1 else "x".join(map(str, sides))
        raise TransformError(
            "block_size must divide the image side",
            got=f"block_size={block_size}, side={shown}",
            fix=f"use one of {', '.join(map(str, usable))}",
        )
