"""FFX agrees with pyffx value by value."""

from __future__ import annotations

import numpy as np
import pyffx
import pytest

from seglock.methods.ffx import FFX_RANGE, FIXED_PASSWORD, ffx_table


@pytest.mark.parametrize("password", [b"x", b"secret-key", bytes(range(32)), FIXED_PASSWORD])
def test_agrees_with_pyffx(password: bytes) -> None:
    cipher = pyffx.Integer(password, length=3)
    table = ffx_table(password)
    assert table.tolist() == [cipher.encrypt(value) for value in range(256)]
    assert [cipher.decrypt(int(value)) for value in table] == list(range(256))
    assert table.dtype == np.int16
    assert len(set(table.tolist())) == 256
    assert 0 <= table.min() <= table.max() < FFX_RANGE


def test_frozen_table() -> None:
    assert ffx_table(FIXED_PASSWORD)[:8].tolist() == [317, 44, 117, 647, 437, 703, 352, 260]


def test_the_table_is_shared_and_cannot_be_changed() -> None:
    assert ffx_table(b"x") is ffx_table(b"x")
    with pytest.raises(ValueError, match="read-only"):
        ffx_table(b"x")[0] = 1
