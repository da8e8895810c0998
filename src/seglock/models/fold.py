"""A key in the first convolution: a network that reads encrypted images as it read plain ones.

Where that convolution, the stem, steps by whole blocks, what SHF and NP do to a block can be done
to its kernel instead: the kernel is padded to whole blocks, its columns are permuted, and those of
negated positions change their sign. What leaves the stem is the same, at the borders too: images
are whole blocks, so that a block lies within one or without, where zeros are read.

May touch: torch and plain arrays. Which plan they are of, and under which key, nobody here knows.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.errors import ModelError, nearest_name
from seglock.steps import CHANNELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INSTEAD = "train a lock from these weights instead: steps and initial_weights in params.yaml"


@dataclass(frozen=True)
class Window:
    """What a convolution that steps by whole blocks reads, in pixels, alike in both directions.

    kernel: the side of its kernel, padded to whole blocks of ``side``. first: where in it the
    convolution's own begins. before, after: the zeros around the image.
    """

    side: int
    kernel: int
    first: int
    before: int
    after: int

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Window:
        """Of a stem, folded or not; a ModelError says why it is none that can be folded."""
        if isinstance(conv, FoldedConv2d):
            return conv.window
        side, reach = conv.stride[0], conv.dilation[0] * (conv.kernel_size[0] - 1) + 1
        uneven = any(len(set(pair)) > 1 for pair in (conv.stride, conv.kernel_size, conv.dilation))
        zeros = _zeros(conv, reach)
        if uneven or zeros is None or conv.in_channels != CHANNELS or conv.groups != 1:
            raise ModelError(
                "a stem that is folded must be a convolution of 3 channels and one group, the same "
                "in both directions, padded with zeros",
                got=str(conv),
                fix=_INSTEAD,
            )
        if side < 2:
            raise ModelError(
                "a stem that is folded must step by whole blocks",
                got=f"a stride of {side}, which fits no block",
                fix="train a lock from these weights instead, or use a network whose first "
                "convolution has a stride",
            )
        before, after = zeros
        padded = side * math.ceil(before / side)
        kernel = padded + side * math.ceil((reach - before) / side)
        return cls(side, kernel, padded - before, padded, after + before - reach + kernel - padded)


def _zeros(conv: nn.Conv2d, reach: int) -> tuple[int, int] | None:
    """The zeros before and behind an image of whole blocks; None where they are none, or differ."""
    if _is_same(conv):
        total = max(reach - conv.stride[0], 0)
        return total // 2, total - total // 2
    padding = (0, 0) if conv.padding == "valid" else conv.padding
    if isinstance(padding, str) or len(set(padding)) > 1 or conv.padding_mode != "zeros":
        return None
    return padding[0], padding[0]


def _is_same(conv: nn.Conv2d) -> bool:
    """Whether a convolution is timm's that pads as TensorFlow does."""
    kind = type(conv)
    return kind.__name__ == "Conv2dSame" and kind.__module__.startswith("timm.")


class FoldedConv2d(nn.Conv2d):
    """A stem over whole blocks. A fourth channel, where it has one, is 1 within the image: what it
    adds makes up for a mean other than 1/2, which negated and moved values do not keep.

    Shape: (B, 3, H, W) -> (B, C, h, w), as of the convolution in whose place it stands, for H and
    W that are multiples of the stride.
    """

    def __init__(self, conv: nn.Conv2d, channels: int = CHANNELS) -> None:
        window = Window.of(conv)
        super().__init__(
            channels,
            conv.out_channels,
            window.kernel,
            stride=window.side,
            bias=conv.bias is not None,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        self.window = replace(window, first=0)

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels > CHANNELS:
            x = F.pad(x, (0, 0, 0, 0, 0, 1), value=1.0)
        around = (self.window.before, self.window.after)
        return super().forward(F.pad(x, around * 2))


def find_stem(network: nn.Module, name: str | None = None) -> tuple[str, nn.Conv2d]:
    """The first convolution of a network that may read images, or the one called ``name``.

    Raises ModelError where there is none, naming those that there are.
    """
    known = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    found = name or next(iter([*_readers(network), *known]), "")
    if found not in known:
        raise ModelError(
            "a stem must be a 2d convolution of the network",
            got=repr(found),
            fix=nearest_name(found, known) if known else "use a network that has one",
        )
    return found, known[found]


def _readers(network: nn.Module) -> list[str]:
    """The convolutions that may read images: of three channels, or folded."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, FoldedConv2d)
        or (isinstance(module, nn.Conv2d) and module.in_channels == CHANNELS)
    ]


def columns(conv: nn.Conv2d) -> Tensor:
    """A stem's kernel by positions of a block: float64 (C, b, b, n) for b x b blocks, n = 3 * M * M
    in the order row, then column, then channel fastest.

    Raises ModelError for a convolution that does not step by whole blocks.
    """
    window, weight = Window.of(conv), conv.weight.detach().cpu().double()
    reach = conv.dilation[0] * (conv.kernel_size[0] - 1) + 1
    inside = slice(window.first, window.first + reach, conv.dilation[0])
    padded = weight.new_zeros(len(weight), CHANNELS, window.kernel, window.kernel)
    padded[:, :, inside, inside] = weight[:, :CHANNELS]
    count, side = window.kernel // window.side, window.side
    split = padded.view(-1, CHANNELS, count, side, count, side)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(-1, count, count, CHANNELS * side**2)


def fold_stem(
    network: nn.Module,
    plan: Callable[[], tuple[NDArray[Any], NDArray[Any]]],
    block_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    stem: str | None = None,
) -> None:
    """Fold what is done to blocks into the one convolution that reads images, called ``stem``
    where others have three channels, too.

    Afterwards the network gives for encrypted images what it gave for plain ones, to rounding.

    plan: asked when all else is right, since a traceback may be shown with its locals; gives
    permutation and signs, (n,): value i of an encrypted block is ``x[permutation[i]]``, or 255
    minus that where ``signs[i]`` is -1. block_size: in pixels. mean, std: of the inputs by
    channel, for values scaled to 0..1.

    Raises ModelError, with nothing changed, where it steps by other blocks, cannot be folded or is
    folded already, and where others may read images.
    """
    conv, window = _foldable(network, block_size, stem)
    scale = torch.tensor(std, dtype=torch.float64).repeat(window.side**2)
    shift = 0.5 - torch.tensor(mean, dtype=torch.float64).repeat(window.side**2)
    own = columns(conv) / scale
    permutation, signs = plan()
    order, sign = torch.from_numpy(permutation.astype("int64")), torch.from_numpy(signs).double()
    moved = own[..., order] * sign
    missing = own @ shift - moved @ shift
    folded = FoldedConv2d(conv, CHANNELS + bool(missing.any()))
    weight = torch.zeros_like(folded.weight, dtype=torch.float64, device="cpu")
    count, side = missing.shape[-1], window.side
    blocks = (moved * scale).view(-1, count, count, side, side, CHANNELS)
    kernel = blocks.permute(0, 5, 1, 3, 2, 4).reshape(-1, CHANNELS, *folded.kernel_size)
    weight[:, :CHANNELS] = kernel
    if folded.in_channels > CHANNELS:
        weight[:, CHANNELS, ::side, ::side] = missing
    with torch.no_grad():
        folded.weight.copy_(weight)
        if conv.bias is not None and folded.bias is not None:
            folded.bias.copy_(conv.bias)
    _replace(network, conv, folded)


def redraw_stem(network: nn.Module, block_size: int) -> None:
    """Give a network a fresh stem over whole blocks of this side: one that tells nothing of the
    plain one, under any plan.

    Raises ModelError, with nothing changed, as `fold_stem` does.
    """
    conv, _ = _foldable(network, block_size)
    _replace(network, conv, FoldedConv2d(conv))


def _foldable(
    network: nn.Module, block_size: int, stem: str | None = None
) -> tuple[nn.Conv2d, Window]:
    """The stem in whose place another can be put, over blocks of this side, and its window."""
    name, conv = find_stem(network, stem)
    readers = _readers(network)
    if not name:
        raise ModelError(
            "a stem that is folded must be a part of a network",
            got="the convolution alone",
            fix="put it into a torch.nn.Sequential",
        )
    if stem is None and len(readers) > 1:
        raise ModelError(
            "a stem that is folded must be the only convolution of 3 channels",
            got=", ".join(readers),
            fix=f"{_INSTEAD}; or, where only one of them reads the image, seglock.fold with its "
            "name as stem",
        )
    if isinstance(conv, FoldedConv2d):
        raise ModelError(
            "a network can be folded once",
            got=f"{name}, which has been",
            fix="fold the plain network's weights again, under the new key",
        )
    if type(conv) is not nn.Conv2d and not _is_same(conv):
        raise ModelError(
            "a stem that is folded must be a plain convolution, which uses its weights as they are",
            got=f"{name}, a {type(conv).__name__}",
            fix=_INSTEAD,
        )
    window = Window.of(conv)
    if window.side != block_size:
        raise ModelError(
            f"{name} steps by blocks of M = {window.side}, and only such can be folded into it",
            got=f"M = {block_size}",
            fix=f"use steps such as shf-{window.side}",
        )
    return conv, window


def fit_stem(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network a folded stem, of fresh values, where ``tensors`` have one for it."""
    with contextlib.suppress(ModelError):
        name, conv = find_stem(network)
        held = tensors.get(f"{name}.weight", conv.weight)
        if held.shape == conv.weight.shape or held.dim() != conv.weight.dim():
            return
        folded = FoldedConv2d(conv, held.shape[1])
        if folded.weight.shape == held.shape:
            _replace(network, conv, folded)


def _replace(network: nn.Module, conv: nn.Conv2d, folded: FoldedConv2d) -> None:
    """Put a folded stem in a plain one's place, under each of its names, as trainable as that."""
    folded.train(conv.training)
    for new, old in zip(folded.parameters(), conv.parameters(), strict=True):
        new.requires_grad_(old.requires_grad)
    for name in [n for n, m in network.named_modules(remove_duplicate=False) if m is conv]:
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, folded)
