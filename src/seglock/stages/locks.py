"""From a lock of params.yaml and its key to transforms: one place, so that all stages agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.config import LockParams
    from seglock.keys import SecretKey
    from seglock.transforms import Transform


def lock_transform(lock: LockParams, key: SecretKey | None) -> Transform:
    """The transform of a lock under its key; the baseline's, without one, is the identity."""
    from seglock.transforms import compose

    return compose(lock.steps, key, lock.ffx_password, lock.ffx_divisor)


def wrong_transforms(lock: LockParams, key: SecretKey, count: int) -> Sequence[Transform]:
    """The same lock under ``count`` other keys, each planned when it is asked for.

    Raises EvaluationError for a lock that has one plan only.
    """
    from seglock.transforms import incorrect_transforms

    return incorrect_transforms(lock.steps, key, count, lock.ffx_password, lock.ffx_divisor)
