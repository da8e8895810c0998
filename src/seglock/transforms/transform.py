"""The transform: a thin class over a plan. Checks its input, applies the plan, hides it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from seglock.errors import TransformError
from seglock.methods import FfxPassword
from seglock.methods.ffx import FFX_RANGE, FROM_KEY
from seglock.methods.method import CAP
from seglock.normalisation import Normalisation
from seglock.steps import FeatureStep, Step
from seglock.transforms.apply import apply_plan, count_outside, input_of, undo_plan
from seglock.transforms.checks import check_images
from seglock.transforms.features import FeaturePlan
from seglock.transforms.key_space import key_space_bits
from seglock.transforms.plan import DTypeName, Plan, Unwritable, signed_permutation

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Images = TypeVar("Images", torch.Tensor, NDArray[Any])


class Transform(Unwritable):
    """Encrypts images block by block under one plan; made by `build_transform` or `compose`.

    What the same key does inside the network stands beside it as `features`.

    ``repr`` shows the steps only. A transform is worth as much as its key and refuses to be
    pickled, copied or written; keep its steps and the key's name instead.

    Examples:
        >>> from seglock import build_transform
        >>> from seglock.keys import demonstration_key
        >>> lock = build_transform("np", block_size=2, key=demonstration_key())
        >>> images = np.zeros((1, 3, 4, 4), dtype=np.uint8)
        >>> encrypted = lock.encrypt(images)
        >>> int((encrypted == 255).sum()), bool((lock.decrypt(encrypted) == images).all())
        (24, True)
    """

    __slots__ = ("_features", "_ffx_password", "_plan", "_steps")

    def __init__(
        self,
        steps: tuple[Step, ...],
        plan: Plan,
        ffx_password: FfxPassword = FROM_KEY,
        features: tuple[FeaturePlan, ...] = (),
    ) -> None:
        self._steps = steps
        self._features = features
        self._plan = plan
        self._ffx_password = ffx_password

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps on images, applied from left to right; empty for the identity."""
        return self._steps

    @property
    def features(self) -> tuple[FeaturePlan, ...]:
        """What the key does to feature maps, for `permuted`."""
        return self._features

    @property
    def ffx_password(self) -> FfxPassword:
        """Where the password of an FFX step comes from."""
        return self._ffx_password

    @property
    def block_size(self) -> int:
        """Side of a block in pixels; 1 for the identity."""
        return self._plan.block_size

    @property
    def max_value(self) -> int:
        """What encrypted values are divided by: 255, or the FFX table's maximum (paper, 2.4)."""
        return self._plan.max_value

    @property
    def normalisation(self) -> Normalisation:
        """What the network's inputs are normalised by."""
        return self._plan.normalisation

    @property
    def dtype_name(self) -> DTypeName:
        """Type of encrypted images: ``uint8``, or ``int16`` where a step is FFX."""
        return self._plan.dtype_name

    @property
    def key_space_bits(self) -> float:
        """log2 of the number of distinct plans, 256 at most; see `key_space`.

        Of a plan on images and one for each feature map the largest alone: norms in between tell a
        thief when one of them is right, whatever the others are.
        """
        own = key_space_bits(self._steps, self._ffx_password)
        return min(math.log2(CAP), max([own, *(plan.bits for plan in self._features)]))

    def encrypt(self, images: Images) -> Images:
        """Encrypt a batch.

        Args:
            images: uint8 ``(B, 3, H, W)`` in 0..255, a tensor on any device or a NumPy array,
                contiguous or channels_last; ``block_size`` divides H and W; B may be 0.

        Returns:
            A new array of the same kind, shape, device and memory format, of type `dtype_name`.

        Raises:
            TransformError: wrong dtype, rank or channels, or a side that is no multiple.
        """
        check_images(images, "uint8", self.block_size, encrypted=False)
        encrypted: Images = apply_plan(self._plan, images)
        return encrypted

    def decrypt(self, encrypted: Images) -> Images:
        """The exact inverse of `encrypt`: uint8 ``(B, 3, H, W)`` in 0..255.

        Raises:
            TransformError: as `encrypt`; also where values occur that this plan gives for no
                pixel, with their count. SHF and NP give every value: there a wrong key goes
                unnoticed.
        """
        check_images(encrypted, self.dtype_name, self.block_size, encrypted=True)
        plain: Images
        plain, impossible = undo_plan(self._plan, encrypted)
        if impossible:
            raise TransformError(
                "every encrypted value must be one that this plan gives",
                got=f"{impossible} impossible values",
                fix="decrypt with the key and steps that encrypted the images",
            )
        return plain

    def to_input(
        self,
        images: torch.Tensor | NDArray[np.uint8],
        *,
        dtype: torch.dtype | None = None,
        memory_format: torch.memory_format | None = None,
    ) -> torch.Tensor:
        """What the network sees: encrypted, divided by `max_value`, then by `normalisation`.

        Args:
            images: as for `encrypt`.
            dtype: float32 (default), float64, float16 or bfloat16, each rounded once.
            memory_format: contiguous or channels_last; default: as ``images``.

        Returns:
            A tensor ``(B, 3, H, W)``, by ImageNet's normalisation about -2.2..2.7, on the device
            of ``images``: values from a table, moved and never calculated, so every device gives
            the same bits.
        """
        check_images(images, "uint8", self.block_size, encrypted=False)
        return input_of(self._plan, "to_input", images, dtype, memory_format)

    def encrypted_to_input(
        self,
        encrypted: torch.Tensor | NDArray[Any],
        *,
        dtype: torch.dtype | None = None,
        memory_format: torch.memory_format | None = None,
    ) -> torch.Tensor:
        """The same from encrypted images: bit for bit ``to_input`` of the plain ones."""
        check_images(encrypted, self.dtype_name, self.block_size, encrypted=True)
        outside = count_outside(encrypted)
        if outside:
            raise TransformError(
                f"encrypted values must lie in 0..{FFX_RANGE - 1}",
                got=f"{outside} values outside",
                fix="give what encrypt returned",
            )
        return input_of(self._plan, "encrypted_to_input", encrypted, dtype, memory_format)

    def signed_permutation(self) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """What SHF and NP do to a block, as two arrays (n,); as secret as the key.

        Value i of an encrypted block is ``x[permutation[i]]``, or 255 minus that where
        ``signs[i]`` is -1.

        Raises:
            TransformError: where a step does anything else to values, as FFX does.
        """
        found = signed_permutation(self._plan)
        if found is None or self._features:
            del found  # a traceback may be shown with its locals
            raise TransformError(
                "only steps that move or negate values can be folded",
                got=", ".join(map(str, self._named)),
                fix="use shf and np, or train a lock with these steps instead",
            )
        return found

    def same_plan(self, other: Transform) -> bool:
        """Whether both do the same to every image and feature map, also where keys differ."""
        return (
            self._plan.equals(other._plan)
            and len(self._features) == len(other._features)
            and all(map(FeaturePlan.equals, self._features, other._features))
        )

    def __repr__(self) -> str:
        return f"Transform([{', '.join(map(str, self._named))}])"

    @property
    def _named(self) -> list[Step | FeatureStep]:
        return [*self._steps, *(plan.step for plan in self._features)]
