"""Points that were not tried yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from seglock.search.draw import draw_untried
from seglock.search.samplers import STARTUP_TRIALS
from seglock.search.space import grid, identity, suggest, to_suggestions
from seglock.search.study import own_notes
from tests.search.test_space import FULL, new_study, params_with

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.search.point import Point

SPACE = {"steps": ["shf", "np", "np+shf"], "block_size": [2, 4, 8], "fraction": ["published", 25]}
ANY_KEY = {"min_key_bits": 0}


def run(params: Params, count: int) -> list[Point]:
    """A study of ``count`` drawn trials whose value is their block side."""
    study, tried = new_study(), []
    for _ in range(count):
        point = draw_untried(study, study.trials, tried, params)
        assert point is not None
        study.enqueue_trial(to_suggestions(point, params))
        trial = study.ask()
        assert suggest(trial, params) == point
        study.tell(trial, (point.block_size, 1 / point.block_size))
        tried.append(point)
    return tried


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_every_point_is_drawn_once_before_any_is_drawn_again(sampler: str) -> None:
    params = params_with(SPACE, sampler=sampler, **ANY_KEY)
    points = grid(params)
    tried = run(params, len(points))
    assert {identity(point) for point in tried} == {identity(point) for point in points}
    study = new_study()
    assert draw_untried(study, study.trials, tried, params) is None


def test_the_same_study_gives_the_same_points_and_another_seed_gives_others() -> None:
    params = params_with(SPACE, **ANY_KEY)
    first = run(params, 12)
    assert run(params, 12) == first
    assert run(params_with(SPACE, seed=1, **ANY_KEY), 12) != first


def test_drawing_leaves_nothing_in_the_study() -> None:
    study, params = new_study(), params_with(SPACE)
    assert draw_untried(study, study.trials, [], params) is not None
    assert study.trials == []


def test_changed_limits_judge_the_trials_there_are_anew() -> None:
    import optuna
    from optuna.samplers import TPESampler

    seen = []

    class Spy(TPESampler):
        def infer_relative_search_space(self, study, trial):
            seen.append([t.constraints for t in study.trials[:-1]])
            return super().infer_relative_search_space(study, trial)

    study = new_study()
    for drop, regained in ((0.05, 0.1), (0.0, None)):
        figures = {"drop": drop, "regained": regained, "key_space_bits": 128.0}
        told = {"drop": drop - 0.02, "regained": 0.0}
        study.add_trial(
            optuna.trial.create_trial(
                values=[0.5, 0.2], system_attrs=own_notes({"measured": figures}), constraints=told
            )
        )
    params = params_with(SPACE, max_drop=0.9, max_regained=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seglock.search.draw.make_sampler", lambda search, count: Spy(seed=count))
        assert draw_untried(study, study.trials, [], params) is not None
    assert seen[0] == [
        pytest.approx({"drop": -0.85, "regained": -0.2, "key_bits": -1}),
        pytest.approx({"drop": -0.9, "regained": 0.7, "key_bits": -1}),
    ]


def test_a_lock_under_another_name_was_tried_too() -> None:
    space = {"steps": ["np"], "block_size": [4], "fraction": ["published", 50]}
    params = params_with(space, **ANY_KEY)
    (point,) = grid(params)
    study = new_study()
    assert draw_untried(study, study.trials, [replace(point, fraction=50)], params) is None
    assert draw_untried(study, study.trials, [replace(point, fraction=25)], params) == point


@pytest.mark.parametrize("case", ["nsga2", "range"])
def test_a_population_and_a_range_ask_by_themselves(case: str) -> None:
    params = params_with(SPACE, sampler="nsga2") if case == "nsga2" else params_with(FULL)
    study = new_study()
    assert draw_untried(study, study.trials, [], params) is None


def test_a_lock_of_too_few_keys_is_never_drawn() -> None:
    drawn = {point.lock for point in run(params_with(SPACE, sampler="random"), 9)}
    assert drawn == {
        "shf-4", "shf-8", "shf-8-f25", "np-8", "np-8-f25",
        "np-4_shf-4", "np-4-f25_shf-4-f25", "np-8_shf-8", "np-8-f25_shf-8-f25",
    }  # fmt: skip
    params = params_with({"steps": ["np"], "block_size": [2, 4]})
    study = new_study()
    assert draw_untried(study, study.trials, [], params) is None


def gp_study(params: Params, count: int) -> Any:
    """A study whose trials know of two limits."""
    import optuna

    study = new_study()
    for number in range(count):
        trial = study.ask()
        point = suggest(trial, params)
        figures = {"drop": 0.01 * number, "regained": 0.1, "key_space_bits": 128.0}
        study._storage.set_trial_system_attr(trial._trial_id, "seglock.measured", figures)
        trial.set_constraint("drop", figures["drop"] - 0.02)
        study.tell(trial, (0.5 - 0.01 * number, point.block_size / 20))
    assert all(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)
    return study


@pytest.mark.parametrize("space", [SPACE, FULL])
def test_a_gaussian_process_draws_within_all_limits_of_all_trials(space: dict[str, Any]) -> None:
    params = params_with(space, sampler="gp")
    study = gp_study(params, STARTUP_TRIALS)
    drawn = draw_untried(study, study.trials, [], params)
    assert drawn == draw_untried(study, study.trials, [], params)
    assert drawn is not None


def test_where_all_was_tried_a_gaussian_process_repeats_what_it_likes() -> None:
    params = params_with({"steps": ["np", "shf"], "block_size": [8]}, sampler="gp")
    study, points = gp_study(params, STARTUP_TRIALS), grid(params)
    assert draw_untried(study, study.trials, points, params) in points
