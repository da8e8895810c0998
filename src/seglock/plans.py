"""Plans that come from no key: those of models that others have trained elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from seglock.errors import TransformError
from seglock.methods import METHODS
from seglock.methods.method import Change
from seglock.steps import Step
from seglock.transforms import Transform
from seglock.transforms.checks import check_step
from seglock.transforms.sequence import changed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_METHODS = ("shf", "np", "ffx")
_SEEDS = 1 << 64


def block_transform(method: str, block_size: int, seed: int) -> Transform:
    """The transform of a model trained with ``fugokidi/block_transform``, the classification code
    of the paper's authors.

    A block of side M flattens there as it does here, to n = 3 * M * M values. ``seed`` gives one
    permutation r of them (torch's ``randperm``): ``shf`` makes ``y[i] = x[r[i]]``; ``np``, 255 - x,
    and ``ffx`` touch the positions with ``r[i] > n / 2``, n / 2 - 1 of them where n is even, and
    ``ffx`` has the table of the public password, as ``ffx_password="fixed"``.

    **A seed is no key.** It stands in a configuration, and torch takes 32 bits of it, which can be
    counted through. ``key_space_bits`` counts the plans that there could be, not the seeds that
    someone would try. Lock what is new with `seglock.build_transform`.

    Args:
        method: ``shf``, ``np`` or ``ffx``.
        block_size: side M of a block in pixels; it must divide both sides of the images.
        seed: ``config.seed`` of that code, 0 to 2**64 - 1. No global random state is touched.

    Returns:
        A Transform of uint8 images (B, 3, H, W) in 0..255: ``encrypt`` gives uint8, for ``ffx``
        int16 in 0..999, of the same shape. ``max_value`` is what that code divides by: 255, for
        ``ffx`` the table's maximum, 996. ``to_input`` normalises by the channels' mean and
        deviation on ImageNet; for a model with others, normalise ``encrypt(images) / max_value``.

    Raises:
        TransformError: an unknown method, a block size below 1, a seed that is no whole number or
            out of range.

    Examples:
        >>> block_transform("np", 2, seed=42)
        Transform([np-2-f125/3])
    """
    if method not in _METHODS:
        raise TransformError(
            f"method must be one of {', '.join(_METHODS)}",
            got=repr(method),
            fix='write for example block_transform("shf", 4, seed=42)',
        )
    step = check_step(method, block_size, None)
    order = _randperm(step.positions, seed)
    if METHODS[method].moves:
        change = Change(range(step.positions), order)
    else:
        touched = np.flatnonzero(2 * order > step.positions)
        step = Step(method, block_size, Fraction(100 * len(touched), step.positions))
        change = Change(touched, table=METHODS[method].public_table("fixed"))
    return Transform((step,), changed(step, change), "fixed")


def _randperm(size: int, seed: int) -> NDArray[np.int64]:
    """What ``torch.manual_seed(seed); torch.randperm(size)`` gives on the CPU."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
        raise TransformError(
            "seed must be a whole number from 0 to 2**64 - 1",
            got="something else",
            fix="use the seed that the model was trained with; it stands in its configuration",
        )
    import torch

    drawn: NDArray[np.int64] = torch.randperm(
        size, generator=torch.Generator().manual_seed(seed)
    ).numpy()
    return drawn
