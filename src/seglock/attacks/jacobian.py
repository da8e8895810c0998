"""T0, `jacobian`: the plan from which positions of a block the network takes together.

E[J^T J] of the outputs, and of what comes out of each of the first layers with a norm, with respect
to the positions of a block stands in the place of ciphertexts' covariance. Rows of J are asked for
by random directions of what is derived, so that one backward pass gives one image of them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from seglock.attacks.blocks import block_grid
from seglock.attacks.climb import Found
from seglock.attacks.faint import climbed, correlations, natural, read_faint, settle, why_not
from seglock.attacks.guesses import guess, inputs_of
from seglock.attacks.protocol import Attack, Finding, Material
from seglock.attacks.shf_matching import statistics
from seglock.attacks.unlabelled import USUAL, Signals
from seglock.evaluation.tally import spread
from seglock.models.norm import norm_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.budget import Meter

_LAYERS = 3
_IMAGES = 16
_DERIVED_SHARE = 0.5
_RIDGE = 0.003
"""Of variances of 1: what keeps the inverse of photos' correlations from being noise."""


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """Half of the steps for gradients, the same number for each layer; then exchanges."""
    facts, network = material.facts, material.network.requires_grad_(False)
    judged = Signals(material, [guess(facts, seed, number) for number in range(USUAL)])
    layers = [None, *islice(norm_layers(network), _LAYERS)]
    passes = max(1, int(meter.budget.queries * _DERIVED_SHARE) // len(layers))
    public = natural(material)
    rng, found = torch.Generator().manual_seed(seed), None
    for number, layer in enumerate(layers):
        if found is not None and meter.left <= 1:
            break
        grids: list[NDArray[np.float32]] = []
        while len(grids) < passes and (not grids or meter.left > 1):
            inputs = _photos(material, seed, number * passes + len(grids))
            gradients = _gradients(network, inputs, layer, rng)
            grids.append(block_grid(gradients, facts.block_size))
            meter.spend()
        read = statistics(np.concatenate(grids))
        for expected in (public, partial(public)):
            if found is None or meter.left:
                plans = read_faint(facts, read, expected, meter, seed)
                found = settle(plans, judged, meter, found)
    assert isinstance(found, Found)
    return climbed(found, facts, judged, meter, seed)


def partial(public: NDArray[np.float64]) -> NDArray[np.float64]:
    """Partial covariances (3, n, n) within a block, from statistics of the same shape.

    A filter that is fitted to blocks looks for what one position has beyond all others, and tells
    of these rather than of covariances. Between blocks there are none here.

    >>> partial(np.stack([np.array([[1.0, 0.5], [0.5, 1.0]])] * 3))[0].round(2).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    inverse = np.linalg.inv(correlations(public)[0] + _RIDGE * np.eye(public.shape[1]))
    own = np.diag(inverse.diagonal())
    found = np.zeros_like(public)
    found[0] = (2 * own - inverse) / inverse.diagonal().mean()
    return found


def _photos(material: Material, seed: int, number: int) -> Tensor:
    """Some of the photos under a key of the thief's own: the network never saw plain ones."""
    chosen = list(spread(len(material.photos), _IMAGES, middle=False))
    photos = torch.from_numpy(material.photos[chosen]).to(material.device)
    guesses = [guess(material.facts, seed, USUAL + number)]
    return inputs_of(guesses, photos, material.facts)


def _gradients(
    network: nn.Module, inputs: Tensor, layer: nn.Module | None, rng: torch.Generator
) -> NDArray[np.float32]:
    """One random row of J for each image (N, 3, S, S): of a layer's output, or of the network's."""
    inputs = inputs.clone().requires_grad_()
    heard: list[Tensor] = []
    handle = layer and layer.register_forward_hook(lambda _m, _i, output: heard.append(output))
    logits = network(inputs)["out"]
    if handle:
        handle.remove()
    of = (heard or [logits])[0].float()
    direction = torch.randn(of.shape, generator=rng).to(of.device)
    (slope,) = torch.autograd.grad((of * direction).sum(), inputs)
    values: NDArray[np.float32] = slope.float().cpu().numpy()
    return values


ATTACK = Attack("jacobian", "T0", "steps", run, why_not)
