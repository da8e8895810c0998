"""A method is added by its file and its entry: nothing in attacks, key space, evaluation or audit.

Two of them are, as docs/how-to/method.md says, and every attack is run on locks of them.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from seglock.attacks import ANALYSES, ATTACKS, Attack, Budget, Meter, find, run_analysis
from seglock.audit.needles import plan_needles
from seglock.config import check_params
from seglock.keys import SecretKey
from seglock.methods import METHODS
from seglock.steps import check_sequence, has_one_plan, parse_step
from seglock.transforms import apply, apply_compiled, compose, incorrect_transforms
from seglock.transforms.key_space import small_space
from tests.attacks.noise import noise
from tests.attacks.scene import KEY, scene
from tests.attacks.test_pairs import attack, is_whole
from tests.contracts.toy import Rev, Xor

LOCKS = (
    ("rev-2",), ("xor-2",), ("rev-2", "shf-2"), ("np-2", "shf-2", "xor-2", "shf-2"),
    ("rev-2", "np-2", "ffx-2"), ("xor-2", "np-2"),
)  # fmt: skip
LIMITED = ("exhaustive", "ciphertext-only", "jacobian", "inversion", "stem-match", "collusion")
BUDGET = Budget(queries=4, seconds=600.0, labelled=(0.5,))
every_lock = pytest.mark.parametrize("steps", LOCKS, ids="+".join)


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries in ``METHODS``."""
    for method in (Rev(), Xor()):
        monkeypatch.setitem(METHODS, method.name, method)


@pytest.mark.parametrize(
    ("steps", "digest"), [("rev-4", "87887b29e3d202ff"), ("xor-4", "d1437cc424687794")]
)
def test_frozen_vector(steps: str, digest: str) -> None:
    encrypted = compose([steps], KEY).encrypt(noise(2, 16))
    assert hashlib.sha256(encrypted.tobytes()).hexdigest()[:16] == digest


@every_lock
def test_every_kernel_applies_and_undoes_it(
    steps: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, lock = noise(3, 16), compose(steps, KEY)
    encrypted = lock.encrypt(images)
    assert encrypted.dtype == ("int16" if "ffx-2" in steps else "uint8")
    inputs = lock.to_input(images)
    for name, value in ((None, None), ("WORTH_IT", 0), ("on_accelerator", is_tensor)):
        if name is not None:
            monkeypatch.setattr(apply if callable(value) else apply_compiled, name, value)
        tensor = torch.from_numpy(images)
        assert np.array_equal(lock.encrypt(tensor), encrypted)
        assert torch.equal(lock.decrypt(lock.encrypt(tensor)), tensor)
        assert torch.equal(lock.to_input(tensor), inputs)
    assert np.array_equal(lock.decrypt(encrypted), images)


def is_tensor(images: object) -> bool:
    return isinstance(images, torch.Tensor)


def test_params_take_it_and_hold_its_order() -> None:
    params = check_params({"locks": {"baseline": {"steps": []}, "x": {"steps": ["xor-4", "np-4"]}}})
    assert params.locks["x"].method == "xor+np"
    check_sequence([parse_step("rev-4"), parse_step("ffx-4"), parse_step("shf-4")])
    with pytest.raises(Exception, match="REV must come before FFX, since REV is defined"):
        check_sequence([parse_step("ffx-4"), parse_step("rev-4")])


@pytest.mark.parametrize(("steps", "plans"), [("rev-1", 3), ("xor-1", 3 * 255), ("xor-1-f0", 1)])
def test_its_plans_are_counted_and_tried_whole(steps: str, plans: int) -> None:
    step = parse_step(steps)
    every = small_space([step], "from_key", 1000)
    assert every is not None
    assert len(every) == plans == round(2 ** compose([step], KEY).key_space_bits)
    assert has_one_plan([step], "from_key") == (plans == 1)
    assert small_space([step], "from_key", plans - 1) is None
    for number in range(20):
        drawn = compose([step], KEY.wrong(number))._plan
        assert sum(plan.equals(drawn) for plan in every) == 1
    if plans > 1:
        assert len(incorrect_transforms([steps], KEY, 1000)) == plans - 1


@every_lock
def test_the_audit_looks_for_what_is_secret_of_it(steps: tuple[str, ...]) -> None:
    lock = compose(steps, KEY)
    named = {needle.what for needle in plan_needles(lock, "it")}
    is_secret = any("xor" in step or "ffx" in step for step in steps)
    assert ("secret table" in named) == is_secret


@pytest.mark.parametrize("one", ATTACKS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("steps", LOCKS[:-1], ids="+".join)  # the last is part of the fourth
def test_every_attack_runs(one: Attack, steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    reason = one.why_not(made.facts)
    if reason:
        assert one.name in LIMITED or "none behind" in reason or "no feature map" in reason
        return
    meter = Meter(BUDGET, clock=lambda: 0.0)
    finding = find(one, made.material(one.tier), meter, 0)
    result = made.judge().judge(one, finding, meter, lock="it", correct=0.9).published
    assert finding.candidates
    assert 0 <= result["miou"] <= 1


@pytest.mark.parametrize("steps", ["rev-1", "xor-1"])
def test_every_plan_of_a_small_space_is_tried(steps: str) -> None:
    made = scene(steps)
    budget = Budget(1000, 600.0, (0.5,))
    finding = find(ATTACKS["exhaustive"], made.material("T1"), Meter(budget), 0)
    assert finding.about["share"] == 1.0


@pytest.mark.parametrize(
    "steps", [lock for lock in LOCKS if lock != ("xor-2", "np-2")], ids="+".join
)
@pytest.mark.parametrize("name", ["known-plaintext", "chosen-plaintext"])
def test_pairs_give_it_away(steps: tuple[str, ...], name: str) -> None:
    images = noise(6, 64)
    images[0] = np.random.default_rng(0).integers(0, 256, images[0].shape)  # every level is seen
    finding, lock = attack(name, steps, images)
    assert (finding.exact or finding.candidates[-1].exact)["determined"] == 1.0
    assert is_whole(finding, lock)


@every_lock
def test_the_analysis_measures_it(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    for analysis in ANALYSES.values():
        verdict = run_analysis(
            analysis, made.facts, made.judge(), BUDGET, lock="it", correct=0.9, secret=bytes(32)
        )
        assert verdict.published["curve"]


def test_two_keys_give_two_plans() -> None:
    other = SecretKey.from_bytes(bytes(range(2, 34)))
    for steps in LOCKS:
        assert not compose(steps, KEY).same_plan(compose(steps, other))
