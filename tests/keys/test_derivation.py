"""Plans: pinned by vectors, equal to an independent formulation, uniform over keys.

The vectors were computed by ``textbook`` below: AES in ECB mode over counted blocks, Python ints,
``sorted``. Statistics run over fixed keys, so they pass always or never.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.errors import KeyRefusedError
from seglock.keys import SecretKey, derive_permutation
from seglock.keys.derivation import _first_without_tie

KEY = SecretKey.from_bytes(bytes(range(32)))


def textbook(key: SecretKey, use: str, size: int) -> list[int]:
    block = Cipher(algorithms.AES(key.derive(use)), modes.ECB()).encryptor()
    stream = b"".join(block.update(i.to_bytes(16, "big")) for i in range(size // 2 + 1))
    values = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(size)]
    return sorted(range(size), key=values.__getitem__)


def assert_uniform(counts: Iterable[int], cells: int) -> None:
    """Chi-squared against equal cells, at p = 1e-4 on both sides: too even is suspect too."""
    from scipy.stats import chi2

    counts = [*counts]
    expected = sum(counts) / cells
    assert expected >= 5, "too few draws for the statistic"
    statistic = sum((c - expected) ** 2 / expected for c in counts)
    statistic += (cells - len(counts)) * expected
    assert chi2.ppf(1e-4, cells - 1) < statistic < chi2.ppf(1 - 1e-4, cells - 1)


def test_frozen_permutations() -> None:
    assert derive_permutation(KEY, "plan/order/0/shf-2-12", 12).tolist() == [
        *(9, 5, 11, 2, 4, 7, 8, 10, 0, 3, 1, 6)
    ]
    assert derive_permutation(KEY, "plan/order/0/shf-4-48", 48).tolist() == [
        *(16, 44, 24, 22, 7, 47, 19, 8, 6, 43, 32, 4, 23, 33, 45, 25),
        *(26, 0, 46, 28, 31, 34, 40, 1, 2, 30, 20, 36, 41, 9, 21, 42),
        *(27, 12, 13, 39, 18, 29, 38, 17, 14, 3, 15, 35, 5, 37, 11, 10),
    ]
    positions = derive_permutation(KEY, "plan/positions/0/np-2-6", 12)[:6]
    assert positions.tolist() == [10, 11, 4, 1, 7, 3]


def test_frozen_permutation_of_a_whole_image() -> None:
    plan = derive_permutation(KEY, "plan/order/0/shf-256-196608", 3 * 256 * 256)
    assert hashlib.sha256(plan.astype("<i8").tobytes()).hexdigest() == (
        "94d5396b95431f9875b9e82e522024dabe966c5c8b783ea1ade3c6dd62e7b9bb"
    )


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 200))
def test_equals_the_textbook_and_is_a_permutation(number: int, size: int) -> None:
    key = KEY.wrong(number)
    plan = derive_permutation(key, f"use/{size}", size)
    assert plan.dtype == np.int64
    assert plan.shape == (size,)
    assert plan.tolist() == textbook(key, f"use/{size}", size)
    assert sorted(plan.tolist()) == [*range(size)]


def test_every_permutation_of_four_is_equally_likely() -> None:
    counts = Counter(tuple(derive_permutation(KEY.wrong(i), "p", 4)) for i in range(4800))
    assert_uniform(counts.values(), math.factorial(4))


def test_every_mask_of_np_at_block_2_is_equally_likely() -> None:
    draws = (
        derive_permutation(KEY.wrong(i), "plan/positions/0/np-2-6", 12)[:6] for i in range(924 * 8)
    )
    counts = Counter(frozenset(draw.tolist()) for draw in draws)
    assert_uniform(counts.values(), math.comb(12, 6))


def test_every_value_is_equally_likely_at_every_place() -> None:
    counts = np.zeros((12, 12), dtype=int)
    for i in range(2400):
        counts[np.arange(12), derive_permutation(KEY.wrong(i), "plan/order/0/shf-2-12", 12)] += 1
    for row in counts:
        assert_uniform(row, 12)


def test_uses_of_one_key_are_independent() -> None:
    def relation(key: SecretKey) -> tuple[int, ...]:
        first, second = (derive_permutation(key, f"plan/order/{n}/shf-1-3", 3) for n in (0, 1))
        return tuple(second[np.argsort(first)].tolist())

    counts = Counter(relation(KEY.wrong(i)) for i in range(1200))
    assert_uniform(counts.values(), math.factorial(3))


def test_a_tie_is_thrown_away_whole() -> None:
    tied, good = np.array([7, 1, 7, 0], "<u8"), np.array([9, 2**64 - 1, 4, 3], "<u8")
    assert _first_without_tie(iter([tied, tied, good])).tolist() == [3, 2, 0, 1]


def test_without_the_redraw_ties_would_bias() -> None:
    """All 4^3 draws of three values below 4: only those without a tie are balanced."""
    draws = [np.array(d, "<u8") for d in itertools.product(range(4), repeat=3)]
    naive = Counter(tuple(np.argsort(d, kind="stable").tolist()) for d in draws)
    assert len(set(naive.values())) > 1
    fair = Counter(
        tuple(_first_without_tie(iter([d])).tolist()) for d in draws if len({*d.tolist()}) == 3
    )
    assert set(fair.values()) == {4}


@pytest.mark.parametrize("size", [0, -1])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(KeyRefusedError, match="size"):
        derive_permutation(KEY, "np", size)


def test_no_global_random_state_is_read_or_moved() -> None:
    np.random.seed(1)  # noqa: NPY002 - the legacy global state is what must not matter
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = derive_permutation(KEY, "shf", 100)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert (derive_permutation(KEY, "shf", 100) == first).all()
