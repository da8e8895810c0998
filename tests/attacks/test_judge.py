from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS, Budget, Candidate, Finding, Judge, Meter, Verdict
from seglock.attacks.agreement import agreement, psnr, read_images, read_levels, ssim
from seglock.attacks.blocks import block_grid, block_rows, images_of
from seglock.attacks.estimates import AS_IS, ENCRYPTED, NEGATED, estimated_plan, ffx_kinds
from seglock.attacks.judge import Answers
from seglock.evaluation import judge_lock
from seglock.evaluation.floors import most_frequent
from seglock.transforms import compose, incorrect_transforms
from seglock.transforms.plan import Plan, identity_plan
from tests.attacks.noise import noise
from tests.attacks.scene import CLASSES, KEY, Scene, scene

EVEN = np.ones(256)


def verdict(made: Scene, finding: Finding, attack: str = "known-plaintext") -> Verdict:
    meter = Meter(Budget(5, 60.0))
    return made.judge().judge(ATTACKS[attack], finding, meter, lock="it", correct=0.9)


def judged(made: Scene, finding: Finding) -> dict:
    return verdict(made, finding).published


def test_its_figures_are_those_of_the_evaluation() -> None:
    made = scene("np-2", epochs=1)
    judge: Judge = made.judge()
    wrong = incorrect_transforms(["np-2"], KEY, 2)
    own = made.under(made.transform)
    reference = judge_lock(
        made.network, own.data, own.params, test=made.test, unlabelled=made.attacker.images,
        transform=made.transform, wrong=wrong,
    ).scores  # fmt: skip
    assert CLASSES == 3
    assert reference.correct is not None
    assert reference.incorrect is not None
    assert judge.correct() == reference.correct.miou
    finding = Finding((Candidate(), Candidate(wrong[0]._plan), Candidate(wrong[1]._plan)), None)
    lines = judged(made, finding)["curve"]
    expected = [reference.plain.miou, *reference.incorrect.miou]
    assert [line["miou"] for line in lines] == expected
    assert lines[0]["refused"] == reference.plain.refused


def test_a_refusal_is_told_from_noise() -> None:
    """Of two networks that know nothing one answers every image with the class that the training
    masks have most, the other with noise; both score about the same."""
    made = scene("np-2")
    answer = most_frequent(made.under(made.transform).data.train.masks, CLASSES)
    finding = Finding(tuple(Candidate(network=Says(answer, sure=sure)) for sure in (9.0, 0.0)), 0)
    result = judged(made, finding)
    assert result["refused"] == 1
    assert [line["refused"] for line in result["curve"]] == [1, 0]
    other = Finding((Candidate(network=Says((answer + 1) % CLASSES, sure=9.0)),))
    assert judged(made, other)["refused"] == 0


class Says(nn.Module):
    """A network that answers with one class as surely as noise of about 1 leaves room for."""

    def __init__(self, answer: int, sure: float) -> None:
        super().__init__()
        self.answer, self.sure = answer, sure

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        made = torch.Generator().manual_seed(0)
        logits = torch.rand(len(images), CLASSES, *images.shape[2:], generator=made)
        logits[:, self.answer] += self.sure
        return {"out": logits}


def test_a_choice_is_the_attackers() -> None:
    made = scene("np-2", epochs=1)
    candidates = (Candidate(about={"try": 0}), Candidate(made.transform._plan, about={"try": 1}))
    for chosen, candidate in enumerate(candidates):
        result = judged(made, Finding(candidates, chosen))
        assert result["try"] == chosen
        assert result["miou"] == judged(made, Finding((candidate,)))["miou"]


def test_without_a_choice_the_figure_is_the_95th_percentile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([Answers(0.2, 1.0), Answers(0.3, 0.5), Answers(0.6, 0.0)])
    monkeypatch.setattr(Judge, "_answers", lambda *given: next(answers))
    result = judged(scene("np-2"), Finding((Candidate(),) * 3, None))
    assert result["miou"] == pytest.approx(0.57)
    assert result["refused"] == 0.5
    assert [line["refused"] for line in result["curve"]] == [1, 0.5, 0]
    assert result["mean"] == pytest.approx(1.1 / 3)
    assert result["max"] == 0.6
    assert (result["plan_found"], result["above_chance"]) == (None, None)


def test_no_gain_has_no_share() -> None:
    made = replace(scene("np-2"), floor=0.95)
    assert judged(made, Finding((Candidate(),)))["regained"] is None


def test_decrypted_images_are_measured_for_ciphertexts_only() -> None:
    made = scene("np-2")
    right = Finding((Candidate(made.transform._plan),))
    assert verdict(made, right, "ciphertext-only").exact["psnr"] == 100
    assert verdict(made, right, "ciphertext-only").exact["ssim"] == pytest.approx(1)
    assert "psnr" not in verdict(made, right).exact
    wrong = Finding((Candidate(identity_plan(2)),))
    assert verdict(made, wrong, "ciphertext-only").exact["psnr"] < 20


def test_agreement_of_masks_is_up_to_the_complement() -> None:
    truth = compose(["np-2"], KEY)._plan
    facts = scene("np-2").facts
    turned = estimated_plan(facts, np.arange(12), 1 - truth.selector, ffx_kinds())
    found = agreement(turned, truth, EVEN)
    assert (found.share, found.best, found.chance, found.whole) == (0, 1, 0.5, False)
    told = found.to_dict()
    assert (told["plan_agreement"], told["plan_agreement_exact"]) == (1, 0)
    assert not found.is_found
    nothing = agreement(identity_plan(2), truth, EVEN)
    assert nothing.share == nothing.best == 0.5


def test_agreement_of_permutations() -> None:
    truth = compose(["shf-2"], KEY)._plan
    facts = scene("shf-2").facts
    order = truth.permutation.astype(int)
    order[[0, 1]] = order[[1, 0]]
    found = agreement(estimated_plan(facts, order, np.zeros(12, int), ffx_kinds()), truth, EVEN)
    assert found.share == pytest.approx(10 / 12)
    assert found.chance == pytest.approx(1 / 12)


def test_chance_is_what_random_plans_have() -> None:
    for steps in (["np-4"], ["np-4-f25"], ["shf-4"]):
        truth = compose(steps, KEY)._plan
        others = [compose(steps, KEY.wrong(i))._plan for i in range(100)]
        mean = np.mean([agreement(other, truth, EVEN).share for other in others])
        assert mean == pytest.approx(agreement(truth, truth, EVEN).chance, abs=0.02)


def test_a_table_is_judged_by_the_levels_it_reads() -> None:
    truth = compose(["ffx-2"], KEY)._plan
    facts = scene("ffx-2").facts
    wide = truth.tables[truth.tables.max(axis=1) >= 256][0]
    mask = truth.selector == int(truth.tables[1].max() >= 256)
    kinds = np.where(mask, ENCRYPTED, AS_IS)
    assert agreement(
        estimated_plan(facts, np.arange(12), kinds, ffx_kinds(wide)), truth, EVEN
    ).whole
    rolled = estimated_plan(facts, np.arange(12), kinds, ffx_kinds(np.roll(wide, 1)))
    found = agreement(rolled, truth, np.eye(256)[:255].sum(0))
    assert found.share == 1
    assert found.table_error == pytest.approx(1)
    assert not found.whole
    assert found.is_found
    off = estimated_plan(facts, np.arange(12), kinds, ffx_kinds(np.roll(wide, 2)))
    assert not agreement(off, truth, np.eye(256)[:254].sum(0)).is_found


def test_reading_takes_the_nearest() -> None:
    table = np.arange(256, dtype=np.int16) * 3
    assert read_levels(table, np.array([0, 1, 2, 766])).tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("steps", ["np-4", "shf-4", "ffx-4"])
def test_the_right_plan_reads_images_exactly(steps: str) -> None:
    lock, images = compose([steps], KEY), noise(3, 16)
    read = read_images(lock._plan, block_rows(lock.encrypt(images), 4))
    assert np.array_equal(images_of(read, 4, 16, 16), images)


def test_blocks_are_cut_as_the_formula_has_them() -> None:
    images = noise(2, 16)
    rows = block_rows(images, 4)
    lock = compose(["np-4", "shf-4"], KEY)
    plan: Plan = lock._plan
    expected = plan.tables[plan.selector[None], rows[:, plan.permutation]]
    assert np.array_equal(block_rows(lock.encrypt(images), 4), expected)
    assert block_grid(images, 4).shape == (2, 4, 4, 48)
    assert np.array_equal(images_of(rows, 4, 16, 16), images)


def test_estimates_are_whole_plans() -> None:
    plan = estimated_plan(scene("shf-2").facts, np.full(12, 3), np.full(12, NEGATED), ffx_kinds())
    assert sorted(plan.permutation) == list(range(12))
    assert plan.permutation[0] == 3


def test_quality() -> None:
    images = noise(2, 32)
    assert psnr(images, images) == 100
    assert ssim(images, images) == pytest.approx(1)
    noisy = np.clip(images + np.random.default_rng(0).normal(0, 10, images.shape), 0, 255)
    assert psnr(noisy.astype(np.uint8), images) == pytest.approx(28.1, abs=1)
    assert 0 < ssim(255 - images, images) + 1 < 1
