"""Transforms under other keys, for what someone without the right one gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from seglock.errors import EvaluationError
from seglock.keys import derive_permutation
from seglock.normalisation import IMAGENET, Normalisation
from seglock.steps import FeatureStep, Step
from seglock.transforms.build import compose, for_network, under
from seglock.transforms.checks import check_ffx_password
from seglock.transforms.key_space import small_space
from seglock.transforms.transform import Transform

if TYPE_CHECKING:
    from seglock.keys import SecretKey
    from seglock.methods import FfxPassword


def incorrect_transforms(
    steps: Sequence[str | Step | FeatureStep],
    key: SecretKey,
    count: int,
    ffx_password: FfxPassword | None = None,
    ffx_divisor: int | None = None,
    normalisation: Normalisation = IMAGENET,
    channels: Mapping[str, int] | None = None,
) -> Sequence[Transform]:
    """``count`` transforms of the same steps whose plans differ from the right one.

    They come from ``key.wrong(0)``, ``key.wrong(1)``, ...: repeatable for the key's owner. A key
    that gives the right plan is skipped. Where there are at most ``count`` other plans, each of
    them is returned once instead, in an order that the key draws: their scores are published, and
    in an order that everyone knows the place of the missing one would be the plan.

    The sequence holds no plan but the right one: it makes one anew whenever it is indexed (about
    30 ms for a block of 256 pixels), so its memory does not grow with ``count``. Only where all
    plans are returned are they made at once; so few plans have a handful of positions each.

    Raises EvaluationError for a lock that has one plan only: no key is wrong there.

    >>> from seglock.keys import demonstration_key
    >>> len(incorrect_transforms(["np-1"], demonstration_key(), 100))
    2
    """
    right = compose(steps, key, ffx_password, ffx_divisor, normalisation, channels)
    password = check_ffx_password(ffx_password)
    plans = None if right.features else small_space(right.steps, password, limit=count + 1)
    if plans is not None and len(plans) == 1:
        raise EvaluationError(
            "a lock must have more than one plan for a key to be wrong",
            got=f"steps {', '.join(map(str, right.steps)) or 'none'}",
            fix="use a larger block, or touch a share of the positions between none and all",
        )
    if plans is not None:
        use = f"incorrect-order/{'+'.join(map(str, right.steps))}"
        ordered = (plans[i] for i in derive_permutation(key, use, len(plans)))
        taken = (for_network(plan, ffx_divisor, normalisation) for plan in ordered)
        every = (Transform(right.steps, plan, password) for plan in taken)
        return [other for other in every if not other.same_plan(right)]
    return WrongKeys(right, lambda number: under(key.wrong(number), right), count)


class WrongKeys(Sequence[Transform]):
    """The first ``count`` of ``make(0)``, ``make(1)``, ... whose plan is not that of ``right``."""

    def __init__(self, right: Transform, make: Callable[[int], Transform], count: int) -> None:
        self._right = right
        self._make = make
        self._count = count
        self._numbers: list[int] = []  # of the wrong ones, as far as they have been asked for
        self._tried = 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Transform: ...
    @overload
    def __getitem__(self, index: slice) -> list[Transform]: ...
    def __getitem__(self, index: int | slice) -> Transform | list[Transform]:
        chosen = range(self._count)[index]
        return [self._at(i) for i in chosen] if isinstance(chosen, range) else self._at(chosen)

    def _at(self, index: int) -> Transform:
        if index < len(self._numbers):
            return self._make(self._numbers[index])
        while True:
            other = self._make(self._tried)
            if not other.same_plan(self._right):
                self._numbers.append(self._tried)
            self._tried += 1
            if index < len(self._numbers):
                return other
