"""What a method is, and what it draws from a key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = NDArray[np.int16]

FfxPassword = Literal["from_key", "fixed"]
LEVELS = 256
"""Values of a pixel, 0 to 255."""
CAP = 1 << 256
"""What counts of plans end at: there are no more keys."""


@dataclass(frozen=True, repr=False)
class Change:
    """What one step does to a block: the values at ``positions`` change places, or go through a
    table, or both. As secret as the key: it prints nothing.

    positions: (k,) of the block's n. order: a permutation (k,); the value at ``positions[i]``
    becomes that at ``positions[order[i]]``. table: int16 (256,), one-to-one.
    """

    positions: Sequence[int] | NDArray[np.int64]
    order: Sequence[int] | NDArray[np.int64] | None = None
    table: Table | None = None


@dataclass(frozen=True, repr=False)
class Draws:
    """What a step may draw from its key: each under a label of the step in its sequence, so that
    no two draws have anything in common.

    size: positions of the block, n = 3 * M * M. count: how many of them the step touches.
    permutation: of 0 .. size - 1, int64. secret: 32 bytes. Both by a name within the method.
    """

    size: int
    count: int
    ffx_password: FfxPassword
    permutation: Callable[[str, int], NDArray[np.int64]]
    secret: Callable[[str], bytes]

    def positions(self) -> NDArray[np.int64]:
        """``count`` of the block's positions, in the order drawn."""
        return self.permutation("positions", self.size)[: self.count].copy()


class Method(ABC):
    """One way to change a block under a key.

    name: of its steps. percent: the share of positions that a step touches if its name has none.
    moves: whether values change places; else they go through a table. reach: how many values the
    table gives, from 0 on. has_password: whether ``ffx_password`` is an option of it.
    """

    name: ClassVar[str]
    percent: ClassVar[int] = 50
    moves: ClassVar[bool] = False
    reach: ClassVar[int] = LEVELS
    has_password: ClassVar[bool] = False

    @abstractmethod
    def draw(self, draws: Draws) -> Change:
        """The change that a key stands for."""

    @abstractmethod
    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """How many plans its steps of a sequence can give together; ``CAP`` for that many or more.

        size: positions of the block. counts: how many each step touches; at least one.
        """

    def public_table(self, ffx_password: FfxPassword) -> Table | None:
        """The table that everyone knows; None where there is none, or where the key decides."""
        return None

    def every_change(self, size: int, count: int, ffx_password: FfxPassword) -> Iterator[Change]:
        """Each change that one step can make, once; asked for where there are few."""
        table = self.public_table(ffx_password) if count else None
        return (Change(chosen, table=table) for chosen in combinations(range(size), count))


def choose(n: int, k: int) -> int:
    """C(n, k), at most the cap; it grows with k up to n / 2, so passing the cap ends it.

    >>> choose(12, 6)
    924
    """
    value = 1
    for i in range(min(k, n - k)):
        value = value * (n - i) // (i + 1)
        if value >= CAP:
            return CAP
    return value
