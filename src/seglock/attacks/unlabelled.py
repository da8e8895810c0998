"""What a thief without labels goes by: how much at home the network is under a guess.

Every signal is the lower the better. A network that refuses, that is answers the same whatever it
is shown under any guess, is asked how surely it does so: of a wrong key that is most sure, so that
certainty and agreement under flips would lead away from the right one. Where feature maps are
permuted, what comes behind the first of them is strange under the right plan, too: there the norms
in front of it are all that counts, and tell one secret without the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.guesses import inputs_of
from seglock.attacks.protocol import Facts, Material
from seglock.evaluation.tally import spread
from seglock.models import layers_of
from seglock.transforms.plan import Plan

PHOTOS = 16
USUAL = 8
"""Random guesses that say how large a signal usually is."""
_WEIGHTS = {"statistics": 1.0, "entropy": 0.3, "flips": 0.3, "refusal": 1.0}
"""Batch-norm statistics tell most: entropy and flips are low, too, for a network that is surely
wrong, and only settle what statistics leave open."""
_REFUSED = 0.95
"""The share of pixels with one and the same answer, under half of usual guesses or more, that is a
refusal."""

_WILD = 10.0
"""One wild channel must not drown the others."""


class Signals:
    """The signals of guesses on some photos, each beside its size for ``usual`` guesses."""

    def __init__(self, material: Material, usual: Sequence[Plan]) -> None:
        photos = material.photos
        images = photos[list(spread(len(photos), PHOTOS, middle=False))]
        self._straight = torch.from_numpy(images).to(material.device)
        self._mirrored = self._straight.flip(-1)
        self._facts, self._network = material.facts, material.network
        self._until = permuted_layers(self._network, self._facts)
        self._at_once = max(1, material.batch_size // len(images))
        self._refusal = self._refused(usual)
        sizes = self._signals(usual)
        self._usual = {name: float(values.mean()) or 1.0 for name, values in sizes.items()}

    def __call__(self, guesses: Sequence[Plan]) -> Tensor:
        """The weighted signals of each guess, (K,): about 1.6 for usual ones."""
        found = self._signals(guesses)
        total = sum(_WEIGHTS[name] * found[name] / self._usual[name] for name in found)
        assert isinstance(total, Tensor)
        return total.cpu()

    @property
    def refuses(self) -> bool:
        """Whether the network answers usual guesses with one answer, whatever it is shown."""
        return self._refusal is not None

    @torch.inference_mode()
    def _refused(self, usual: Sequence[Plan]) -> Tensor | None:
        """The answer (1, S, S) that usual guesses get, pixel by pixel; None where they differ."""
        parts = [
            self._network(inputs_of([one], self._straight, self._facts))["out"] for one in usual
        ]
        answers = torch.cat(parts).argmax(dim=1)
        most = answers.mode(dim=0, keepdim=True).values
        # A small key space has the right one among usual guesses: the median leaves it out.
        same = (answers == most).view(len(usual), -1).double().mean(dim=1).median()
        return most if float(same) >= _REFUSED else None

    def _signals(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        parts = [
            self._measure(guesses[i : i + self._at_once])
            for i in range(0, len(guesses), self._at_once)
        ]
        return {name: torch.cat([part[name] for part in parts]).double() for name in parts[0]}

    @torch.inference_mode()
    def _measure(self, guesses: Sequence[Plan]) -> dict[str, Tensor]:
        found, count = {}, len(guesses)
        with divergences(self._network, count, until=self._until) as layers:
            logits = self._network(inputs_of(guesses, self._straight, self._facts))["out"]
        if layers:
            found["statistics"] = torch.stack(layers).mean(dim=0)
            if self._until:
                return found
        if self._refusal is not None:
            # Where nothing is refused any more it says nothing: statistics tell near plans apart.
            found["refusal"] = sureness(logits, self._refusal, count).clamp(min=0)
            return found
        mirrored = self._network(inputs_of(guesses, self._mirrored, self._facts))["out"]
        found["entropy"] = entropy(logits, count)
        found["flips"] = disagreement(logits, mirrored, count)
        return found


def entropy(logits: Tensor, guesses: int) -> Tensor:
    """Mean entropy of the predictions in nats, (K,): a network in its element is sure of itself."""
    logs = F.log_softmax(logits.float(), dim=1)
    spread = -(logs.exp() * logs).sum(dim=1)
    return spread.view(guesses, -1).mean(dim=1)


def disagreement(logits: Tensor, mirrored: Tensor, guesses: int) -> Tensor:
    """How far the predictions for mirrored photos are from mirrored predictions, 0 to 2, (K,)."""
    straight, other = (F.softmax(some.float(), dim=1) for some in (logits, mirrored))
    apart = (straight - other.flip(-1)).abs().sum(dim=1)
    return apart.view(guesses, -1).mean(dim=1)


def sureness(logits: Tensor, answer: Tensor, guesses: int) -> Tensor:
    """Mean log odds of one answer (1, S, S) against all others, (K,), in nats.

    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).view(2, 2, 1, 1)
    >>> sureness(logits, torch.zeros(1, 1, 1, dtype=torch.long), 2).tolist()
    [2.0, -2.0]
    """
    chosen = answer.expand(len(logits), -1, -1)[:, None]
    own = logits.float().gather(1, chosen)
    others = logits.float().scatter(1, chosen, -torch.inf).logsumexp(dim=1, keepdim=True)
    return (own - others).view(guesses, -1).mean(dim=1)


def divergence(mean: Tensor, variance: Tensor, usual: Tensor, spread: Tensor) -> Tensor:
    """Of a normal distribution from one of mean ``usual`` and variance ``spread``, in nats, for
    each channel: (..., C), as the four are or as they are stretched to be."""
    ratio = (variance + 1e-5) / (spread + 1e-5)
    return (ratio - ratio.log() - 1 + (mean - usual) ** 2 / (spread + 1e-5)) / 2


def permuted_layers(network: nn.Module, facts: Facts) -> list[nn.Module]:
    """The last modules of the layers whose maps the lock permutes."""
    layers = layers_of(network) if facts.features else {}
    return [layers[step.layer] for step in facts.features]


@contextlib.contextmanager
def divergences(
    network: nn.Module, guesses: int, most: float = _WILD, *, until: Sequence[nn.Module] = ()
) -> Iterator[list[Tensor]]:
    """For each layer with batch norm that the network goes through in the block, (K,): how far its
    inputs are from those of its training.

    The measure is the divergence of normal distributions, at most ``most`` a channel, averaged over
    channels: 0 for the images it was trained on. Layers without running statistics (group norm)
    tell nothing. until: no layer counts behind any of these modules; then one pass alone.
    """
    layers: list[Tensor] = []
    passed: list[nn.Module] = []

    def hear(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if passed:
            return
        values = inputs[0].float()
        values = values.view(guesses, -1, *values.shape[1:])
        axes = (1, 3, 4)
        mean, variance = values.mean(dim=axes), values.var(dim=axes, unbiased=False)
        usual, spread = (module.get_buffer(f"running_{name}") for name in ("mean", "var"))
        apart = divergence(mean, variance, usual, spread)
        layers.append(apart.clamp(max=most).mean(dim=1))

    known = [m for m in network.modules() if getattr(m, "running_mean", None) is not None]
    handles = [module.register_forward_pre_hook(hear) for module in known]
    handles += [one.register_forward_hook(lambda one, *_: passed.append(one)) for one in until]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()
