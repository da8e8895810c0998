"""T0 and T2, `disguise` and `disguise-seen`: a small U-Net before the frozen network that makes
plain images look like ciphertexts to it.

At T0 it goes by what the network itself remembers of ciphertexts: its batch-norm statistics, and
that it is sure of them. At T2 by the ciphertexts that are seen: the moments of what enters each
norm layer, and of blocks, and what the network answers where. What the U-Net holds may come to be
the plan (for NP its gains do): it is as secret, and never printed or written.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.block_adapter import Adapted
from seglock.attacks.blocks import block_grid
from seglock.attacks.budget import Meter
from seglock.attacks.descent import batch_of, descend, seen_inputs
from seglock.attacks.look import Look
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, Material, needs_lock
from seglock.attacks.unlabelled import divergence
from seglock.models.norm import norm_layers
from seglock.transforms import identity

_LR = 0.02
_GREY = 0.1
_SLOWER = 0.1
_TRIES, _FITTED = 8, 200
_TILES = 4
_WIDTH = 16
_HELD_OUT = 5
_JUDGED, _ASKED = 32, 64
COVARIED = 768
"""Positions of a block whose covariances are matched, at most."""
_PLACES = 8
_WEIGHTS = {"moments": 1.0, "blocks": 1.0, "sure": 0.1, "diverse": 0.1, "flips": 0.1, "places": 0.3}


@dataclass(frozen=True)
class _Aim:
    """What ciphertexts look like to the network: moments, a (mean, variance) pair a norm layer;
    and where they were seen blocks, the mean (n,) and covariance (n, n) of them, and places, the
    mean answer (C, 8, 8)."""

    moments: Sequence[tuple[Tensor, Tensor]]
    blocks: tuple[Tensor, Tensor | None] | None = None
    places: Tensor | None = None


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """T0: from the network's own statistics."""
    layers = list(norm_layers(material.network))
    known = [layer for layer in layers if getattr(layer, "running_mean", None) is not None]
    pairs = [(layer.get_buffer("running_mean"), layer.get_buffer("running_var")) for layer in known]
    network, told = _disguised(material, meter, seed, _Aim(pairs))
    return Finding((Candidate(network=network, about=told),))


def run_seen(material: Material, meter: Meter, seed: int) -> Finding:
    """T2: from the ciphertexts that are seen."""
    assert material.ciphertexts is not None
    facts = material.facts
    inputs = seen_inputs(material.ciphertexts, facts, material.device)
    network, told = _disguised(material, meter, seed, _aim_of(material.network, inputs, facts))
    return Finding((Candidate(network=network, exact=told),))


def _disguised(
    material: Material, meter: Meter, seed: int, aim: _Aim
) -> tuple[nn.Module, dict[str, float | str]]:
    """The best by photos held out, and what to tell of it: from two starts, images as they are and
    hardly any image, or what `worn` makes of them; as they start, or trained."""
    facts, positions = material.facts, material.facts.positions
    photos = torch.from_numpy(np.array(material.photos)).to(material.device)
    inputs = identity(facts.normalisation).to_input(photos)
    held = inputs[::_HELD_OUT]
    own = inputs if len(inputs) == 1 else inputs[torch.arange(len(inputs)) % _HELD_OUT > 0]
    torch.manual_seed(seed)
    starts = {"as-they-are": torch.ones(positions)}
    if aim.blocks is None:
        starts["grey"] = _GREY * torch.randn(positions)
    else:
        starts["worn"] = worn(block_moments(own, facts), aim.blocks, facts, meter)
    best, told = material.network, dict[str, float | str](unlike=np.inf)
    for number, (start, gain) in enumerate(starts.items()):
        torch.manual_seed(seed)  # whatever was drawn before
        disguise = Disguise(facts, gain).to(material.device)
        rng, part = np.random.default_rng([seed, 5]), meter.part(len(starts) - number)

        def loss(step: int, worn: nn.Module = disguise, rng: np.random.Generator = rng) -> Tensor:
            del step
            return _unlike(worn, material.network, batch_of(rng, own), aim, facts)

        for state in ("start", "trained"):
            if state == "trained":
                descend(disguise, disguise.parameters(), loss, part, lr=_LR)
            with torch.no_grad():
                unlike = float(_unlike(disguise, material.network, held[:_JUDGED], aim, facts))
            if unlike < float(told["unlike"]):
                best = Adapted(copy.deepcopy(disguise), material.network)
                told = {"start": start, "state": state, "unlike": unlike}
    return best, {**told, **Look.of(best, inputs).to_dict()}


def worn(
    own: tuple[Tensor, Tensor | None],
    wanted: tuple[Tensor, Tensor | None],
    facts: Facts,
    meter: Meter,
) -> Tensor:
    """Gains (n,) under which blocks with moments ``own`` have those that are ``wanted``.

    From nearly none, several times: from there the way to the right signs leads nowhere through
    zero. The mean, around mid-grey, tells a gain from its negative.
    """
    grey = _mid_grey(facts).to(own[0]).repeat(facts.positions // 3)
    mean, covariance = own[0] - grey, own[1]
    aim, covaried = wanted[0] - grey, wanted[1]
    starts = _GREY * torch.randn(_TRIES, len(mean), device=mean.device)
    gains = starts.requires_grad_()
    optimizer = torch.optim.Adam([gains], lr=0.05)
    for _ in range(_FITTED):
        apart = ((gains * mean - aim) ** 2).mean(dim=1)
        if covariance is not None and covaried is not None:
            found = gains[:, :, None] * gains[:, None] * covariance
            apart = apart + ((found - covaried) ** 2).mean(dim=(1, 2)) / (covaried**2).mean()
        optimizer.zero_grad()
        apart.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if meter.exhausted:
            break
    return gains.detach()[apart.argmin()]


def _mid_grey(facts: Facts) -> Tensor:
    """Mid-grey as the network takes it, (3,)."""
    mean, std = map(torch.tensor, facts.normalisation)
    return (0.5 - mean) / std


class Disguise(nn.Module):
    """A gain and shift of each position of a block around mid-grey, and a U-Net of two levels that
    sees the image beside learnt tiles, one value a position of a block.

    Shape: (B, 3, H, W) inputs as the network takes them, and the same out.
    """

    def __init__(self, facts: Facts, gain: Tensor) -> None:
        super().__init__()
        side = facts.block_size
        channels_first = gain.detach().view(side, side, 3).movedim(-1, 0).clone()
        self.gain = nn.Parameter(channels_first)
        self.shift = nn.Parameter(torch.zeros(3, side, side))
        self.tiles = nn.Parameter(torch.randn(_TILES, side, side))
        self.down = _convolved(3 + _TILES, _WIDTH)
        self.deep = _convolved(_WIDTH, 2 * _WIDTH, stride=2)
        self.up = _convolved(3 * _WIDTH, _WIDTH)
        self.last = nn.Conv2d(_WIDTH, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.register_buffer("grey", _mid_grey(facts).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        grey = self.get_buffer("grey")
        times = [length // self.gain.shape[-1] for length in x.shape[-2:]]
        gain, shift, tiles = (t.repeat(1, *times) for t in (self.gain, self.shift, self.tiles))
        near = self.down(torch.cat([x, tiles.expand(len(x), *tiles.shape)], dim=1))
        far = F.interpolate(self.deep(near), size=near.shape[-2:])
        more: Tensor = self.last(self.up(torch.cat([near, far], dim=1)))
        return gain * (x - grey) + grey + _SLOWER * (shift + more)


def _convolved(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, stride, padding=1), nn.ReLU())


def _unlike(
    disguise: nn.Module, network: nn.Module, inputs: Tensor, aim: _Aim, facts: Facts
) -> Tensor:
    """How unlike ciphertexts disguised inputs are to the network, which stays in eval mode."""
    disguised = disguise(inputs)
    with _moments(network.eval().requires_grad_(False)) as moments:
        logits = network(disguised)["out"].float()
    chances = F.softmax(logits, dim=1)
    terms: dict[str, Tensor] = {}
    if aim.moments:
        pairs = zip(moments, aim.moments, strict=True)
        # The logarithm, so that one wild channel does not drown the others and has a gradient.
        apart = [torch.log1p(divergence(*one, *other)).mean() for one, other in pairs]
        terms["moments"] = torch.stack(apart).mean()
    mean = chances.mean((0, 2, 3))
    terms["sure"] = -(chances * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
    if aim.places is None:
        terms["diverse"] = (mean * mean.clamp(min=1e-8).log()).sum()
    else:
        places = F.adaptive_avg_pool2d(chances.mean(0), _PLACES).clamp(min=1e-6)
        terms["places"] = (
            (aim.places * (aim.places.clamp(min=1e-6).log() - places.log())).sum(0).mean()
        )
    if aim.blocks is not None:
        mean, covariance = block_moments(disguised, facts)
        wanted, covaried = aim.blocks
        terms["blocks"] = ((mean - wanted) ** 2).mean()
        if covariance is not None and covaried is not None:
            terms["blocks"] = terms["blocks"] + ((covariance - covaried) ** 2).mean()
    mirrored = network(disguise(inputs.flip(-1)))["out"].float()
    other = F.softmax(mirrored, dim=1).flip(-1)
    terms["flips"] = (chances - other).abs().sum(dim=1).mean()
    total = sum(_WEIGHTS[name] * term for name, term in terms.items())
    assert isinstance(total, Tensor)
    return total


@contextlib.contextmanager
def _moments(network: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Mean and variance of each channel of what enters each norm layer in the block, (C,) each."""
    found: list[tuple[Tensor, Tensor]] = []

    def hear(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].float()
        found.append((values.mean((0, 2, 3)), values.var((0, 2, 3), unbiased=False)))

    handles = [layer.register_forward_pre_hook(hear) for layer in norm_layers(network)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def block_moments(inputs: Tensor, facts: Facts) -> tuple[Tensor, Tensor | None]:
    """Mean (n,) and covariance (n, n) of all blocks of inputs (N, 3, S, S), the second where blocks
    have at most `COVARIED` positions."""
    rows = block_grid(inputs, facts.block_size).flatten(0, 2)
    mean = rows.mean(0)
    if facts.positions > COVARIED:
        return mean, None
    rows = (rows - mean).double()  # autocast, which would round products to bfloat16, lets it be
    return mean, (rows.T @ rows / len(rows)).float()


@torch.no_grad()
def _aim_of(network: nn.Module, inputs: Tensor, facts: Facts) -> _Aim:
    """What ciphertexts (N, 3, S, S) look like to the network."""
    some = inputs[:: -(-len(inputs) // _ASKED)]  # all at once would take memory
    with _moments(network) as moments:
        chances = F.softmax(network(some)["out"].float(), dim=1)
    places = F.adaptive_avg_pool2d(chances.mean(0), _PLACES)
    return _Aim(list(moments), block_moments(inputs, facts), places)


ATTACK = Attack("disguise", "T0", "steps", run, needs_lock)
SEEN = Attack("disguise-seen", "T2", "steps", run_seen)
