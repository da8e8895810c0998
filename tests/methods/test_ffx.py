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


def test_the_fixed_password_is_the_one_of_the_authors_classification_code() -> None:
    table = ffx_table(FIXED_PASSWORD)
    assert table[:8].tolist() == [355, 522, 858, 133, 916, 326, 747, 930]
    assert (table.min(), table.max(), table.argmax()) == (2, 996, 169)


def test_the_table_is_shared_and_cannot_be_changed() -> None:
    assert ffx_table(b"x") is ffx_table(b"x")
    with pytest.raises(ValueError, match="read-only"):
        ffx_table(b"x")[0] = 1
