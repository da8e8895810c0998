"""T3: what pairs give away, and how few are needed."""

from __future__ import annotations

import numpy as np
import pytest

from seglock.attacks import ATTACKS, Budget, Facts, Finding, Material, Meter, Pairs
from seglock.keys import SecretKey
from seglock.transforms import Transform, compose
from tests.attacks.noise import noise
from tests.attacks.scene import CPU, KEY

MIXED = [
    ("np-4", "shf-4"),
    ("shf-4", "np-4"),
    ("np-4", "ffx-4"),
    ("shf-4", "ffx-4", "shf-4"),
    ("np-4", "shf-4", "ffx-4-f30", "shf-4"),
    ("np-8-f25",),
    ("shf-8-f50",),
    ("np-4-f100", "shf-4"),
]


def attack(
    name: str, steps: tuple[str, ...], images: np.ndarray, password: str = "from_key",
    queries: int = 300, key: SecretKey = KEY,
) -> tuple[Finding, Transform]:  # fmt: skip
    lock = compose(steps, key, password)  # type: ignore[arg-type]
    facts = Facts(lock.steps, password, None, images.shape[-1])  # type: ignore[arg-type]
    material = Material(
        facts, None, CPU, images,  # type: ignore[arg-type]
        pairs=Pairs(images, lock.encrypt(images)), oracle=lock.encrypt,
    )  # fmt: skip
    return ATTACKS[name].run(material, Meter(Budget(queries, 600.0)), 0), lock


def is_whole(finding: Finding, lock: Transform) -> bool:
    plan = finding.candidates[finding.chosen or 0].plan
    assert plan is not None
    images = noise(2, 64, seed=9)
    made = Transform(lock.steps, plan)
    return bool((made.encrypt(images) == lock.encrypt(images)).all())


def pairs_needed(finding: Finding) -> int | None:
    """The least number of pairs that left no position open."""
    enough = (one.about["pairs"] for one in finding.candidates if one.exact["determined"] == 1.0)
    return next(enough, None)


@pytest.mark.parametrize("block", [2, 4, 8, 16, 64])
def test_one_pair_gives_a_shuffle_of_up_to_64(block: int) -> None:
    finding, lock = attack("known-plaintext", (f"shf-{block}",), noise(2, 256))
    assert pairs_needed(finding) == 1
    assert finding.candidates[0].plan.permutation.tolist() == lock._plan.permutation.tolist()


@pytest.mark.parametrize("steps", [("np-2",), ("np-64",), ("ffx-4",), *MIXED], ids="+".join)
@pytest.mark.parametrize("password", ["from_key", "fixed"])
def test_pairs_give_every_lock_of_the_formula(steps: tuple[str, ...], password: str) -> None:
    images = noise(6, 64)
    levels = np.random.default_rng(0).integers(0, 256, images[0].shape)
    images[0] = levels.astype(np.uint8)  # so that every level is seen
    finding, lock = attack("known-plaintext", steps, images, password)
    assert [candidate.about["pairs"] for candidate in finding.candidates] == [1, 2, 4, 6]
    assert pairs_needed(finding)
    assert is_whole(finding, lock)


@pytest.mark.parametrize("steps", [("np-2",), ("np-64",), ("ffx-4",), *MIXED], ids="+".join)
@pytest.mark.parametrize("password", ["from_key", "fixed"])
def test_chosen_images_give_every_lock(steps: tuple[str, ...], password: str) -> None:
    finding, lock = attack("chosen-plaintext", steps, noise(1, 64), password)
    assert finding.exact["determined"] == 1.0
    assert is_whole(finding, lock)


@pytest.mark.parametrize(
    ("steps", "password", "blocks", "images"),
    [
        ("np-16", "from_key", 1, 1),
        ("ffx-2", "from_key", 256, 1),
        ("ffx-16", "from_key", 256, 1),
        ("ffx-64", "fixed", 1, 1),
        ("shf-8", "from_key", 1, 1),  # n = 192
        ("shf-16", "from_key", 2, 1),  # n = 768
        ("shf-256", "from_key", 3, 3),  # n = 196608
    ],
)
def test_as_few_as_can_be(steps: str, password: str, blocks: int, images: int) -> None:
    finding, lock = attack("chosen-plaintext", (steps,), noise(1, 256), password)
    assert (finding.about["blocks"], finding.about["images_needed"]) == (blocks, images)
    assert finding.exact["determined"] == 1.0
    assert finding.candidates[0].plan.equals(lock._plan)


def test_too_few_chosen_images_are_told() -> None:
    finding, lock = attack("chosen-plaintext", ("shf-64",), noise(1, 64), queries=1)
    assert finding.exact["determined"] < 1
    assert not is_whole(finding, lock)


def test_too_few_pairs_are_told() -> None:
    finding, lock = attack("known-plaintext", ("shf-64",), noise(4, 64), queries=2)
    assert len(finding.candidates) == 2
    shares = [candidate.exact["determined"] for candidate in finding.candidates]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert not is_whole(finding, lock)


def test_flat_images_leave_the_choice_open() -> None:
    flat = np.full((2, 3, 16, 16), 7, np.uint8)
    finding, _ = attack("known-plaintext", ("shf-4",), flat)
    assert finding.candidates[-1].exact["determined"] == 0
