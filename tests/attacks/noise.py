"""Images with natural statistics: 1/f brightness, weaker 1/f colour, darker than mid-grey.

Each channel has its own share of colour, as in photographs: or nothing would tell them apart.
"""

from __future__ import annotations

import numpy as np

from seglock.data.synthetic import _pink_noise


def noise(count: int, side: int, seed: int = 3) -> np.ndarray:
    """(count, 3, side, side) uint8."""
    rng = np.random.default_rng(seed)
    light = _pink_noise(rng, (count, side, side, 1))
    colour = _pink_noise(rng, (count, side, side, 3))
    mean = rng.uniform(80, 140, (count, 1, 1, 1))
    images = np.clip(mean + 35 * light + np.array([8, 12, 18]) * colour, 0, 255).astype(np.uint8)
    return images.transpose(0, 3, 1, 2).copy()
