"""What each step touches, pinned by vectors: the same key gives the same images for ever."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.keys import SecretKey, derive_permutation
from seglock.methods import METHODS
from seglock.steps import Step, parse_step
from seglock.transforms import build_transform, compose
from seglock.transforms.plan import COMPLEMENT, IDENTITY
from seglock.transforms.sequence import plan_use

KEY = SecretKey.from_bytes(bytes(range(32)))
IMAGES = (np.arange(2 * 3 * 32 * 32, dtype=np.int64) * 167 % 251).astype(np.uint8)
IMAGES = IMAGES.reshape(2, 3, 32, 32)

FROZEN: dict[tuple[tuple[str, ...], str], str] = {
    (("shf-2",), None): "e0ebd024b84a553a",
    (("shf-4",), None): "b4239bf46466055f",
    (("shf-4-f50",), None): "7faada779ba31e22",
    (("shf-32",), None): "606294b84f844484",
    (("np-1",), None): "991b646854da2219",
    (("np-4",), None): "c50e4ae2a408c9da",
    (("np-4-f25",), None): "2139bb78936e7722",
    (("np-32",), None): "83b9c43fa81b2c0c",
    (("ffx-4",), None): "d051d9917171d663",
    (("ffx-4",), "fixed"): "77de2cadece1caae",
    (("ffx-16-f10",), None): "f8753d542d3cc970",
    (("np-4", "shf-4"), None): "6fb68b9c409f9096",
    (("np-4", "shf-4", "ffx-4", "shf-4"), None): "d77efc387bbb7d16",
    (("shf-4", "shf-4"), None): "bf217840bfd1e125",
}


@pytest.mark.parametrize(("lock", "digest"), FROZEN.items(), ids=str)
def test_frozen_vectors(lock: tuple[tuple[str, ...], str], digest: str) -> None:
    """SHA-256 of the encrypted ``IMAGES``, NCHW, little-endian, first 16 hex digits."""
    steps, password = lock
    encrypted = compose(steps, KEY, password).encrypt(IMAGES)  # type: ignore[arg-type]
    little = encrypted.astype(encrypted.dtype.newbyteorder("<"))
    assert hashlib.sha256(little.tobytes()).hexdigest()[:16] == digest


@given(m=st.integers(1, 6), percent=st.integers(0, 100))
def test_np_and_ffx_touch_exactly_their_count(m: int, percent: int) -> None:
    for method in ("np", "ffx"):
        step = parse_step(f"{method}-{m}-f{percent}")
        plan = compose([step], KEY)._plan
        plain = [index for index, table in enumerate(plan.tables) if (table == IDENTITY).all()]
        touched = ~np.isin(plan.selector, plain)
        assert touched.sum() == step.count == 3 * m * m * percent // 100
        assert np.array_equal(plan.permutation, np.arange(plan.size))


@given(m=st.integers(1, 6), percent=st.integers(0, 100))
def test_shf_moves_at_most_its_count(m: int, percent: int) -> None:
    plan = compose([f"shf-{m}-f{percent}"], KEY)._plan
    assert (plan.permutation != np.arange(plan.size)).sum() <= 3 * m * m * percent // 100
    assert np.array_equal(np.sort(plan.permutation), np.arange(plan.size))
    assert np.array_equal(plan.tables, IDENTITY[None])


def test_the_papers_shares_are_all_for_shf_and_half_for_np_and_ffx() -> None:
    for m in (1, 2, 3, 4):
        half = 3 * m * m // 2
        np_plan = build_transform("np", m, KEY)._plan
        assert (np_plan.tables[np_plan.selector] == COMPLEMENT).all(axis=1).sum() == half
        ffx_plan = build_transform("ffx", m, KEY)._plan
        assert (ffx_plan.tables[ffx_plan.selector] != IDENTITY).any(axis=1).sum() == half
        assert build_transform("shf", m, KEY).same_plan(build_transform("shf", m, KEY, 1.0))


def test_partial_shf_reaches_every_pair_of_positions() -> None:
    moved = set()
    for number in range(200):
        plan = compose(["shf-1-f67"], KEY.wrong(number))._plan
        moved.add(tuple(plan.permutation.tolist()))
    assert moved == {(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)}


Sequence = list[Step]
PASSWORDS = ("from_key", "fixed")


def identity(steps: Sequence, password: str) -> tuple[object, ...]:
    """What makes two sequences one: steps by what they touch, and a password where one counts."""
    ffx = any(step.method == "ffx" for step in steps)
    return tuple((s.method, s.block_size, s.count) for s in steps), password if ffx else None


steps_of_a_lock = st.lists(
    st.builds(
        lambda method, side, percent: Step(method, side, percent),
        st.sampled_from([*METHODS]),
        st.integers(1, 123),
        st.none() | st.integers(0, 100),
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(st.tuples(steps_of_a_lock, st.sampled_from(PASSWORDS)), min_size=2, max_size=20))
def test_a_use_is_of_one_draw_of_one_step_of_one_sequence(
    locks: list[tuple[Sequence, str]],
) -> None:
    wanted: dict[str, object] = {}
    for steps, password in locks:
        for position in range(len(steps)):
            for draw in ("positions", "order", "password"):
                use = plan_use(draw, position, steps, password)  # type: ignore[arg-type]
                meaning = (draw, position, identity(steps, password))
                assert wanted.setdefault(use, meaning) == meaning
    meanings = [str(meaning) for meaning in wanted.values()]
    assert len(set(meanings)) == len(meanings), "one use for each"


def first_mask(steps: list[str], key: SecretKey, password: str = "from_key") -> tuple[int, ...]:
    """The positions that the first step touches."""
    use = plan_use("positions", 0, [parse_step(step) for step in steps], password)  # type: ignore[arg-type]
    step = parse_step(steps[0])
    return tuple(sorted(derive_permutation(key, use, step.positions)[: step.count].tolist()))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["np-1"], "from_key"), (["np-1", "shf-1"], "from_key")),
        ((["np-1"], "from_key"), (["np-1", "np-1"], "from_key")),
        ((["np-1", "ffx-1"], "fixed"), (["np-1", "ffx-1"], "from_key")),
        ((["ffx-1"], "fixed"), (["ffx-1"], "from_key")),
        ((["shf-1-f67"], "from_key"), (["shf-1-f67", "shf-1-f67"], "from_key")),
    ],
)
def test_the_plan_of_one_lock_tells_nothing_of_anothers(
    first: tuple[list[str], str], second: tuple[list[str], str]
) -> None:
    """Under 900 keys each pair of the three masks that both steps have comes equally often."""
    from scipy.stats import chisquare

    pairs = Counter(
        (first_mask(first[0], key, first[1]), first_mask(second[0], key, second[1]))
        for key in (KEY.wrong(number) for number in range(900))
    )
    assert len(pairs) == 9
    assert chisquare(list(pairs.values())).pvalue > 1e-4


def test_masks_are_what_the_labels_say() -> None:
    for steps, password in ((["np-4", "shf-4"], "from_key"), (["ffx-4"], "fixed")):
        plan = compose(steps, KEY, password)._plan  # type: ignore[arg-type]
        touched = np.zeros(plan.size, dtype=bool)
        touched[list(first_mask(steps, KEY, password))] = True
        assert np.array_equal(plan.selector != 0, touched[plan.permutation])
        assert not np.array_equal(compose(["np-4"], KEY)._plan.selector != 0, touched)


def test_a_password_changes_nothing_where_none_is_used() -> None:
    fixed = compose(["np-4", "shf-4"], KEY, "fixed")
    assert fixed.same_plan(compose(["np-4", "shf-4"], KEY, "from_key"))
    assert not compose(["ffx-4"], KEY, "fixed").same_plan(compose(["ffx-4"], KEY))


@pytest.mark.parametrize("method", ["shf", "np", "ffx"])
def test_each_step_draws_for_itself(method: str) -> None:
    """Position, count, block side and company change the draw: none may repeat another."""
    masks = {
        tuple(compose(steps, KEY).encrypt(IMAGES)[0, :, :4, :4].reshape(-1).tolist())
        for steps in (
            [f"{method}-4"],
            [f"{method}-2"],
            [f"{method}-4-f40"],
            [f"{method}-4-f60"],
            ["shf-4-f0", f"{method}-4"],
            [f"{method}-4", "shf-4-f0"],
        )
    }
    assert len(masks) == 6


def ffx_values(steps: list[str], key: SecretKey, password: str | None = None) -> list[int]:
    plan = compose(steps, key, password)._plan  # type: ignore[arg-type]
    return next(row.tolist() for row in plan.tables if (row != IDENTITY).any())


def test_the_password_comes_from_the_key_or_is_public() -> None:
    steps, other = ["ffx-4"], KEY.wrong(0)
    from_key = ffx_values(steps, KEY)
    assert from_key == ffx_values(steps, KEY, "from_key") != ffx_values(steps, other)
    assert ffx_values(steps, KEY, "fixed") == ffx_values(steps, other, "fixed") != from_key


def test_a_leaked_table_gives_that_of_no_other_lock() -> None:
    """Pairs under one lock show its table; those of the key's other locks are others."""
    locks = (["ffx-2"], ["ffx-4"], ["ffx-4-f25"], ["shf-4-f0", "ffx-4"], ["ffx-4", "shf-4"])
    assert len({tuple(ffx_values(steps, KEY)) for steps in locks}) == len(locks)
    assert ffx_values(["ffx-2"], KEY, "fixed") == ffx_values(["ffx-4"], KEY, "fixed")


@pytest.mark.parametrize("key", [KEY, KEY.wrong(0)])
def test_max_value_is_the_tables_maximum(key: SecretKey) -> None:
    transform = build_transform("ffx", 4, key)
    every_value = np.arange(256, dtype=np.uint8).repeat(48).reshape(256, 3, 4, 4)
    assert transform.max_value == transform.encrypt(every_value).max()
    assert 255 < transform.max_value <= 999
    assert build_transform("np", 4, key).max_value == 255
    assert build_transform("shf", 4, key).max_value == 255
