"""FFX: format-preserving Feistel-based encryption of 0..255 into 0..999 (paper, section 2.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from seglock.methods.method import CAP, LEVELS, Change, Draws, FfxPassword, Method, choose

if TYPE_CHECKING:
    from seglock.methods.method import Table

DIGITS = 3
FFX_RANGE = 10**DIGITS
FROM_KEY: FfxPassword = "from_key"
"""The default of ``ffx_password``: wrong keys differ in mask and password."""

FIXED_PASSWORD = b"password"
"""The password of ``ffx_password="fixed"``: the paper's, as far as anyone can know it, since it is
the one of its authors' classification code; wrong keys differ in the mask only."""


class Ffx(Method):
    """FFX(x) in 0..999 at the positions that it touches; the encrypted images are int16."""

    name = "ffx"
    reach = FFX_RANGE
    has_password = True

    def draw(self, draws: Draws) -> Change:
        """Which positions, and the password if it is not the public one."""
        from_key = draws.ffx_password == FROM_KEY
        password = draws.secret("password") if from_key else FIXED_PASSWORD
        return Change(draws.positions(), table=ffx_table(password))

    def public_table(self, ffx_password: FfxPassword) -> Table | None:
        """That of the public password."""
        return None if ffx_password == FROM_KEY else ffx_table(FIXED_PASSWORD)

    def plan_count(self, size: int, counts: Sequence[int], ffx_password: FfxPassword) -> int:
        """Masks times passwords; two passwords may give one table, so an upper bound."""
        passwords = CAP if ffx_password == FROM_KEY else 1
        plans = (choose(size, count) * passwords for count in counts if count)
        return min(CAP, math.prod(plans))


@lru_cache(maxsize=16)
def ffx_table(password: bytes) -> Table:
    """The FFX value of each pixel value.

    Shape: int16 ``(256,)``, distinct values in 0..999, read-only.

    Source: paper, section 2.4; ``pyffx.Integer(password, length=3)`` value by value.

    >>> int(ffx_table(b"an example").max()) <= 999
    True
    """
    import numpy as np
    import pyffx

    cipher = pyffx.Integer(password, length=DIGITS)
    table = np.array([cipher.encrypt(value) for value in range(LEVELS)], dtype=np.int16)
    table.flags.writeable = False
    return table
