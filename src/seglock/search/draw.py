"""What a study tries next: what is planned, the leading lock once more, or what was never tried.

The best of many single measurements is also the luckiest: two keys of one lock may be 0.1 apart in
what they leave to others. So the leading lock is tried under other keys before it is recommended.

In a space of a few dozen locks a sampler soon draws what it drew before. It is asked again on a
copy of the study, so that nothing is left behind in the study itself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seglock.results.tradeoff import beyond_limits
from seglock.search.recommend import recommend
from seglock.search.samplers import make_sampler
from seglock.search.space import grid, identity, planned_points, suggest
from seglock.search.study import MEASURED, noted, points
from seglock.steps import parse_step, plan_count

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from seglock.config import Params, SearchParams
    from seglock.search.point import Point
    from seglock.search.study import StudyLog

DRAWS = 5
"""How often the sampler is asked before any untried point is taken, at random."""


def next_point(log: StudyLog, trials: Sequence[FrozenTrial], params: Params) -> Point | None:
    """The point of the next trial; None where a grid is at its end, else where the sampler should
    ask by itself."""
    tried = points(trials)
    known = {identity(point) for point in tried.values()}
    for point in planned_points(params):
        if identity(point) not in known:
            return point
    leading = _point_to_confirm(log, tried, params.search)
    if leading is not None or params.search.sampler == "grid":
        return leading
    return draw_untried(log.study, trials, list(tried.values()), params)


def _point_to_confirm(
    log: StudyLog, tried: Mapping[int, Point], search: SearchParams
) -> Point | None:
    """The leading choice, while it has been tried under fewer than ``1 + search.confirm`` keys.

    None before the study's last ``search.confirm`` trials, and where no lock leads.
    """
    if search.trials - len(tried) > search.confirm:
        return None
    costs = list(dict.fromkeys(point.cost for point in tried.values()))
    advice = recommend(log.records(), log.baselines(costs, search.baseline_seeds), search)
    if advice.trial is None:
        return None
    leading = tried[advice.trial]
    keys = sum(point == leading for point in tried.values())
    return leading if keys <= search.confirm else None


def draw_untried(
    study: Study, trials: Sequence[FrozenTrial], tried: Sequence[Point], params: Params
) -> Point | None:
    """The sampler's next point that is not in ``tried``; None where it should ask by itself.

    That is where every point was tried, where a range makes repetitions unlikely, and for NSGA-II,
    whose populations live in the study and repeat points on purpose; never for a Gaussian process,
    which needs every limit of each trial, also of those told before there was one of them. A lock
    of too few keys is not drawn: that it cannot be recommended is known before its training.
    """
    search = params.search
    known = {identity(point) for point in tried}
    points = grid(params)
    known |= {identity(point) for point in points if _bits(point, search) < search.min_key_bits}
    rest = [point for point in points if identity(point) not in known]
    if search.sampler == "nsga2" or not (rest or search.sampler == "gp"):
        return None
    import optuna

    copy = optuna.create_study(
        directions=study.directions, sampler=make_sampler(search, len(trials))
    )
    copy.add_trials(_judged_now(trial, search) for trial in trials if trial.state.name != "WAITING")
    for _ in range(DRAWS):
        point = suggest(copy.ask(), params)
        if identity(point) not in known or not rest:
            return point
    return random.Random(f"{search.seed}/{len(trials)}").choice(rest)  # noqa: S311 - no secret


def _bits(point: Point, search: SearchParams) -> float:
    """Of the key space of a point's lock."""
    steps = [parse_step(step) for step in point.steps]
    return math.log2(plan_count(steps, search.space.ffx_password))


def limits_of(measured: Mapping[str, Any], search: SearchParams) -> dict[str, float]:
    """A complete trial's constraints, from its figures by TrialRecord's names."""
    figures = (measured["drop"], measured["regained"], measured.get("key_space_bits"))
    return beyond_limits(*figures, search)


def _judged_now(trial: FrozenTrial, search: SearchParams) -> FrozenTrial:
    """A trial by the limits of today: those it was told with may have been others."""
    from optuna.trial import create_trial

    limits, figures = trial.constraints, noted(trial).get(MEASURED)
    if figures and trial.state.name == "COMPLETE":
        limits = limits_of(figures, search)
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
        constraints=limits,
    )
