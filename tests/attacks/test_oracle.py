"""T0: a network that refuses tells that a key is wrong, and a search may go by that."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch.nn import functional

from seglock.attacks import ATTACKS, Budget, Verdict, run_attack
from seglock.attacks.guesses import guess
from seglock.attacks.unlabelled import USUAL, Signals, sureness
from seglock.attacks.unsupervised import NearestPlans
from seglock.config import RefuseParams, TrainParams
from seglock.training.epoch import pixel_loss
from seglock.training.optimizer import Optimizer
from seglock.training.refusal import Refusal, batch_norm_still
from seglock.transforms import Unauthorised
from seglock.transforms.key_space import small_space
from tests.attacks.scene import CLASSES, CPU, KEY, Scene, scene, splits

SIDE, COUNT, EPOCHS = 32, 24, 12


@lru_cache(maxsize=2)
def refusing(steps: str) -> Scene:
    """A scene whose network is taught to refuse, as training does it."""
    made = scene(steps, side=SIDE, count=COUNT)
    train, network = splits(SIDE, COUNT)[0], made.network.train()
    images, masks = torch.tensor(train.images), torch.tensor(train.masks)
    others = Unauthorised(made.transform, KEY, RefuseParams(weight=0.5))
    refusal = Refusal.of(others, train.masks, CLASSES, CPU)
    optimizer = Optimizer(network, TrainParams(lr=0.1))
    torch.manual_seed(0)
    number = 0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(16):
            draw = others.draw(number)
            with batch_norm_still(network, by_batch=draw.batch_statistics):
                logits = network(draw.transform.to_input(images[rows]))["out"]
            target = refusal.targets(masks[rows]).long()
            (0.5 * functional.cross_entropy(logits, target)).backward()
            loss = pixel_loss(network(made.transform.to_input(images[rows]))["out"], masks[rows])
            (loss / masks[rows].numel()).backward()
            optimizer.step(0.1)
            number += 1
    network.eval()
    return made


def attacked(steps: str, queries: int) -> Verdict:
    made = refusing(steps)
    judge = made.judge()
    return run_attack(
        ATTACKS["unsupervised"], made.material("T0"), judge, Budget(queries, 600.0),
        lock="it", correct=judge.correct(),
    )  # fmt: skip


def test_a_refusal_is_noticed_and_gives_a_small_key_space_away() -> None:
    made = refusing("np-2")
    assert Signals(made.material("T0"), guesses(made)).refuses
    assert attacked("np-2", 150).published["plan_found"]


def test_it_leads_nowhere_in_a_large_one() -> None:
    made = refusing("np-8")
    assert Signals(made.material("T0"), guesses(made)).refuses
    verdict = attacked("np-8", 150)
    assert not verdict.published["plan_found"]
    assert not verdict.published["above_chance"]
    assert verdict.published["miou"] < 0.5 * verdict.published["correct"]


def guesses(made: Scene) -> list:
    return [guess(made.facts, 0, number) for number in range(USUAL)]


def test_a_network_that_answers_this_and_that_does_not_refuse() -> None:
    made = scene("np-2", side=SIDE, count=COUNT, epochs=12)
    assert not Signals(made.material("T0"), guesses(made)).refuses


def test_how_surely_one_answer_is_given() -> None:
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).view(2, 3, 1, 1)
    found = sureness(logits, torch.zeros((1, 1, 1), dtype=torch.long), 2)
    assert found.tolist() == pytest.approx([3 - np.log(2), -np.log(1 + np.e)])


def test_each_plan_of_a_list_is_tried_once_the_nearest_first() -> None:
    facts = scene("np-1").facts
    plans = small_space(facts.steps, "from_key", 10)
    assert plans is not None
    moves = NearestPlans(facts, plans, 0)
    first = moves(plans[1], 1)
    assert first[0].equals(plans[1])
    rest = moves(plans[1], 8)
    assert len(rest) == len(plans) - 1
    assert not any(one.equals(plans[1]) for one in rest)
    assert not moves(plans[1], 8)
