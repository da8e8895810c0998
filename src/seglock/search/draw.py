"""A point that the study has not tried yet, as its sampler would draw it.

In a space of a few dozen locks a sampler soon draws what it drew before. It is asked again on a
copy of the study, so that nothing is left behind in the study itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seglock.search.measured import constraints
from seglock.search.samplers import make_sampler
from seglock.search.space import grid, identity, is_finite, suggest

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from seglock.config import Params, SearchParams
    from seglock.search.point import Point

DRAWS = 5
"""How often the sampler is asked before any untried point is taken, at random."""


def draw_untried(
    study: Study,
    trials: Sequence[FrozenTrial],
    tried: Sequence[Point],
    params: Params,
    *,
    measured: str,
) -> Point | None:
    """The sampler's next point that is not in ``tried``; None where it should ask by itself.

    That is where every point was tried, where a range makes repetitions unlikely, and for NSGA-II,
    whose populations live in the study and repeat points on purpose. ``measured`` names the
    trials' user attribute with their figures.
    """
    search = params.search
    if search.sampler == "nsga2" or not is_finite(params):
        return None
    known = {identity(point) for point in tried}
    rest = [point for point in grid(params) if identity(point) not in known]
    if not rest:
        return None
    import optuna

    copy = optuna.create_study(
        directions=study.directions, sampler=make_sampler(search, len(trials))
    )
    copy.add_trials(
        _judged_now(trial, search, measured) for trial in trials if trial.state.name != "WAITING"
    )
    for _ in range(DRAWS):
        point = suggest(copy.ask(), params)
        if identity(point) not in known:
            return point
    return random.Random(f"{search.seed}/{len(trials)}").choice(rest)  # noqa: S311 - no secret


def _judged_now(trial: FrozenTrial, search: SearchParams, measured: str) -> FrozenTrial:
    """A trial by the limits of today: those it was told with may have been others."""
    from optuna.trial import create_trial

    figures = trial.user_attrs.get(measured) if trial.state.name == "COMPLETE" else None
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
        constraints=constraints(figures, search) if figures else trial.constraints,
    )
