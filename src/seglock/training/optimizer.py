"""SGD and AdamW over named parameters, with PyTorch's own arithmetic.

The first ``torch.optim.Optimizer`` of a process imports torch's compiler, 4 to 5 s on a small
machine and for every lock anew. Its functional form does the same sums without that, and a state
that is a flat dict of named tensors goes into a checkpoint as it is. Updates are fused: one pass
over memory instead of one an operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from seglock.errors import TrainingError

if TYPE_CHECKING:
    from seglock.config import TrainParams

_ADAM_BETAS = (0.9, 0.999)
_ADAM_EPS = 1e-8


class Optimizer:
    """Updates the trainable parameters of a network; its state starts at zero.

    For SGD a zero momentum buffer gives the same first step as PyTorch's missing one, since
    dampening is 0.
    """

    def __init__(self, network: nn.Module, recipe: TrainParams) -> None:
        self._recipe = recipe
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.parameters: list[nn.Parameter] = [p for _, p in named]
        self._state: dict[str, list[Tensor]] = {}
        self._names = [name for name, _ in named]
        if recipe.optimizer == "adamw":
            self._state["exp_avg"] = [torch.zeros_like(p) for p in self.parameters]
            self._state["exp_avg_sq"] = [torch.zeros_like(p) for p in self.parameters]
            self._state["step"] = [p.new_zeros(()) for p in self.parameters]
        elif recipe.momentum:
            self._state["momentum"] = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update every parameter from its gradient, then forget the gradients."""
        recipe = self._recipe
        if recipe.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, recipe.clip_grad_norm)
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        params: list[Tensor] = list(self.parameters)
        if recipe.optimizer == "adamw":
            adam(
                params, grads, self._state["exp_avg"], self._state["exp_avg_sq"], [],
                self._state["step"], amsgrad=False, beta1=_ADAM_BETAS[0], beta2=_ADAM_BETAS[1],
                lr=lr, weight_decay=recipe.weight_decay, eps=_ADAM_EPS, maximize=False,
                decoupled_weight_decay=True, fused=True,
            )  # fmt: skip
        else:
            buffers: list[Tensor | None] = list(self._state.get("momentum", [None] * len(params)))
            sgd(
                params, grads, buffers, weight_decay=recipe.weight_decay,
                momentum=recipe.momentum, lr=lr, dampening=0.0, nesterov=recipe.nesterov,
                maximize=False, fused=True,
            )  # fmt: skip
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """The state as ``{"momentum/backbone.0.weight": tensor, ...}``; the tensors are live."""
        return {
            f"{kind}/{name}": tensor
            for kind, tensors in self._state.items()
            for name, tensor in zip(self._names, tensors, strict=True)
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned; raises TrainingError if it is another optimizer's."""
        own = self.state()
        if own.keys() != state.keys():
            raise TrainingError(
                "a checkpoint must hold the state of the optimizer that params.yaml names",
                got=f"{len(state)} tensors instead of {len(own)}",
                fix="remove the checkpoint folder to start from scratch",
            )
        for name, tensor in own.items():
            tensor.copy_(state[name])
