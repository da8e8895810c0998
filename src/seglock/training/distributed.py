"""One training over several processes, as ``torchrun`` starts them; alone, nothing of it."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seglock.errors import TrainingError
from seglock.models.norm import synchronised

if TYPE_CHECKING:
    from seglock.config import TrainParams


def rank_of(environment: Mapping[str, str] = os.environ) -> int:
    """This process's number under ``torchrun``, else 0. Only rank 0 writes and tracks."""
    return int(environment.get("RANK", "0"))


@dataclass(frozen=True)
class World:
    """All processes of one training. With ``size`` 1 nothing is communicated."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and tracks."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace ``tensor`` by its sum over all processes."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def share_bytes(self, content: bytes | None, device: torch.device) -> bytes | None:
        """Give every process the bytes that the first one has."""
        if self.size == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)], device=device)
        torch.distributed.broadcast(length, 0)
        if length.item() < 0:
            return None
        buffer = torch.empty(int(length), dtype=torch.uint8, device=device)
        if content is not None:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        torch.distributed.broadcast(buffer, 0)
        return buffer.cpu().numpy().tobytes()

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network whose gradients are averaged over all processes.

        Raises TrainingError for batch statistics over several CPU processes, which torch cannot
        synchronise: each would normalise by its own share of the batch.
        """
        if self.size == 1:
            return network
        if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()):
            if device.type != "cuda":
                raise TrainingError(
                    "batch normalisation over several processes needs CUDA",
                    got=f"norm=batch on {self.size} CPU processes",
                    fix="set model.norm to frozen or group, or train in one process",
                )
            network = synchronised(network)
        ids = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=ids)


def join(device: torch.device, recipe: TrainParams) -> World:
    """Join the processes that ``torchrun`` started, until this one ends.

    Raises TrainingError if a batch has fewer images than there are processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if recipe.batch_size < size * recipe.accumulate:
        raise TrainingError(
            "train.batch_size must hold an image for each part of each process",
            got=f"batch_size={recipe.batch_size}, accumulate={recipe.accumulate}, {size} processes",
            fix="raise train.batch_size, or start fewer processes",
        )
    if not torch.distributed.is_initialized():
        # Left only at exit: the second meeting of the same processes would wait for ever.
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
    return World(torch.distributed.get_rank(), size)
