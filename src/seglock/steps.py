"""The name of a transform step, ``METHOD-BLOCK[-fPERCENT]``, and which steps may follow each other.

Pure text and numbers: the transforms themselves are built from these in ``seglock.transforms``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from seglock.errors import ConfigError, TransformError, nearest_name

if TYPE_CHECKING:
    from fractions import Fraction

Method = Literal["shf", "np", "ffx"]
FfxPassword = Literal["from_key", "fixed"]
METHODS: tuple[Method, ...] = get_args(Method)
CHANNELS = 3
SEARCHABLE_BITS = 64
"""Key spaces below it a determined attacker can try out whole."""
_STEP = re.compile(r"(?P<method>[a-z]+)-(?P<block>[0-9]+)(?:-f(?P<percent>[0-9]+))?")


@dataclass(frozen=True)
class Step:
    """One transform step: a method, its block side in pixels, and how many positions it touches.

    ``percent`` is None for the paper's share: all positions for SHF, half for NP and FFX. A name
    has whole percents; code may use any fraction of one.
    """

    method: Method
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
        if self.percent is None:
            return self.positions if self.method == "shf" else self.positions // 2
        return self.positions * self.percent // 100

    def __str__(self) -> str:
        text = f"{self.method}-{self.block_size}"
        return text if self.percent is None else f"{text}-f{self.percent}"


def parse_step(name: object) -> Step:
    """Read a step's name.

    Raises ConfigError for anything that is not ``METHOD-BLOCK[-fPERCENT]``.

    >>> parse_step("np-4-f25")
    Step(method='np', block_size=4, percent=25)
    """
    match = _STEP.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise ConfigError(
            "a step must read METHOD-BLOCK or METHOD-BLOCK-fPERCENT",
            got=repr(name),
            fix="write for example shf-4, np-2 or ffx-8-f25",
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


def check_sequence(steps: Iterable[Step]) -> None:
    """Check that steps, applied from left to right, stay inside the one formula.

    Allowed: any SHF and NP, then at most one FFX, then SHF only; all with the same block side.
    Raises TransformError naming the order to use.
    """
    for fault in sequence_faults(steps):
        raise fault


def sequence_faults(steps: Iterable[Step]) -> list[TransformError]:
    """Everything that `check_sequence` has against a sequence, worst first."""
    steps = list(steps)
    names = ", ".join(map(str, steps))
    faults = []
    sides = {step.block_size for step in steps}
    if len(sides) > 1:
        faults.append(
            TransformError(
                "the steps of one lock must share one block side",
                got=f"[{names}]",
                fix=f"use one of {', '.join(map(str, sorted(sides)))} for all of them",
            )
        )
    methods = [step.method for step in steps]
    if methods.count("ffx") > 1:
        faults.append(
            TransformError(
                "a lock may have at most one FFX step, since FFX takes 0..255 and gives 0..999",
                got=f"[{names}]",
                fix="keep one ffx step, after every np step",
            )
        )
    if "ffx" in methods and "np" in methods[methods.index("ffx") :]:
        first = [s for s in steps if s.method != "ffx"]
        order = ", ".join(map(str, [*first, *(s for s in steps if s.method == "ffx")]))
        faults.append(
            TransformError(
                "NP must come before FFX, since NP is defined on 0..255 and FFX gives 0..999",
                got=f"[{names}]",
                fix=f"write [{order}]",
            )
        )
    return faults


def has_one_plan(steps: Iterable[Step], ffx_password: FfxPassword) -> bool:
    """Whether every key gives the same plan, so that none is wrong.

    SHF of fewer than two positions moves nothing; NP of none or all of them has one mask, and so
    has FFX, where only a password from the key could still differ. A sequence has one plan where
    each of its steps has.

    >>> has_one_plan([parse_step("np-4-f100")], "from_key"), has_one_plan([], "fixed")
    (True, True)
    """
    return all(_has_one_plan(step, ffx_password) for step in steps)


def _has_one_plan(step: Step, ffx_password: FfxPassword) -> bool:
    if step.method == "shf":
        return step.count < 2
    if step.method == "ffx" and ffx_password == "from_key":  # noqa: S105 - a choice
        return step.count == 0
    return step.count in (0, step.positions)


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
