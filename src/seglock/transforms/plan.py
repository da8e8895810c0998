"""A plan: what a key does to one block, as data. Pure; knows no key, no image and no file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from seglock.errors import TransformError
from seglock.methods import LEVELS
from seglock.normalisation import IMAGENET, Normalisation
from seglock.steps import CHANNELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTypeName = Literal["uint8", "int16"]
IDENTITY: NDArray[np.int16] = np.arange(LEVELS, dtype=np.int16)
COMPLEMENT: NDArray[np.int16] = IDENTITY[::-1].copy()


class Unwritable:
    """What is worth as much as a key: it can be neither pickled nor copied."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TransformError(
            f"a {type(self).__name__} is as secret as its key and must not be pickled or copied",
            fix="keep its steps, and build it again with seglock.compose(steps, key=key)",
        )

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(2)


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Unwritable):
    """The formula ``y[i] = tables[selector[i]][x[permutation[i]]]`` over one flattened block.

    A block of side M flattens to n = 3 * M * M values: row, then column, then channel fastest.

    Shape:
        permutation: ``(n,)``, each of 0..n-1 once, in the smallest unsigned type that holds
            them; plans that move nothing share one.
        tables: int16 ``(T, 256)``, each row one-to-one; kept sorted and without unused rows, so
            that equal plans have equal arrays.
        selector: uint8 ``(n,)``, a row of ``tables`` for each position.

    ``divisor`` is what values are divided by for the network, None: the largest of the tables;
    then they are normalised by ``normalisation``.
    A plan is worth as much as its key: it never prints its arrays and refuses to be pickled.

    >>> identity_plan(2)
    Plan(block_size=2)
    """

    block_size: int
    permutation: NDArray[np.integer[Any]]
    tables: NDArray[np.int16]
    selector: NDArray[np.uint8]
    dtype_name: DTypeName = "uint8"
    divisor: int | None = None
    normalisation: Normalisation = IMAGENET

    def __post_init__(self) -> None:
        size = CHANNELS * self.block_size**2
        if len(self.permutation) != size or len(self.selector) != size:
            raise TransformError(
                "a plan must have one entry for each of the 3 * M * M positions",
                got=f"{len(self.permutation)} and {len(self.selector)} for {size}",
            )
        rows = [np.asarray(table, dtype=np.int16).tobytes() for table in self.tables]
        used = sorted({rows[row] for row in _occurring(self.selector)})
        new_row = np.array([used.index(row) if row in used else 0 for row in rows], dtype=np.uint8)
        arrays: dict[str, NDArray[Any]] = {
            "permutation": _stored(self.permutation),
            "tables": np.frombuffer(b"".join(used), dtype=np.int16).reshape(-1, LEVELS),
            "selector": new_row[self.selector],
        }
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def size(self) -> int:
        """Values in a flattened block, n = 3 * M * M."""
        return CHANNELS * self.block_size**2

    @property
    def max_value(self) -> int:
        """What values are divided by: ``divisor``, else the largest value the plan can give."""
        return self.divisor or int(self.tables.max())

    def equals(self, other: Plan) -> bool:
        """Whether both plans turn every block into the same one."""
        return (
            self.block_size == other.block_size
            and self.dtype_name == other.dtype_name
            and np.array_equal(self.tables, other.tables)
            and np.array_equal(self.selector, other.selector)
            and np.array_equal(self.permutation, other.permutation)
        )

    def __repr__(self) -> str:
        return f"Plan(block_size={self.block_size})"


def _stored(permutation: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """A copy in the smallest type, or the one array that all plans share which move nothing."""
    same = _unmoved(len(permutation))
    if np.array_equal(permutation, same):
        return same
    return np.array(permutation, dtype=same.dtype)


@lru_cache(maxsize=4)
def _unmoved(size: int) -> NDArray[np.integer[Any]]:
    return np.arange(size, dtype=np.min_scalar_type(size - 1))


def dtype_of(reach: int) -> DTypeName:
    """The type of images whose values lie in 0 .. reach - 1."""
    return "int16" if reach > LEVELS else "uint8"


def identity_plan(block_size: int) -> Plan:
    """The plan that changes nothing."""
    size = CHANNELS * block_size**2
    return Plan(
        block_size,
        np.arange(size, dtype=np.int64),
        IDENTITY[None],
        np.zeros(size, dtype=np.uint8),
    )


@lru_cache(maxsize=8)
def inverse_plan(plan: Plan) -> Plan:
    """The plan that undoes one whose values stay in 0..255; the last few are kept."""
    order = np.argsort(plan.permutation)
    tables = np.argsort(plan.tables, axis=1).astype(np.int16)
    return Plan(plan.block_size, order, tables, plan.selector[order])


def signed_permutation(plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.int8]] | None:
    """A plan's permutation, and -1 where it negates and 1 elsewhere; None where it does more."""
    kinds = [
        int(np.array_equal(table, IDENTITY)) - int(np.array_equal(table, COMPLEMENT))
        for table in plan.tables
    ]
    if not all(kinds):
        return None
    return plan.permutation.astype(np.int64), np.array(kinds, dtype=np.int8)[plan.selector]


def compose_plans(first: Plan, then: Plan) -> Plan:
    """One plan that does ``first``, then ``then``.

    With A after B: ``p(i) = pB(pA(i))`` and ``T_i = TA_i`` after ``TB_{pA(i)}``. A position that
    ``then`` leaves as it is (the identity table) may carry any value of ``first``; at any other
    the values of ``first`` must lie in 0..255.

    Raises TransformError where they do not.
    """
    if first.block_size != then.block_size:
        raise TransformError(
            "plans must share one block side to be composed",
            got=f"{first.block_size} and {then.block_size}",
        )
    if not _fits(first, then):  # raised here, where a traceback with locals shows no table
        raise TransformError(
            "only SHF may follow FFX, since FFX gives 0..999",
            fix="put every other step before it",
        )
    kinds = first.selector[then.permutation].astype(np.int64) * LEVELS + then.selector
    pairs = _occurring(kinds)
    tables = [_table_after(first.tables[p // LEVELS], then.tables[p % LEVELS]) for p in pairs]
    return Plan(
        first.block_size,
        first.permutation[then.permutation],
        np.stack(tables),
        np.searchsorted(pairs, kinds).astype(np.uint8),
        "int16" if "int16" in (first.dtype_name, then.dtype_name) else "uint8",
    )


def _occurring(kinds: NDArray[Any]) -> NDArray[np.intp]:
    """The values that occur, ascending; for small values faster than sorting them."""
    return np.flatnonzero(np.bincount(kinds))


def _fits(first: Plan, then: Plan) -> bool:
    wide = first.tables.max(axis=1) >= LEVELS
    changes = (then.tables != IDENTITY).any(axis=1)
    return not (wide[first.selector[then.permutation]] & changes[then.selector]).any()


def _table_after(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    return before if np.array_equal(after, IDENTITY) else after[before]
