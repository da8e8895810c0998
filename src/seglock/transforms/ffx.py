"""FFX as a table: format-preserving Feistel-based encryption of 0..255 into 0..999."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seglock.steps import FfxPassword
from seglock.transforms.plan import LEVELS

DIGITS = 3
FFX_RANGE = 10**DIGITS
FROM_KEY: FfxPassword = "from_key"
"""The default of ``ffx_password``: wrong keys differ in mask and password."""

FIXED_PASSWORD = b"seglock: the public FFX password"
"""The password of ``ffx_password="fixed"``: as in the paper, wrong keys differ in the mask only."""


@lru_cache(maxsize=16)
def ffx_table(password: bytes) -> NDArray[np.int16]:
    """The FFX value of each pixel value.

    Shape: int16 ``(256,)``, distinct values in 0..999, read-only.

    Source: paper, section 2.4; ``pyffx.Integer(password, length=3)`` value by value.

    >>> int(ffx_table(b"an example").max()) <= 999
    True
    """
    import pyffx

    cipher = pyffx.Integer(password, length=DIGITS)
    table = np.array([cipher.encrypt(value) for value in range(LEVELS)], dtype=np.int16)
    table.flags.writeable = False
    return table
