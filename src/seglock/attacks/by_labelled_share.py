"""A training attack over growing shares of labelled images, beside training without the theft."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import nn

from seglock.attacks.budget import Meter
from seglock.attacks.choice import best_of
from seglock.attacks.labels import labelled
from seglock.attacks.protocol import Candidate, Finding, Material
from seglock.attacks.tuning import Gradients, plainly, without_theft
from seglock.transforms import identity

Prepare = Callable[[Material], tuple[nn.Module, Iterable[nn.Parameter]]]
"""From the material, with one share's labelled images alone as its photos and masks, to the network
to train and those of its parameters that are trained."""
_SCRATCH_LR = 0.01


def over_shares(
    material: Material,
    meter: Meter,
    seed: int,
    prepare: Prepare,
    *,
    lr: float,
    gradients: Gradients = plainly,
) -> Finding:
    """Train on each share of labelled images, and a network without the theft on the same ones.

    The budget is divided evenly among all of them, and each chooses its learning rate and length in
    its part. The choice is the largest share's network.
    """
    found = (labelled(material, share) for share in sorted(meter.budget.labelled))
    sets = {len(images): (images, masks) for images, masks in found}
    candidates, plain = list[Candidate](), identity(material.facts.normalisation)
    begun = lr if material.public else _SCRATCH_LR
    for number, (count, (images, masks)) in enumerate(sets.items()):
        inputs = plain.to_input(torch.from_numpy(images).to(material.device))
        target = torch.from_numpy(masks).to(material.device)
        share = count / max(1, material.labelled_of)
        left = 2 * (len(sets) - number)
        torch.manual_seed(seed)  # whatever was drawn before
        stolen, trained = prepare(replace(material, photos=images, masks=masks))
        scratch = without_theft(material)
        for source, network, parameters, rate, parts in (
            ("theft", stolen, trained, lr, left),
            ("scratch", scratch, scratch.parameters(), begun, left - 1),
        ):
            chosen = best_of(
                network, parameters, inputs, target,
                lr=rate, seed=seed, meter=meter.part(parts), gradients=gradients,
            )  # fmt: skip
            about = {"from": source, "labelled": count, "share": share, **chosen.about()}
            candidates.append(Candidate(network=network, about=about))
    return Finding(tuple(candidates), len(candidates) - 2, beside=len(candidates) - 1)
