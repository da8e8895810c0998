"""The locks that a study's settings name: of the space, enqueued, and the paper's.

Pure functions over plain values; ``search_rules`` checks with them, ``seglock.search.space`` draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from seglock.errors import ConfigError
from seglock.steps import divisors, parse_step, sequence_faults

PUBLISHED: Final = "published"
"""As a fraction the paper's: all positions for SHF, half for NP and FFX. As enqueue its Table 1."""

T = TypeVar("T")

MOST_STEPS = 4
"""Steps of a lock to try; the longest sensible one is np+shf+ffx+shf. Its name names a folder."""

PUBLISHED_METHODS = ("shf", "np", "ffx")
PUBLISHED_BLOCKS = (2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class LockChoice:
    """A lock that a study may try.

    pattern: methods from left to right, ``np`` or ``np+shf``; empty for the plain network.
    fraction: percent of positions of every step, None for the paper's.
    """

    pattern: str
    block_size: int
    fraction: int | None

    @property
    def steps(self) -> tuple[str, ...]:
        """The lock's steps, as params.yaml has them.

        >>> LockChoice("np+shf", 4, 25).steps
        ('np-4-f25', 'shf-4-f25')
        """
        suffix = "" if self.fraction is None else f"-f{self.fraction}"
        methods = self.pattern.split("+") if self.pattern else []
        return tuple(f"{method}-{self.block_size}{suffix}" for method in methods)

    def __str__(self) -> str:
        return "+".join(self.steps)


def parse_lock(text: object) -> LockChoice:
    """Read an entry of ``search.enqueue``: steps from left to right, joined by ``+``.

    Raises ConfigError for steps that cannot be read or cannot follow each other, and where they
    differ in their share of positions, which a trial has one of.

    >>> parse_lock("np-4-f25+shf-4-f25")
    LockChoice(pattern='np+shf', block_size=4, fraction=25)
    """
    if not isinstance(text, str):
        raise ConfigError(
            "an enqueued lock must be steps joined by +",
            got=repr(text),
            fix="write for example np-4 or np-4+shf-4",
        )
    steps = [parse_step(part) for part in text.split("+")]
    for fault in sequence_faults(steps):
        raise ConfigError(fault.rule, got=fault.got, fix=fault.fix) from fault
    if len(steps) > MOST_STEPS:
        raise ConfigError(f"an enqueued lock must have at most {MOST_STEPS} steps", got=repr(text))
    percents = {step.percent for step in steps}
    if len(percents) > 1:
        raise ConfigError(
            "the steps of an enqueued lock must touch one share of positions",
            got=repr(text),
            fix="give all of them the same -fPERCENT, or none",
        )
    pattern = "+".join(step.method for step in steps)
    percent = steps[0].percent
    return LockChoice(pattern, steps[0].block_size, None if percent is None else int(percent))


def published_locks(sides: Iterable[int]) -> list[LockChoice]:
    """The paper's locks whose block side divides every image side, smallest blocks first.

    >>> len(published_locks([256])), len(published_locks([64, 96]))
    (24, 15)
    """
    sides = list(sides)
    blocks = [block for block in PUBLISHED_BLOCKS if not any(side % block for side in sides)]
    return [LockChoice(method, block, None) for block in blocks for method in PUBLISHED_METHODS]


def enqueued_locks(enqueue: Sequence[str], sides: Iterable[int]) -> list[LockChoice]:
    """What ``search.enqueue`` stands for, each lock once and in order."""
    if enqueue == PUBLISHED:
        return published_locks(sides)
    return _once(parse_lock(entry) for entry in enqueue)


def lock_choices(
    space: Mapping[str, Any], enqueued: Iterable[LockChoice], sides: Iterable[int]
) -> tuple[list[str], list[int], list[int | None]]:
    """Methods, block sides and percents of the space, then those only enqueued locks have.

    A sampler knows one list of choices a parameter for the whole study, so that an enqueued value
    is one that it may choose as well. Block sides that are not named are all that divide.

    >>> space = {"steps": ["np"], "block_size": None, "fraction": ["published", 25]}
    >>> lock_choices(space, [parse_lock("shf-4")], [8])
    (['np', 'shf'], [2, 4, 8], [None, 25])
    """
    enqueued = list(enqueued)
    blocks = space["block_size"]
    if blocks is None:
        side = math.gcd(*sides)
        blocks = ([d for d in divisors(side) if d > 1] or [1]) if side else []
    percents = [None if fraction == PUBLISHED else fraction for fraction in space["fraction"]]
    return (
        _once([*space["steps"], *(lock.pattern for lock in enqueued)]),
        _once([*blocks, *(lock.block_size for lock in enqueued)]),
        _once([*percents, *(lock.fraction for lock in enqueued)]),
    )


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
