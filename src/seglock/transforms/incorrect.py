"""Transforms under other keys, for what someone without the right one gets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as count_up
from typing import TYPE_CHECKING

from seglock.config.steps import Step
from seglock.errors import EvaluationError
from seglock.transforms.build import compose, with_divisor
from seglock.transforms.checks import check_ffx_password
from seglock.transforms.key_space import small_space
from seglock.transforms.transform import Transform

if TYPE_CHECKING:
    from seglock.config.steps import FfxPassword
    from seglock.keys import SecretKey


def incorrect_transforms(
    steps: Sequence[str | Step],
    key: SecretKey,
    count: int,
    ffx_password: FfxPassword | None = None,
    ffx_divisor: int | None = None,
) -> list[Transform]:
    """``count`` transforms of the same steps whose plans differ from the right one.

    They come from ``key.wrong(0)``, ``key.wrong(1)``, ...: repeatable for the key's owner. A key
    that gives the right plan is skipped. Where there are at most ``count`` other plans, each of
    them is returned once instead.

    Raises EvaluationError for a lock that has one plan only: no key is wrong there.

    >>> from seglock.keys import demonstration_key
    >>> len(incorrect_transforms(["np-1"], demonstration_key(), 100))
    2
    """
    right = compose(steps, key, ffx_password, ffx_divisor)
    password = check_ffx_password(ffx_password)
    plans = small_space(right.steps, password, limit=count + 1)
    if plans is not None and len(plans) == 1:
        raise EvaluationError(
            "a lock must have more than one plan for a key to be wrong",
            got=f"steps {', '.join(map(str, right.steps)) or 'none'}",
            fix="use a larger block, or touch a share of the positions between none and all",
        )
    if plans is not None:
        divided = (with_divisor(plan, ffx_divisor) for plan in plans)
        every = (Transform(right.steps, plan, password) for plan in divided)
        return [other for other in every if not other.same_plan(right)]
    wrong: list[Transform] = []
    for number in count_up():
        if len(wrong) == count:
            break
        other = compose(right.steps, key.wrong(number), password, ffx_divisor)
        if not other.same_plan(right):
            wrong.append(other)
    return wrong
