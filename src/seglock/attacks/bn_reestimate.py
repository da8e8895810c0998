"""T0, `bn-reestimate`: new batch-norm statistics from plain photos, then plain images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seglock.attacks.meter import Meter
from seglock.attacks.protocol import Attack, Candidate, Finding, Material
from seglock.evaluation import reestimate_batch_norm
from seglock.transforms import identity


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One pass over the photos; a network without batch norm stays as it is."""
    del seed
    photos = torch.from_numpy(material.photos)

    def inputs() -> Iterator[Tensor]:
        for batch in torch.split(photos, material.batch_size):
            if len(batch) > 1 or len(photos) == 1:  # one image may have no variance
                yield identity().to_input(batch.to(material.device))

    network = reestimate_batch_norm(material.network, inputs())
    meter.spend()
    return Finding((Candidate(network=network),), about={"photos": len(photos)})


ATTACK = Attack("bn-reestimate", "T0", "keys", run)
