"""T0, `bn-reestimate`: new batch-norm statistics from plain photos, then plain images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from seglock.attacks.budget import Meter
from seglock.attacks.protocol import Attack, Candidate, Finding, Material, needs_lock
from seglock.evaluation import reestimate_batch_norm
from seglock.transforms import identity


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """One pass over the photos; a network without batch norm stays as it is."""
    del seed
    photos, plain = material.photos, identity(material.facts.normalisation)

    def inputs() -> Iterator[Tensor]:
        for start in range(0, len(photos), material.batch_size):
            batch = np.array(photos[start : start + material.batch_size])  # of a read-only map
            if len(batch) > 1 or start == 0:  # a last one alone may have no variance
                yield plain.to_input(torch.from_numpy(batch).to(material.device))

    network = reestimate_batch_norm(material.network, inputs())
    meter.spend()
    return Finding((Candidate(network=network),), about={"photos": len(photos)})


ATTACK = Attack("bn-reestimate", "T0", "keys", run, needs_lock)
