"""Random masks and permutations from logits, with a gradient: hard ones forwards, soft backwards.

After "The Concrete Distribution" (Maddison et al., 2017) and "Learning Latent Permutations with
Gumbel-Sinkhorn Networks" (Mena et al., 2018), straight through: the network only ever sees values
that a plan can give, since it tells little about the grey in between.
"""

from __future__ import annotations

import torch
from torch import Tensor

SINKHORN = 10
_ENTRIES = 1 << 18
"""Entries of all permutations drawn at once, at most: more would cost the attack steps."""
_EDGE = 1e-6


def sinkhorn(logits: Tensor, rounds: int = SINKHORN) -> Tensor:
    """Nearly doubly stochastic matrices (..., n, n): rows and columns normalised in turns.

    >>> torch.round(sinkhorn(torch.eye(2) * 9), decimals=2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    for _ in range(rounds):
        logits = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
        logits = logits - torch.logsumexp(logits, dim=-2, keepdim=True)
    return logits.exp()


def assigned(logits: Tensor) -> Tensor:
    """The likeliest source of each position (n,), every source once, from logits (n, n)."""
    from scipy.optimize import linear_sum_assignment

    found = linear_sum_assignment(-logits.detach().double().cpu().numpy())[1]
    return torch.from_numpy(found).to(logits.device)


def draw_masks(logits: Tensor, count: int, temperature: float) -> Tensor:
    """Masks (count, 1, 1, n) of 0 and 1."""
    soft = torch.sigmoid(
        (logits + torch.logit(_uniform((count, 1, 1, len(logits)), logits))) / temperature
    )
    return _straight_through((soft > 0.5).to(soft.dtype), soft)


def draw_orders(logits: Tensor, count: int, temperature: float) -> Tensor:
    """Permutation matrices (K, n, n), K at most ``count``."""
    count = max(1, min(count, _ENTRIES // logits.numel()))
    noisy = logits - torch.log(-torch.log(_uniform((count, *logits.shape), logits)))
    hard = torch.zeros_like(noisy)
    for one, order in zip(hard, noisy, strict=True):
        one[torch.arange(len(logits), device=logits.device), assigned(order)] = 1
    return _straight_through(hard, sinkhorn(noisy / temperature))


def _uniform(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.rand(shape, device=like.device).clamp(_EDGE, 1 - _EDGE)


def _straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    return hard + soft - soft.detach()
