"""The schedule agrees with torch's own, step by step."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from seglock.config import TrainParams
from seglock.training import Schedule

STEPS = 5
PEAK, FLOOR = 0.2, 0.001


def recipe(**changes: Any) -> TrainParams:
    return TrainParams(**{"lr": PEAK, "min_lr": FLOOR, "epochs": 12, "restart_epochs": 4} | changes)


def torchs(shape: str, length: int, restart: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    made: lr_scheduler.LRScheduler
    if shape == "one_cycle":
        made = lr_scheduler.OneCycleLR(
            optimizer, PEAK, total_steps=length, cycle_momentum=False,
            final_div_factor=PEAK / 25 / FLOOR,
        )  # fmt: skip
    elif shape == "cosine_restarts":
        made = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, restart, eta_min=FLOOR)
    elif shape == "cosine":
        made = lr_scheduler.CosineAnnealingLR(optimizer, length, eta_min=FLOOR)
    else:
        made = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    rates = []
    for _ in range(length):
        rates.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer never steps here
            made.step()
    return rates


@pytest.mark.parametrize("per", ["step", "epoch"])
@pytest.mark.parametrize("shape", ["one_cycle", "cosine_restarts", "cosine", "constant"])
def test_each_shape_is_torchs(shape: str, per: str) -> None:
    schedule = Schedule.of(recipe(schedule=shape, schedule_per=per), STEPS)
    ours = [schedule.lr(step) for step in range(12 * STEPS)]
    if per == "epoch":
        expected = [rate for rate in torchs(shape, 12, 4) for _ in range(STEPS)]
    else:
        expected = torchs(shape, 12 * STEPS, 4 * STEPS)
    assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", ["cosine_restarts", "cosine", "constant"])
def test_warm_up_climbs_as_linear_lr_and_then_the_shape_begins(shape: str) -> None:
    schedule = Schedule.of(recipe(schedule=shape, warmup_epochs=2), STEPS)
    warm = [schedule.lr(step) for step in range(2 * STEPS)]
    assert warm == pytest.approx([PEAK * (step + 1) / 11 for step in range(10)])
    rest = [schedule.lr(step) for step in range(2 * STEPS, 12 * STEPS)]
    assert rest == pytest.approx(torchs(shape, 10 * STEPS, 4 * STEPS), rel=1e-9)


def test_one_cycle_of_a_single_step_trains_at_the_peak() -> None:
    assert Schedule.of(recipe(epochs=1, schedule_per="epoch"), STEPS).lr(3) == PEAK


def test_the_papers_recipe_restarts_every_ten_epochs() -> None:
    paper = recipe(
        lr=0.1, min_lr=1e-4, epochs=100, restart_epochs=10, schedule="cosine_restarts",
        schedule_per="epoch",
    )  # fmt: skip
    schedule = Schedule.of(paper, 5)
    assert [schedule.lr(step) for step in (0, 50, 100)] == pytest.approx([0.1] * 3)
    assert schedule.lr(49) == pytest.approx(0.00254, abs=1e-4)
