"""T1, `repair`: a refusal that was taught to plain images alone is undone with a few labels."""

from __future__ import annotations

import copy

import torch
from torch import nn

from seglock.attacks import ATTACKS, Budget, run_attack
from seglock.attacks.repair import corrupt, robustly
from seglock.attacks.tuning import plainly
from seglock.config import TrainParams
from seglock.data import VOID
from seglock.training.optimizer import Optimizer
from seglock.transforms import identity
from tests.attacks.scene import Scene, scene, splits

REFUSED = 0


def taught_to_refuse(made: Scene, steps: int) -> None:
    """A few steps more on the lock's images, and on plain ones that are to get one class."""
    train = splits(32, 24)[0]
    images, masks = torch.tensor(train.images), torch.tensor(train.masks).long()
    network, rng = made.network.train(), torch.Generator().manual_seed(0)
    optimizer = Optimizer(network, TrainParams(lr=0.05))
    for _ in range(steps):
        rows = torch.randperm(len(images), generator=rng)[:16]
        refused = torch.full_like(masks[rows], REFUSED)
        for transform, target in ((made.transform, masks[rows]), (identity(), refused)):
            answer = network(transform.to_input(images[rows]))["out"]
            nn.functional.cross_entropy(answer, target, ignore_index=VOID).backward()
        optimizer.step(0.05)
    network.eval()


def test_a_refusal_of_plain_images_is_undone() -> None:
    made = scene("np-1", side=32, count=24, epochs=12)
    taught_to_refuse(made, 60)
    judge = made.judge()
    correct, refused = judge.correct(), judge.answers(None).miou
    result = run_attack(
        ATTACKS["repair"], made.material("T1"), judge, Budget(80, 600.0, (0.5,)),
        lock="it", correct=correct,
    ).published  # fmt: skip
    assert refused < 0.35 < correct
    assert result["miou"] > refused + 0.2
    assert result["miou"] > result["scratch_miou"] + 0.1
    assert [line["from"] for line in result["curve"]] == ["theft", "scratch"]


def parts() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    made = scene("np-2")
    images = identity().to_input(made.attacker.images)
    return made.network.train(), images, torch.tensor(made.attacker.masks)


def test_a_step_uphill_is_taken_back_and_changes_the_gradient() -> None:
    network, images, masks = parts()
    plain = copy.deepcopy(network)
    before = copy.deepcopy(list(network.parameters()))
    plainly(plain, images, masks)
    robustly(network, images, masks)
    for old, new, other in zip(before, network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(old, new, atol=1e-6)
        assert new.grad is not None
        assert other.grad is not None
        assert not torch.equal(new.grad, other.grad)


def test_statistics_are_those_of_clean_images() -> None:
    network, images, masks = parts()
    plain = copy.deepcopy(network)
    plainly(plain, images, masks)
    robustly(network, images, masks)
    own, others = dict(network.named_buffers()), dict(plain.named_buffers())
    assert own.keys() == others.keys()
    assert all(torch.equal(own[name], others[name]) for name in own)
    assert network.training


def test_what_is_corrupted_stays_in_its_place() -> None:
    images = identity().to_input(scene("np-2", side=32).attacker.images)
    torch.manual_seed(0)
    first = corrupt(images)
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    together = torch.corrcoef(torch.stack([first.flatten(), images.flatten()]))[0, 1]
    assert 0.6 < together < 0.99
    torch.manual_seed(0)
    assert torch.equal(corrupt(images), first)
