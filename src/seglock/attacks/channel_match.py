"""T0, `channel-match`: the order of a permuted feature map, from what batch norm remembers; at T2,
`channel-match-seen`, on photos encrypted by the plan that ciphertexts give, and at T3,
`channel-match-known`, by the plan that pairs give.

A convolution behind the map is linear, so means and second moments of the map's patches, measured
once on photos, tell for any order what the batch norm behind it would see, and how far that is from
what it saw in training. An order made soft goes down the gradient of that distance (Sinkhorn), is
made hard by assignment, and goes on by exchanges of two channels; where none helps any more, from
the best order so far with a few channels moved round (iterated local search). What training cropped
and mirrored has other moments than photos, so the order found is made soft once more, and goes down
the gradient of what all norms of the network see, and of how sure of itself the network is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.blocks import block_rows
from seglock.attacks.channel_gradient import Presented, improved
from seglock.attacks.correspondence import correspond
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, needs_lock, needs_one_table
from seglock.attacks.reading import read_plan, unread
from seglock.attacks.relaxed import assigned, sinkhorn
from seglock.attacks.unlabelled import divergence
from seglock.attacks.unsupervised import search
from seglock.models import layers_of, permuted
from seglock.transforms import FeaturePlan

if TYPE_CHECKING:
    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Material

_LARGEST = 4608
"""Values of a patch whose second moments are taken; of more the means alone are gone by."""
_RATE = 0.1
_ROUNDING = 1e-12
_MOVED = 6
"""Channels that are moved round where no exchange helps."""
_SOFT = 0.5
"""Of the budget of one norm, what goes to the soft order; each exchange then costs a step."""
_NEAR = 0.5
"""Of the budget, what goes to the norm behind the map; the rest goes to the whole network, where a
forward and a backward pass are a step."""


@dataclass(frozen=True)
class Reader:
    """A convolution that reads the map, and what its norm remembers, in double precision.

    weight: (J, C, K) for the K places of a patch. usual, spread: (J,). mean, second: moments of
    patches of the map, (C * K,) and (C * K, C * K).
    """

    weight: Tensor
    usual: Tensor
    spread: Tensor
    mean: Tensor
    second: Tensor | None

    def apart(self, weight: Tensor) -> Tensor:
        """How far the norm's input is from what it remembers, with weights (J, C, K)."""
        flat = weight.flatten(1)
        mean = flat @ self.mean
        power = None if self.second is None else ((flat @ self.second) * flat).sum(dim=1)
        return self._distance(mean[:, None], None if power is None else power[:, None])[0]

    def apart_exchanged(self, weight: Tensor, one: int) -> Tensor:
        """The same with channel ``one`` and each other exchanged: (C,)."""
        flat, (_, channels, places) = weight.flatten(1), weight.shape
        mean = self.mean.view(channels, places)
        gain = weight - weight[:, one, None]  # what channel ``one`` gains and the other loses
        means = (flat @ self.mean)[:, None] + (gain * (mean[one] - mean)).sum(dim=2)
        if self.second is None:
            return self._distance(means, None)
        met = flat @ self.second
        power, met = (met * flat).sum(dim=1), met.view_as(weight)
        second = self.second.view(channels, places, channels, places)
        crossed = second[one].transpose(0, 1)
        own = second.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        square = own[one] + own - crossed - crossed.transpose(1, 2)
        added = 2 * (gain * (met[:, one, None] - met)).sum(dim=2)
        added += torch.einsum("jck,ckl,jcl->jc", gain, square, gain)
        return self._distance(means, power[:, None] + added)

    def _distance(self, mean: Tensor, power: Tensor | None) -> Tensor:
        """Of moments (J, N) of what enters the norm: (N,)."""
        usual, spread = self.usual[:, None], self.spread[:, None]
        variance = spread if power is None else (power - mean**2).clamp(min=0)
        return divergence(mean, variance, usual, spread).log1p().mean(dim=0)


def why_not(facts: Facts) -> str | None:
    """Locks that permute no feature map."""
    return needs_lock(facts) or (None if facts.features else "the lock permutes no feature map")


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """T0: with photos as they are, or encrypted by the plan that half the budget finds."""
    plan = search(material, meter.part(2), seed).plan if material.facts.steps else None
    return Finding((_found(Presented(material, plan), meter, seed),))


def run_seen(material: Material, meter: Meter, seed: int) -> Finding:
    """T2: with photos encrypted by the plan that is read from the ciphertexts."""
    seen = material.ciphertexts
    assert seen is not None
    rng = np.random.default_rng(seed)
    plan, exact = read_plan(material, seen, rng, lambda: not meter.exhausted)
    return Finding((_found(Presented(material, plan), meter, seed),), exact=exact)


def run_known(material: Material, meter: Meter, seed: int) -> Finding:
    """T3: with photos encrypted by the plan that pairs tell."""
    pairs, facts, side = material.pairs, material.facts, material.facts.block_size
    assert pairs is not None
    told = correspond(block_rows(pairs.plain, side), block_rows(pairs.encrypted, side), facts)
    found = _found(Presented(material, told.plan), meter, seed)
    return Finding((found,), exact={"determined": told.determined})


def _found(presented: Presented, meter: Meter, seed: int) -> Candidate:
    """The order of each permuted layer in turn, those that come first in the network first."""
    facts, names = presented.material.facts, list(layers_of(presented.material.network))
    steps = sorted(facts.features, key=lambda step: names.index(step.layer))
    found: dict[str, FeaturePlan] = {}
    for place, step in enumerate(steps):
        before = [*found.values()]
        readers, channels = readers_of(presented, step.layer, before)
        share = max(2, meter.left // (len(steps) - place))
        near = round(_NEAR * share)
        order = match(readers, channels, meter, near, seed)
        if readers:
            order = improved(presented, step.layer, before, order, meter, share - near, seed)
        found[step.layer] = FeaturePlan(step, order.cpu().numpy())
    return Candidate(presented.plan, features=tuple(found[step.layer] for step in facts.features))


def match(readers: Sequence[Reader], channels: int, meter: Meter, share: int, seed: int) -> Tensor:
    """The order under which what reads a map of so many channels sees what it remembers; ``share``
    steps. By chance where nothing reads it that remembers anything."""
    rng = np.random.default_rng(seed)
    if not readers:
        meter.spend()
        return torch.from_numpy(rng.permutation(channels))
    end = max(0, meter.left - share)
    best = _soft(readers, channels, meter, meter.left - round(_SOFT * share))
    order = best.clone()
    while meter.left > end:
        _descend(readers, order, meter, end)
        if _apart(readers, order) < _apart(readers, best):
            best = order.clone()
        moved = torch.from_numpy(rng.choice(channels, min(_MOVED, channels), replace=False))
        order = best.clone()
        order[moved] = best[moved.roll(1)]
    return best


def _descend(readers: Sequence[Reader], order: Tensor, meter: Meter, end: int) -> None:
    """Exchange channels until no exchange helps, or ``end`` steps are left."""
    one, since = 0, 0  # the next channel, and for how many no exchange was better
    while meter.left > end and since < len(order):
        since = 0 if _exchange(readers, order, one) else since + 1
        one = (one + 1) % len(order)
        meter.spend()


def _apart(readers: Sequence[Reader], order: Tensor) -> float:
    places = order.argsort()
    return sum(float(reader.apart(reader.weight[:, places])) for reader in readers)


def _soft(readers: Sequence[Reader], channels: int, meter: Meter, end: int) -> Tensor:
    """The hard order nearest to a soft one that has gone downhill until ``end`` steps are left."""
    device = readers[0].weight.device
    logits = torch.zeros(channels, channels, device=device, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=_RATE)
    while True:
        soft = sinkhorn(logits)
        # Place i of the map gets channel j: weights of place i meet what is measured of channel j.
        moved = [torch.einsum("jik,ic->jck", reader.weight, soft) for reader in readers]
        apart = [reader.apart(one) for reader, one in zip(readers, moved, strict=True)]
        loss = torch.stack(apart).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        meter.spend()
        if meter.left <= max(end, 0):
            return assigned(logits)


def _exchange(readers: Sequence[Reader], order: Tensor, one: int) -> bool:
    """Exchange channel ``one`` with the other that helps most; False where none does."""
    places = order.argsort()  # the place of each channel
    now = [reader.weight[:, places] for reader in readers]
    pairs = list(zip(readers, now, strict=True))
    values = torch.stack([reader.apart_exchanged(weight, one) for reader, weight in pairs]).sum(0)
    other = int(values.argmin())
    if values[other] >= values[one] - _ROUNDING:
        return False
    order[places[[one, other]]] = order[places[[other, one]]]
    return True


@torch.no_grad()
def readers_of(
    presented: Presented, layer: str, before: Sequence[FeaturePlan]
) -> tuple[list[Reader], int]:
    """What reads a layer's output, with its moments on the photos, and how many channels it has.

    before: the orders found so far, of layers that come earlier.
    """
    outputs = list(_outputs(presented, layer, before))
    norms = norms_behind(presented, layer)
    return [_reader(*pair, outputs) for pair in norms.items()], outputs[0].shape[1]


@torch.no_grad()
def norms_behind(presented: Presented, layer: str) -> dict[nn.Conv2d, nn.Module]:
    """The convolutions that take a layer's output as it is, each with the norm of its own."""
    network = presented.material.network
    last = layers_of(network)[layer]
    given: list[object] = []
    taken: dict[int, nn.Conv2d] = {}
    found: dict[nn.Conv2d, nn.Module] = {}

    def heard(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module is last:
            given.append(output)
        elif isinstance(module, nn.Conv2d) and given and inputs[0] is given[0]:
            given.append(output)  # kept, so that no other tensor takes its id
            taken[id(output)] = module
        elif getattr(module, "running_mean", None) is not None and id(inputs[0]) in taken:
            found[taken[id(inputs[0])]] = module

    with contextlib.ExitStack() as stack:
        for module in network.modules():
            stack.callback(module.register_forward_hook(heard).remove)
        network(presented.inputs(slice(1)))
    return {one: norm for one, norm in found.items() if one.groups == 1}


def _outputs(presented: Presented, layer: str, before: Sequence[FeaturePlan]) -> Iterator[Tensor]:
    """What a layer gives for the photos, batch by batch: (B, C, H, W) float."""
    network, batch = presented.material.network, presented.material.batch_size
    given: list[Tensor] = []
    with contextlib.ExitStack() as stack:
        last = layers_of(network)[layer]
        hear = last.register_forward_hook(lambda _module, _inputs, out: given.append(out.float()))
        stack.callback(hear.remove)
        stack.enter_context(permuted(network, before))
        for start in range(0, len(presented.material.photos), batch):
            network(presented.inputs(slice(start, start + batch)))
            yield given.pop()


def _reader(convolution: nn.Conv2d, norm: nn.Module, outputs: Sequence[Tensor]) -> Reader:
    batches = [_patches(convolution, output) for output in outputs]
    count = sum(map(len, batches))
    bias = 0 if convolution.bias is None else convolution.bias
    whole = batches[0].shape[1] <= _LARGEST
    return Reader(
        convolution.weight.double().flatten(2),
        (norm.get_buffer("running_mean") - bias).double(),
        norm.get_buffer("running_var").double(),
        torch.stack([rows.sum(dim=0) for rows in batches]).sum(dim=0) / count,
        torch.stack([rows.T @ rows for rows in batches]).sum(dim=0) / count if whole else None,
    )


def _patches(convolution: nn.Conv2d, output: Tensor) -> Tensor:
    """What a convolution multiplies its weights with: (positions, C * K)."""
    pad = convolution.padding
    assert not isinstance(pad, str)
    rows = F.unfold(output, convolution.kernel_size, convolution.dilation, pad, convolution.stride)
    return rows.transpose(1, 2).flatten(0, 1).double()


def why_not_seen(facts: Facts) -> str | None:
    """Locks with but one secret, and those that nobody reads from ciphertexts."""
    return why_not(facts) or unread(facts)


def why_not_known(facts: Facts) -> str | None:
    """Locks with but one secret, and those whose tables pairs do not tell."""
    return why_not(facts) or needs_one_table(facts)


ATTACK = Attack("channel-match", "T0", "steps", run, why_not)
SEEN = Attack("channel-match-seen", "T2", "steps", run_seen, why_not_seen)
KNOWN = Attack("channel-match-known", "T3", "steps", run_known, why_not_known)
