"""Which learning rate, and how long: what does best on held-out labels, by successive halving.

Every rate has a short training, the better half of them a longer one, the best a long one, which
most of the budget is for; each with a whole schedule and from where the network stood. Where the
budget has no room for that, there are fewer rates. A theft, and training without it, are chosen in
the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seglock.attacks.budget import Meter
from seglock.attacks.tuning import Fitted, Gradients, fit, plainly, untouched

FACTORS = (1.0, 3.0, 0.3, 10.0)
"""Learning rates that are tried, in parts of an attack's own, the likeliest first."""
LEAST_STEPS = 8
"""A training of fewer steps says nothing of its learning rate."""
_LONG = 4
"""How much more the last training is given than all that are compared at one length."""


@dataclass(frozen=True)
class Chosen:
    """The state that a network was left in, and after how many trainings."""

    best: Fitted
    trainings: int

    def about(self) -> dict[str, Any]:
        """What everyone may read of it: of the thief's own data alone."""
        best = self.best
        return {
            "cross_entropy": best.loss,
            "lr": best.lr,
            "length": best.steps,
            "trainings": self.trainings,
        }


def best_of(
    network: nn.Module,
    trained: Iterable[nn.Parameter],
    images: Tensor,
    masks: Tensor,
    *,
    lr: float,
    seed: int,
    meter: Meter,
    gradients: Gradients = plainly,
) -> Chosen:
    """Train some parameters of a network several times, and leave it in the best state of all.

    images, masks, gradients: as for `fit`. lr: the rate that is tried alone where the budget has
    room for no other. ``meter`` is spent, and a step at least. What was there before counts too.
    """
    parameters, best, trainings = list(trained), untouched(network, images, masks), 0
    begun, left = best.state, rates(lr, meter.left)
    while left and not (trainings and meter.exhausted):
        rung, found = meter.part(_parts(len(left))), list[Fitted]()
        too_short = False
        for number, rate in enumerate(left):
            network.load_state_dict(begun)
            torch.manual_seed(seed)
            own = rung.part(len(left) - number)
            found.append(
                fit(
                    network, parameters, images, masks,
                    lr=rate, seed=seed, meter=own, gradients=gradients,
                )
            )  # fmt: skip
            trainings += 1
            best = min(best, found[-1], key=lambda one: one.loss)
            too_short = own.queries < LEAST_STEPS
            if too_short:  # by time: what is left goes to one rate
                break
        found.sort(key=lambda one: one.loss)
        kept = [one.lr for one in found[: len(left) // 2]]
        left = left[:1] if too_short and len(left) > 1 else kept
    network.load_state_dict(best.state)
    network.eval()
    return Chosen(best, trainings)


def rates(lr: float, steps: int) -> list[float]:
    """The rates that a budget of so many steps has room for: four, two or one.

    >>> [len(rates(0.1, steps)) for steps in (1, 79, 80, 192)]
    [1, 1, 2, 4]
    """
    room = (count for count in (4, 2) if steps >= LEAST_STEPS * count * _parts(count))
    return [lr * factor for factor in FACTORS[: next(room, 1)]]


def _parts(count: int) -> int:
    """One of so many equal parts of what is left is for comparing so many rates."""
    return count.bit_length() - 1 + _LONG if count > 1 else 1
