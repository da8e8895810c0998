"""A network at work: upload, arrange, predict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from seglock.models import ChannelOrder, permuted


class ToInput(Protocol):
    """``Transform.to_input`` or ``Transform.encrypted_to_input``."""

    def __call__(
        self, images: Tensor, /, *, dtype: torch.dtype, memory_format: torch.memory_format
    ) -> Tensor: ...


PIECE = 1 << 16
"""Pixels that the CPU passes through a network at once, at least: larger tensors go back to the
operating system after every layer, and their pages must be cleared anew."""


def classes_of(logits: Tensor) -> Tensor:
    """(B, C, H, W) logits -> (B, H, W) uint8, the class with the largest; the first of equals.

    >>> classes_of(torch.tensor([0.1, 0.7, 0.7]).view(1, 3, 1, 1)).item()
    1
    """
    # Not argmax, which takes 15 times as long over a dimension that is not the last on the CPU.
    return logits.max(dim=1).indices.to(torch.uint8)


def refused(prediction: Tensor, answer: int) -> Tensor:
    """Which images are answered with one class at every pixel: (B, H, W) -> (B,) bool.

    >>> refused(torch.tensor([[[2, 2]], [[2, 1]], [[1, 1]]]), 2).tolist()
    [True, False, False]
    """
    return (prediction == answer).flatten(1).all(dim=1)


class Predictor:
    """Class indices from network inputs, in inference mode; bfloat16 and channels_last on CUDA.

    >>> class Zeros(nn.Module):
    ...     def forward(self, x):
    ...         return {"out": torch.zeros(len(x), 2, *x.shape[2:])}
    >>> Predictor(Zeros(), "cpu")(torch.zeros(1, 3, 2, 2)).tolist()
    [[[0, 0], [0, 0]]]
    """

    def __init__(
        self, model: nn.Module, device: torch.device | str, bf16: bool | None = None
    ) -> None:
        self.device = torch.device(device)
        cuda = self.device.type == "cuda"
        self.bf16 = cuda if bf16 is None else bf16
        self.memory_format = torch.channels_last if cuda else torch.contiguous_format
        model.to(self.device).eval()
        self.model: nn.Module = model.to(memory_format=self.memory_format) if cuda else model

    def upload(self, array: np.ndarray) -> Tensor:
        """A piece of a memory map as a tensor on the device, which need not be waited for."""
        piece = torch.from_numpy(np.array(array))
        if self.device.type != "cuda":
            return piece.to(self.device)
        return piece.pin_memory().to(self.device, non_blocking=True)

    def inputs(self, to_input: ToInput, images: Tensor) -> Tensor:
        """What ``to_input`` makes of images, in the type and layout the network runs fastest in."""
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        return to_input(images, dtype=dtype, memory_format=self.memory_format)

    def autocast(self) -> AbstractContextManager[object]:
        """The precision the network runs in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def __call__(self, inputs: Tensor, features: Sequence[ChannelOrder] = ()) -> Tensor:
        """(B, 3, H, W) float -> (B, H, W) uint8, the class with the largest logit.

        features: what a key does to the feature maps.
        """
        with torch.inference_mode(), self.autocast(), permuted(self.model, features):
            pieces = [classes_of(self.model(piece)["out"]) for piece in self._pieces(inputs)]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _pieces(self, inputs: Tensor) -> Sequence[Tensor]:
        """On the CPU cut evenly, never to a single image, which other kernels would take."""
        if self.device.type != "cpu":
            return (inputs,)
        images, _, height, width = inputs.shape
        least = max(2, PIECE // (height * width))
        return inputs.tensor_split(max(1, images // least))
