"""The locks that a study's settings name: of the space, enqueued, and the paper's.

Pure functions over plain values; ``search_rules`` checks with them, ``seglock.search.space`` draws.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from seglock.config.refusal import MOST_WEIGHT
from seglock.errors import ConfigError
from seglock.steps import divisors, parse_step, sequence_faults

PUBLISHED: Final = "published"
"""As a fraction the paper's: all positions for SHF, half for NP and FFX. As enqueue its Table 1."""

T = TypeVar("T")

_REFUSE = " refuse "
_WEIGHT = re.compile(r"\s*[0-9]+(\.[0-9]+)?\s*")

MOST_STEPS = 4
"""Steps of a lock to try; the longest sensible one is np+shf+ffx+shf. Its name names a folder."""

PUBLISHED_METHODS = ("shf", "np", "ffx")
PUBLISHED_BLOCKS = (2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class LockChoice:
    """A lock that a study may try.

    pattern: methods from left to right, ``np`` or ``np+shf``; empty for the plain network.
    fraction: percent of positions of every step, None for the paper's. refuse: with which weight
    its network is taught to refuse who has not the key, 0 to 10; 0 for not at all.
    """

    pattern: str
    block_size: int
    fraction: int | None
    refuse: float = field(default=0.0, kw_only=True)

    @property
    def steps(self) -> tuple[str, ...]:
        """The lock's steps, as params.yaml has them.

        >>> LockChoice("np+shf", 4, 25).steps
        ('np-4-f25', 'shf-4-f25')
        """
        suffix = "" if self.fraction is None else f"-f{self.fraction}"
        methods = self.pattern.split("+") if self.pattern else []
        return tuple(f"{method}-{self.block_size}{suffix}" for method in methods)

    @property
    def weight(self) -> str:
        """The weight of the refusal in plain digits.

        >>> LockChoice("np", 8, None, refuse=0.00005).weight
        '0.00005'
        """
        return f"{Decimal(repr(self.refuse)).normalize():f}"

    def __str__(self) -> str:
        return "+".join(self.steps) + (f" refuse {self.weight}" if self.refuse else "")


def parse_lock(text: object) -> LockChoice:
    """Read an entry of ``search.enqueue``: steps from left to right, joined by ``+``; then, for a
    lock that refuses, ``refuse`` and the weight.

    Raises ConfigError for steps that cannot be read or cannot follow each other, and where they
    differ in their share of positions, which a trial has one of; and for a weight that is none.

    >>> parse_lock("np-4-f25+shf-4-f25 refuse 0.1")
    LockChoice(pattern='np+shf', block_size=4, fraction=25, refuse=0.1)
    """
    if not isinstance(text, str):
        raise ConfigError(
            "an enqueued lock must be steps joined by +",
            got=repr(text),
            fix="write for example np-4 or np-4+shf-4",
        )
    named, _, weight = text.partition(_REFUSE)
    steps = [parse_step(part.strip()) for part in named.split("+")]
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
    share = None if percent is None else int(percent)
    return LockChoice(pattern, steps[0].block_size, share, refuse=_weight(text, weight))


def _weight(text: str, written: str) -> float:
    """The weight behind ``refuse`` in an enqueued lock; 0 where there is none."""
    if _REFUSE not in text:
        return 0.0
    if _WEIGHT.fullmatch(written.strip()) and float(written) <= MOST_WEIGHT:
        return float(written)
    raise ConfigError(
        f"the weight of a refusal must be a number from 0 to {MOST_WEIGHT}",
        got=repr(text),
        fix="write for example np-8 refuse 0.1",
    )


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
) -> tuple[list[str], list[int], list[int | None], list[float]]:
    """Methods, block sides, percents and weights of a refusal in the space, then those that only
    enqueued locks have.

    A sampler knows one list of choices a parameter for the whole study, so that an enqueued value
    is one that it may choose as well. Block sides that are not named are all that divide.

    >>> space = {"steps": ["np"], "block_size": None, "fraction": ["published", 25]}
    >>> lock_choices(space, [parse_lock("shf-4")], [8])
    (['np', 'shf'], [2, 4, 8], [None, 25], [0.0])
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
        _once([*(space.get("refuse") or [0.0]), *(lock.refuse for lock in enqueued)]),
    )


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
