"""T2: what sixty ciphertexts give away."""

from __future__ import annotations

import numpy as np
import pytest

from seglock.attacks import ATTACKS, Budget, Facts, Material, Meter, reading
from seglock.attacks.agreement import Agreement, agreement, read_images
from seglock.attacks.blocks import block_rows, images_of
from seglock.attacks.shf_matching import _gains
from seglock.transforms import compose
from tests.attacks.noise import noise
from tests.attacks.scene import CPU, KEY

ATTACK = ATTACKS["ciphertext-only"]


@pytest.fixture(autouse=True)
def _statistics_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is at hand here to be asked for the order of channels."""
    monkeypatch.setattr(reading, "_NEAR", 1.0)


def attack(
    *steps: str, side: int = 64, password: str = "from_key", turned: bool = False
) -> Agreement:
    lock = compose(steps, KEY, password)  # type: ignore[arg-type]
    images, photos = noise(60, side), noise(20, side, seed=4)
    if turned:
        images, photos = 255 - images, 255 - photos
    facts = Facts(lock.steps, password, None, side)  # type: ignore[arg-type]
    encrypted = lock.encrypt(images)
    material = Material(facts, None, CPU, photos, ciphertexts=encrypted)  # type: ignore[arg-type]
    finding = ATTACK.run(material, Meter(Budget(60, 60.0)), 0)
    assert finding.about["ciphertexts"] == 60
    plan = finding.candidates[0].plan
    assert plan is not None
    read = read_images(plan, block_rows(encrypted, facts.block_size))
    error = images_of(read, facts.block_size, side, side).astype(int) - images
    found = agreement(plan, lock._plan, np.bincount(images.reshape(-1), minlength=256))
    if found.share == 1:
        assert np.abs(error).mean() <= 0.5
    return found


@pytest.mark.parametrize("block", [1, 2, 4, 8, 16, 64])
@pytest.mark.parametrize("turned", [False, True], ids=["dark", "bright"])
def test_the_negative_mask_and_its_complement(block: int, turned: bool) -> None:
    assert attack(f"np-{block}", turned=turned).whole


def test_the_share_of_positions_settles_the_complement() -> None:
    assert attack("np-4-f25").whole


@pytest.mark.parametrize("block", [2, 4, 8, 16, 32, 64])
def test_the_ffx_mask_and_its_table_within_half_a_level(block: int) -> None:
    found = attack(f"ffx-{block}")
    assert found.share == 1
    assert found.table_error is not None
    assert found.table_error <= 0.5


def test_a_public_password_leaves_the_mask_only() -> None:
    assert attack("ffx-4", password="fixed").whole


@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_the_permutation_with_its_block_symmetries(block: int) -> None:
    assert attack(f"shf-{block}").whole


def test_one_after_the_other() -> None:
    assert attack("np-4", "shf-4").whole
    assert attack("shf-2", "np-2").whole


@pytest.mark.parametrize(
    "steps",
    [("np-4", "ffx-4"), ("ffx-4", "shf-4"), ("np-4", "ffx-4", "shf-4"), ("np-8", "ffx-8-f25")],
    ids="+".join,
)
@pytest.mark.parametrize("password", ["from_key", "fixed"])
def test_ffx_in_company(steps: tuple[str, ...], password: str) -> None:
    found = attack(*steps, password=password)
    assert found.share == 1
    assert found.whole or password == "from_key"
    assert found.table_error is not None
    assert found.table_error <= 0.5


@pytest.mark.parametrize(
    "steps", [("np-1", "ffx-1-f75"), ("np-1", "ffx-1-f100"), ("np-2-f50", "ffx-2-f0")], ids="+".join
)
def test_few_or_no_positions_to_read_by(steps: tuple[str, ...]) -> None:
    lock = compose(steps, KEY)
    facts = Facts(lock.steps, "from_key", None, 16)
    seen, photos = lock.encrypt(noise(8, 16)), noise(4, 16, seed=4)
    material = Material(facts, None, CPU, photos, ciphertexts=seen)  # type: ignore[arg-type]
    (candidate,) = ATTACK.run(material, Meter(Budget(60, 60.0)), 0).candidates
    assert candidate.plan is not None
    found = agreement(candidate.plan, lock._plan, np.ones(256)).share
    assert found >= {"ffx-1-f75": 1 / 3, "ffx-1-f100": 0, "ffx-2-f0": 1}[steps[1]]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [(("np-32", "ffx-32"), "all pairs of positions"), (("shf-32",), "out of its reach")],
)
def test_it_says_what_it_leaves_out(steps: tuple[str, ...], reason: str) -> None:
    facts = Facts(compose(steps, KEY).steps, "from_key", None, 64)
    assert reason in str(ATTACK.why_not(facts))


def test_the_gain_of_an_exchange_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 6, 6))
    gain, before = _gains(a, b), (a * b).sum()
    for one in range(6):
        for other in range(6):
            order = np.arange(6)
            order[[one, other]] = order[[other, one]]
            after = (a * b[:, order][:, :, order]).sum()
            assert gain[one, other] == pytest.approx(after - before)
