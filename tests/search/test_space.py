"""The study's space: its grid, the paper's points, and the way to Optuna and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglock.config import RangeParams, RefuseParams, check_params, load_profile
from seglock.errors import ConfigError
from seglock.search.point import Point
from seglock.search.space import (
    apply_point,
    baseline_point,
    grid,
    planned_points,
    search_space,
    suggest,
    to_suggestions,
)

if TYPE_CHECKING:
    from optuna import Study

    from seglock.config import Params

ROOT = Path(__file__).parents[2]
FULL: dict[str, Any] = {
    "steps": ["np", "np+shf"],
    "block_size": [2, 4],
    "fraction": ["published", 25],
    "refuse": [None, 0.1],
    "lr": {"low": 0.05, "high": 0.5},
    "weight_decay": [0, 0.001],
    "epochs": [6, 9],
    "image_side": [32, 64],
}


def params_with(space: dict[str, Any], **search: Any) -> Params:
    locks = {"baseline": {"steps": []}, "shf-64": {"steps": ["shf-64"]}}
    return check_params({"locks": locks, "search": {"space": space} | search})


def new_study(seed: int = 0) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)


def test_the_grid_is_every_combination_once_and_in_order() -> None:
    params = params_with(FULL | {"lr": [0.1, 0.2]})
    points = grid(params)
    assert len(points) == len(set(points)) == 2**8
    assert points[0] == Point("np", 2, None, 0.1, 0.0, 6, 32)
    assert points[1].image_side == 64
    assert points[-1] == Point("np+shf", 4, 25, 0.2, 0.001, 9, 64, refuse=0.1)


def test_what_the_space_leaves_alone_is_params_yamls() -> None:
    points = grid(params_with({"steps": ["np"]}))
    assert points == [Point("np", m, None, 0.2, 0.0005, 12, 64) for m in (2, 4, 8, 16, 32, 64)]


@pytest.mark.parametrize(
    ("sides", "blocks"), [([12], [2, 3, 4, 6, 12]), ([16, 24], [2, 4, 8]), ([7], [7]), ([1], [1])]
)
def test_block_sides_that_are_not_named_are_all_that_divide(
    sides: list[int], blocks: list[int]
) -> None:
    locks = {"baseline": {"steps": []}}
    space = {"steps": ["np"], "image_side": sides}
    points = grid(check_params({"locks": locks, "search": {"space": space}}))
    assert sorted({point.block_size for point in points}) == blocks


def test_the_same_lock_in_two_spellings_is_one_point_of_the_grid() -> None:
    fractions = [50, "published", 100]
    points = grid(params_with({"steps": ["np+shf"], "block_size": [4], "fraction": fractions}))
    assert [point.fraction for point in points] == [50, None, 100]
    points = grid(params_with({"steps": ["np"], "block_size": [4], "fraction": [50, "published"]}))
    assert [point.fraction for point in points] == [50]


def test_a_range_has_no_grid() -> None:
    assert grid(params_with(FULL)) == []


def test_the_papers_24_points_are_the_grid_of_its_profile() -> None:
    params = load_profile(ROOT / "profiles" / "paper.yaml")
    points = planned_points(params)
    assert len(points) == 24
    assert {(p.pattern, p.block_size) for p in points} == {
        (method, 2**k) for method in ("shf", "np", "ffx") for k in range(1, 9)
    }
    assert {(p.fraction, p.lr, p.epochs, p.image_side) for p in points} == {(None, 0.1, 100, 256)}
    assert set(grid(params)) == set(points)


def test_published_blocks_divide_every_side() -> None:
    params = params_with({"image_side": [48, 64], "block_size": [2]}, enqueue="published")
    assert {point.block_size for point in planned_points(params)} == {2, 4, 8, 16}


def test_an_enqueued_lock_has_the_recipe_nearest_to_params_yamls() -> None:
    space = FULL | {"lr": {"low": 0.3, "high": 0.5}, "image_side": [16, 48]}
    space |= {"weight_decay": [0, 0.0008]}
    params = params_with(space, enqueue=["np-4+shf-4", "ffx-8-f10 refuse 0.5"])
    assert planned_points(params) == [
        Point("np+shf", 4, None, 0.3, 0.0008, 9, 48),
        Point("ffx", 8, 10, 0.3, 0.0008, 9, 48, refuse=0.5),
    ]


def test_only_what_has_more_than_one_choice_is_a_parameter() -> None:
    fixed = params_with({"steps": ["np"], "block_size": [4], "lr": [0.3], "epochs": [6]})
    assert search_space(fixed) == {}
    trial = new_study().ask()
    assert suggest(trial, fixed) == Point("np", 4, None, 0.3, 0.0005, 6, 64)
    assert trial.params == {}
    assert to_suggestions(suggest(trial, fixed), fixed) == {}


def test_parameters_have_the_spaces_names_and_kinds() -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    params = params_with(FULL)
    assert list(search_space(params)) == list(FULL)
    trial = new_study().ask()
    suggest(trial, params)
    assert trial.distributions == {
        "steps": CategoricalDistribution(["np", "np+shf"]),
        "block_size": CategoricalDistribution([2, 4]),
        "fraction": CategoricalDistribution(["published", 25]),
        "refuse": CategoricalDistribution([0.0, 0.1]),
        "lr": FloatDistribution(0.05, 0.5, log=True),
        "weight_decay": CategoricalDistribution([0.0, 0.001]),
        "epochs": CategoricalDistribution([6, 9]),
        "image_side": CategoricalDistribution([32, 64]),
    }


def test_an_enqueued_lock_outside_the_space_is_one_optuna_takes() -> None:
    params = params_with(
        {"steps": ["np"], "block_size": [4, 8]}, enqueue=["ffx-16-f10", "np-4+shf-4"]
    )
    study = new_study()
    wanted = planned_points(params)
    for point in wanted:
        study.enqueue_trial(to_suggestions(point, params))
    assert [suggest(study.ask(), params) for _ in wanted] == wanted
    drawn = {suggest(study.ask(), params).pattern for _ in range(60)}
    assert drawn == {"np", "ffx", "np+shf"}
    assert all(point.pattern == "np" for point in grid(params))


def test_published_points_go_through_optuna_at_any_space() -> None:
    params = params_with({"steps": ["np+shf"], "block_size": [2]}, enqueue="published")
    study = new_study()
    wanted = planned_points(params)
    for point in wanted:
        study.enqueue_trial(to_suggestions(point, params))
    assert [suggest(study.ask(), params) for _ in wanted] == wanted
    assert len(wanted) == 18


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_point_comes_back_from_its_suggestions(seed: int) -> None:
    params = params_with(FULL, enqueue=["ffx-8"])
    study = new_study(seed)
    point = suggest(study.ask(), params)
    study.enqueue_trial(to_suggestions(point, params))
    assert suggest(study.ask(), params) == point


def test_a_trials_own_params() -> None:
    params = params_with(FULL, trials=5)
    point = Point("np+shf", 4, 25, 0.3, 0.001, 6, 32)
    own = apply_point(params, point, seed=7)
    assert (own.train.lr, own.train.weight_decay, own.train.epochs) == (0.3, 0.001, 6)
    assert (own.train.seed, own.data.image_side) == (7, 32)
    # shf-64 of params.yaml would not fit this side.
    assert list(own.locks) == ["baseline", "np-4-f25_shf-4-f25"]
    assert own.locks[point.lock].steps == list(point.steps)
    assert (own.search, own.model, own.evaluate) == (params.search, params.model, params.evaluate)
    assert params.train.lr == 0.2
    assert check_params(own.model_dump(mode="json")) == own


def test_the_ffx_password_of_the_study_is_the_locks() -> None:
    params = params_with({"ffx_password": "fixed"})
    own = apply_point(params, Point("ffx", 4, None, 0.2, 0.0005, 12, 64), seed=0)
    assert own.locks["ffx-4"].ffx_password == "fixed"


def test_a_trials_lock_refuses_with_the_points_weight() -> None:
    params = params_with(FULL)
    for weight, refuse in ((0.1, RefuseParams(weight=0.1)), (0.0, None)):
        point = Point("np", 8, None, 0.2, 0.0005, 12, 64, refuse=weight)
        own = apply_point(params, point, seed=0)
        assert own.locks[point.lock].refuse == refuse


def test_a_baseline_keeps_its_own_recipe_at_the_trials_cost() -> None:
    params = params_with(FULL)
    point = baseline_point(params, epochs=6, image_side=32)
    assert (point.steps, point.lock) == ((), "baseline")
    own = apply_point(params, point, seed=2)
    assert (own.train.lr, own.train.weight_decay) == (0.2, 0.0005)
    assert (own.train.epochs, own.data.image_side, own.train.seed) == (6, 32, 2)
    assert list(own.locks) == ["baseline"]


def test_a_recipe_that_cannot_be_trained_is_refused() -> None:
    params = params_with({})
    with pytest.raises(ConfigError, match=r"np-4 has 1 fault:\n  train\.min_lr must be <= train"):
        apply_point(params, Point("np", 4, None, 0.00001, 0.0, 12, 64), seed=0)


def test_a_range_is_shown_as_one() -> None:
    assert search_space(params_with(FULL))["lr"] == RangeParams(low=0.05, high=0.5)
