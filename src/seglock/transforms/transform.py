"""The transform: a thin class over a plan. Checks its input, picks the kernel, hides the plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import numpy as np

from seglock.config.steps import FfxPassword, Step
from seglock.errors import TransformError
from seglock.transforms import apply_numpy
from seglock.transforms.checks import check_images
from seglock.transforms.ffx import FFX_RANGE, FROM_KEY
from seglock.transforms.input_values import FLOATS
from seglock.transforms.key_space import key_space_bits
from seglock.transforms.layout import Layout, layout_of
from seglock.transforms.plan import LEVELS, DTypeName, Plan, refuse_to_write
from seglock.transforms.recipe import Shape, Work, prepare

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from seglock.transforms.input_values import FloatName

    Images = TypeVar("Images", torch.Tensor, NDArray[Any])

_NHWC, _NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


class Transform:
    """Encrypts images block by block under one plan; made by `build_transform` or `compose`.

    ``repr`` shows the steps only. A transform is worth as much as its key and refuses to be
    pickled, copied or written; keep its steps and the key's name instead.

    >>> from seglock import build_transform
    >>> from seglock.keys import demonstration_key
    >>> lock = build_transform("np", block_size=2, key=demonstration_key())
    >>> images = np.zeros((1, 3, 4, 4), dtype=np.uint8)
    >>> encrypted = lock.encrypt(images)
    >>> int((encrypted == 255).sum()), bool((lock.decrypt(encrypted) == images).all())
    (24, True)
    """

    __slots__ = ("_ffx_password", "_plan", "_steps")

    def __init__(
        self, steps: tuple[Step, ...], plan: Plan, ffx_password: FfxPassword = FROM_KEY
    ) -> None:
        self._steps = steps
        self._plan = plan
        self._ffx_password = ffx_password

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, applied from left to right; empty for the identity."""
        return self._steps

    @property
    def block_size(self) -> int:
        """Side of a block in pixels; 1 for the identity."""
        return self._plan.block_size

    @property
    def max_value(self) -> int:
        """What encrypted values are divided by: 255, or the FFX table's maximum (paper, 2.4)."""
        return self._plan.max_value

    @property
    def dtype_name(self) -> DTypeName:
        """Type of encrypted images: ``uint8``, or ``int16`` where a step is FFX."""
        return self._plan.dtype_name

    @property
    def key_space_bits(self) -> float:
        """log2 of the number of distinct plans, 256 at most; see `key_space`."""
        return key_space_bits(self._steps, self._ffx_password)

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
        check_images_kind(images)
        check_images(images, "uint8", self.block_size, encrypted=False)
        encrypted: Images = self._apply(images, "encrypt")
        return encrypted

    def decrypt(self, encrypted: Images) -> Images:
        """The exact inverse of `encrypt`: uint8 ``(B, 3, H, W)`` in 0..255.

        Raises:
            TransformError: as `encrypt`; also where values occur that this plan gives for no
                pixel, with their count. SHF and NP give every value: there a wrong key goes
                unnoticed.
        """
        check_images_kind(encrypted)
        check_images(encrypted, self.dtype_name, self.block_size, encrypted=True)
        plain: Images
        plain, impossible = self._invert(encrypted)
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
        """What the network sees: encrypted, divided by `max_value`, normalised by channel.

        Args:
            images: as for `encrypt`.
            dtype: float32 (default), float64, float16 or bfloat16, each rounded once.
            memory_format: contiguous or channels_last; default: as ``images``.

        Returns:
            A tensor ``(B, 3, H, W)``, about -2.2..2.7, on the device of ``images``: values from a
            table, moved and never calculated, so every device gives the same bits.
        """
        check_images_kind(images)
        check_images(images, "uint8", self.block_size, encrypted=False)
        return self._floats(images, "to_input", dtype, memory_format)

    def encrypted_to_input(
        self,
        encrypted: torch.Tensor | NDArray[Any],
        *,
        dtype: torch.dtype | None = None,
        memory_format: torch.memory_format | None = None,
    ) -> torch.Tensor:
        """The same from encrypted images: bit for bit ``to_input`` of the plain ones."""
        check_images_kind(encrypted)
        check_images(encrypted, self.dtype_name, self.block_size, encrypted=True)
        outside = 0 if self.dtype_name == "uint8" else int(_outside(encrypted))
        if outside:
            raise TransformError(
                f"encrypted values must lie in 0..{FFX_RANGE - 1}",
                got=f"{outside} values outside",
                fix="give what encrypt returned",
            )
        return self._floats(encrypted, "encrypted_to_input", dtype, memory_format)

    def same_plan(self, other: Transform) -> bool:
        """Whether both turn every image into the same one, also where their keys differ."""
        return self._plan.equals(other._plan)

    def __repr__(self) -> str:
        return f"Transform([{', '.join(map(str, self._steps))}])"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        refuse_to_write("Transform")

    def __getstate__(self) -> NoReturn:
        refuse_to_write("Transform")

    def _apply(self, images: Any, work: Work) -> Any:
        if _on_accelerator(images):
            from seglock.transforms import apply_torch

            rows, shape = _tensor_rows(images, None)
            recipe = apply_torch.prepare_on(images.device, self._plan, work, shape)
            return _tensor_images(apply_torch.apply(recipe, rows), shape)
        array_rows, shape = _array_rows(images, None)
        made = apply_numpy.apply(prepare(self._plan, work, shape), array_rows)
        return _like(images, _array_images(made, shape))

    def _invert(self, encrypted: Any) -> tuple[Any, int]:
        if _on_accelerator(encrypted):
            from seglock.transforms import apply_torch

            rows, shape = _tensor_rows(encrypted, None)
            recipe = apply_torch.prepare_on(encrypted.device, self._plan, "decrypt", shape)
            plain, bad = apply_torch.apply_inverse(recipe, rows, LEVELS)
            return _tensor_images(plain, shape), bad
        array_rows, shape = _array_rows(encrypted, None)
        inverse = prepare(self._plan, "decrypt", shape)
        made, bad = apply_numpy.apply_inverse(inverse, array_rows, LEVELS)
        return _like(encrypted, _array_images(made, shape)), bad

    def _floats(
        self,
        images: Any,
        work: Literal["to_input", "encrypted_to_input"],
        dtype: torch.dtype | None,
        memory_format: torch.memory_format | None,
    ) -> torch.Tensor:
        import torch

        dtype = dtype or torch.float32
        name = _float_name(dtype)
        write = _write_layout(memory_format)
        if _on_accelerator(images):
            from seglock.transforms import apply_torch

            rows, shape = _tensor_rows(images, write)
            recipe = apply_torch.prepare_on(images.device, self._plan, work, shape, name)
            return _tensor_images(apply_torch.apply(recipe, rows).view(dtype), shape)
        array_rows, shape = _array_rows(images, write)
        words = apply_numpy.apply(prepare(self._plan, work, shape, name), array_rows)
        return _tensor_images(torch.from_numpy(words).view(dtype), shape)


def check_images_kind(images: object) -> None:
    """Refuse anything but a NumPy array or a tensor."""
    if not isinstance(images, np.ndarray) and not _is_tensor(images):
        raise TransformError(
            "images must be a torch tensor or a NumPy array",
            got=type(images).__name__,
            fix="stack them into one (B, 3, H, W) uint8 array",
        )


def _is_tensor(images: object) -> bool:
    torch = sys.modules.get("torch")  # whoever holds a tensor has imported it
    return torch is not None and isinstance(images, torch.Tensor)


def _on_accelerator(images: Any) -> bool:
    return not isinstance(images, np.ndarray) and images.device.type != "cpu"


def _outside(encrypted: Any) -> int:
    if _on_accelerator(encrypted):
        from seglock.transforms import apply_torch

        return apply_torch.count_outside(encrypted, FFX_RANGE)
    values = np.asarray(encrypted).view(np.uint16)
    return int((values >= FFX_RANGE).sum()) if values.max(initial=0) >= FFX_RANGE else 0


def _float_name(dtype: torch.dtype) -> FloatName:
    for name in FLOATS:
        if str(dtype) == f"torch.{name}":
            return name
    raise TransformError(
        f"a network's input must be one of {', '.join(FLOATS)}",
        got=str(dtype),
        fix="leave dtype out for float32",
    )


def _write_layout(memory_format: torch.memory_format | None) -> Layout | None:
    known: dict[str, Layout | None] = {
        "None": None,
        "torch.preserve_format": None,
        "torch.contiguous_format": "nchw",
        "torch.channels_last": "nhwc",
    }
    if str(memory_format) not in known:
        raise TransformError(
            "memory_format must be contiguous_format or channels_last", got=memory_format
        )
    return known[str(memory_format)]


def _array_rows(images: Any, write: Layout | None) -> tuple[NDArray[Any], Shape]:
    """Images as contiguous rows ``(B, N)``, without a copy where they lie in one of our ways."""
    array = np.asarray(images)
    batch, _, height, width = array.shape
    layout = layout_of(array)
    ordered = array.transpose(_NHWC) if layout == "nhwc" else np.ascontiguousarray(array)
    read = layout or "nchw"
    return ordered.reshape(batch, 3 * height * width), Shape(height, width, read, write or read)


def _array_images(rows: NDArray[Any], shape: Shape) -> NDArray[Any]:
    batch, height, width = len(rows), shape.height, shape.width
    if shape.write == "nchw":
        return rows.reshape(batch, 3, height, width)
    return rows.reshape(batch, height, width, 3).transpose(_NCHW)


def _tensor_rows(images: torch.Tensor, write: Layout | None) -> tuple[torch.Tensor, Shape]:
    import torch

    batch, _, height, width = images.shape
    read: Layout = "nchw"
    if not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last):
        images, read = images.permute(_NHWC), "nhwc"
    rows = images.contiguous().view(batch, 3 * height * width)
    return rows, Shape(height, width, read, write or read)


def _tensor_images(rows: torch.Tensor, shape: Shape) -> torch.Tensor:
    batch, height, width = len(rows), shape.height, shape.width
    if shape.write == "nchw":
        return rows.view(batch, 3, height, width)
    return rows.view(batch, height, width, 3).permute(_NCHW)


def _like(images: Any, made: NDArray[Any]) -> Any:
    if isinstance(images, np.ndarray):
        return made
    import torch

    return torch.from_numpy(made)
