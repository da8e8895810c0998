"""The relaxed plan, and planted weak cases that its gradient must break."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from seglock.attacks import ATTACKS, Budget, Meter, run_attack
from seglock.attacks.blocks import block_grid, grid_images
from seglock.attacks.exchanges import GuidedMoves
from seglock.attacks.guesses import guess
from seglock.attacks.labels import by_labels
from seglock.attacks.relaxed import (
    RelaxedPlan,
    draw_masks,
    draw_orders,
    permissible,
    sinkhorn,
)
from seglock.attacks.soft_plan import inputs_under, kinds_of, soft_plan
from seglock.transforms import Transform
from seglock.transforms.exchange import neighbour
from tests.attacks.scene import CPU, Scene, scene

LOCKS = [
    ("np-4",), ("shf-4",), ("ffx-4",), ("np-4-f25", "shf-4"), ("np-4", "shf-4", "ffx-4-f30"),
]  # fmt: skip
BUDGET = Budget(150, 600.0, (0.5,))


@lru_cache(maxsize=2)
def weak(*steps: str) -> Scene:
    return scene(*steps, side=32, count=24, epochs=12)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_a_whole_plan_gives_what_the_transform_gives(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    one = guess(made.facts, 0, 1)
    rows = block_grid(torch.tensor(made.attacker.images).float(), 4)
    found = grid_images(inputs_under(soft_plan(one, made.facts, CPU), rows, made.facts), 4)
    expected = Transform(made.facts.steps, one).to_input(made.attacker.images)
    assert torch.allclose(found, expected, atol=1e-5)


def test_drawn_plans_are_whole_and_have_a_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(12, 12, requires_grad=True)
    orders = draw_orders(logits, 5, 1.0)
    assert torch.allclose(orders.sum(1), torch.ones(5, 12))
    assert torch.allclose(orders.sum(2), torch.ones(5, 12))
    assert torch.allclose(orders.detach(), orders.detach().round(), atol=1e-5)
    orders[0, 0, 0].backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0
    mask = torch.full((48,), 2.0, requires_grad=True)
    masks = draw_masks(mask, 200, 1.0)
    assert set(masks.detach().round(decimals=4).unique().tolist()) <= {0.0, 1.0}
    assert masks.mean().item() == pytest.approx(1 / (1 + np.exp(-2)), abs=0.02)
    soft = sinkhorn(torch.randn(2, 6, 6), 50)
    assert torch.allclose(soft.sum(1), torch.ones(2, 6), atol=1e-3)
    assert torch.allclose(soft.sum(2), torch.ones(2, 6), atol=1e-3)


@pytest.mark.parametrize("steps", LOCKS, ids="+".join)
def test_a_hardened_plan_is_one_of_the_lock(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    relaxed, counts = RelaxedPlan(made.facts), {s.method: s.count for s in made.facts.steps}
    torch.manual_seed(0)
    with torch.no_grad():
        for logits in relaxed.parameters():
            logits += torch.randn_like(logits)
    found = relaxed.hardened()
    assert sorted(found.permutation) == list(range(48))
    kinds, table = kinds_of(found, made.facts)
    masks = [kinds >> bit & 1 for bit, _ in enumerate(made.facts.substitutes)]
    if len(masks) == 2 and masks[0].sum() != counts["np"]:  # a table and its mirror are one plan
        masks[0] ^= masks[1]
    for mask, method in zip(masks, made.facts.substitutes, strict=True):
        assert mask.sum() == counts[method.name]
    if table is not None:
        assert len(set(table.tolist())) == 256
        assert (table.min() >= 0, table.max()) == (True, 999)


def test_it_begins_at_what_is_public() -> None:
    full, partial = (RelaxedPlan(scene(step).facts).order for step in ("shf-2", "shf-2-f50"))
    assert full is not None
    assert partial is not None
    assert not full.any()
    assert (partial.diagonal() > 1).all()
    fixed = RelaxedPlan(scene("ffx-2", ffx_password="fixed").facts)
    truth = scene("ffx-2", ffx_password="fixed").transform._plan
    assert np.array_equal(fixed.hardened().tables, truth.tables)
    assert [name for name, p in fixed.named_parameters() if p.requires_grad] == ["masks.0"]
    (shares,) = RelaxedPlan(scene("np-4-f25").facts).masks
    assert torch.allclose(torch.sigmoid(shares), torch.tensor(0.25))


def test_tables_are_one_to_one() -> None:
    table = permissible(np.full(256, 0.5), 1000)
    assert len(set(table.tolist())) == 256
    assert abs(np.median(table) - 500) < 5


@pytest.mark.parametrize("steps", [("np-2",), ("np-1", "shf-1")], ids="+".join)
def test_a_small_block_falls(steps: tuple[str, ...]) -> None:
    made = weak(*steps)
    judge = made.judge()
    result = run_attack(
        ATTACKS["gradient"], made.material("T1"), judge, BUDGET,
        lock="it", correct=judge.correct(),
    ).published  # fmt: skip
    assert result["regained"] > 0.97
    if steps[0].startswith("np") and len(steps) == 1:
        assert result["plan_found"]
    course = [score for _, score in result["course"]]
    assert course == sorted(course, reverse=True)


def test_it_finds_more_than_random_exchanges_with_fewer_queries() -> None:
    made = weak("np-8")
    judge = made.judge()
    scores = {}
    for name in ("gradient", "hill-climb"):
        result = run_attack(
            ATTACKS[name], made.material("T1"), judge, BUDGET,
            lock="it", correct=judge.correct(),
        ).published  # fmt: skip
        scores[name] = result["regained"]
    assert scores["gradient"] > scores["hill-climb"] + 0.1


@pytest.mark.parametrize("steps", [("np-4",), ("shf-4",)], ids="+".join)
def test_the_gradient_proposes_better_exchanges_than_chance(steps: tuple[str, ...]) -> None:
    made, meter = weak(*steps), Meter(Budget(100, 60.0))
    masks = torch.tensor(made.attacker.masks[:16])
    rows = block_grid(torch.tensor(made.attacker.images[:16]).float(), 4)
    moves = GuidedMoves(made.facts, made.network, rows, masks, meter, 0)
    judged, rng = by_labels(made.material("T1"), 1.0), np.random.default_rng(0)
    gains = []
    for number in range(6):
        start = guess(made.facts, 0, number)
        guided, by_chance = (
            moves(start, 8),
            [neighbour(start, rng, shuffles=made.facts.shuffles) for _ in range(8)],
        )
        gains.append(float(judged(by_chance).min() - judged(guided).min()))
    assert np.mean(gains) > 0.02
    assert meter.queries == 6


def test_no_exchange_is_proposed_twice() -> None:
    made, meter = weak("np-1"), Meter(Budget(100, 60.0))
    rows = block_grid(torch.tensor(made.attacker.images).float(), 1)
    masks = torch.tensor(made.attacker.masks)
    moves = GuidedMoves(made.facts, made.network, rows, masks, meter, 0)
    start = guess(made.facts, 0, 0)
    first, second = moves(start, 8), moves(start, 8)
    assert (len(first), len(second)) == (2, 8)  # all single exchanges, then several at once
    assert not first[0].equals(first[1])
    assert meter.queries == 1
    assert not list(GuidedMoves(made.facts, made.network, rows, masks, spent(), 0)(start, 8))


def spent() -> Meter:
    """With one query left, which the gradient takes."""
    return Meter(Budget(1, 60.0))


def test_a_block_of_too_many_positions_says_so() -> None:
    why_not = ATTACKS["gradient"].why_not
    assert "12288 positions has 150994944 logits" in (why_not(scene("shf-64", side=64).facts) or "")
    assert why_not(scene("np-64", side=64).facts) is None
