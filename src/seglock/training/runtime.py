"""Where and how precisely a network computes: device, precision, memory format, compilation."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seglock.models import pick_device

if TYPE_CHECKING:
    from seglock.config import TrainParams
    from seglock.transforms import Transform


@dataclass(frozen=True)
class Runtime:
    """The recipe's ``auto`` settled for this machine: bf16 and compile on CUDA.

    Channels lie last everywhere: convolutions are faster so, on the CPU too.
    """

    device: torch.device
    bf16: bool
    channels_last: bool
    compile: bool

    @classmethod
    def of(cls, recipe: TrainParams) -> Runtime:
        """Settle a recipe; under ``torchrun`` each process takes the card of its local rank.

        Raises ModelError for a device that this machine does not have.
        """
        name = recipe.device
        if name in ("auto", "cuda") and torch.cuda.is_available():
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        device = pick_device(name)
        cuda = device.type == "cuda"
        return cls(
            device=device,
            bf16=cuda if recipe.bf16 is None else recipe.bf16,
            channels_last=recipe.channels_last is not False,
            compile=cuda if recipe.compile == "auto" else recipe.compile,
        )

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of weights and inputs."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, in the memory format."""
        return network.to(device=self.device, memory_format=self.memory_format)  # type: ignore[call-overload,no-any-return]

    def compiled(self, network: nn.Module) -> nn.Module:
        """The network, compiled where that is wanted, for each size on its own.

        The lock's plan is applied before the network and is no part of what is compiled, so one
        compilation serves all locks that a process trains.
        """
        if not self.compile:
            return network
        return torch.compile(network, dynamic=False)  # type: ignore[return-value]

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """bf16 arithmetic where it is wanted; weights and optimizer stay float32."""
        if self.bf16:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def fastest_convolutions(self) -> Iterator[None]:
        """Within it, cuDNN measures its algorithms at the first batch of each size."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = self.device.type == "cuda"
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before

    def to_input(self, transform: Transform, images: Tensor) -> Tensor:
        """(B, 3, S, S) uint8 -> the encrypted, normalised input, on the device in its format."""
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        return transform.to_input(images, dtype=dtype, memory_format=self.memory_format)
