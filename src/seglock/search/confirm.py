"""The leading lock once more, under other keys, before a study recommends it.

The best of many single measurements is also the luckiest: two keys of one lock may be 0.1 apart in
what they leave to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from seglock.search.measured import cost_of
from seglock.search.recommend import recommend

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.search.point import Point
    from seglock.search.study import StudyLog


def point_to_confirm(
    log: StudyLog, points: Mapping[int, Point], search: SearchParams
) -> Point | None:
    """The leading choice, while it has been tried under fewer than ``1 + search.confirm`` keys.

    points: of every trial that counts or is under way. None before the study's last
    ``search.confirm`` trials, and where no lock leads.
    """
    if search.trials - len(points) > search.confirm:
        return None
    costs = list(dict.fromkeys(map(cost_of, points.values())))
    advice = recommend(log.records(), log.baselines(costs, search.baseline_seeds), search)
    if advice.trial is None:
        return None
    leading = points[advice.trial]
    keys = sum(point == leading for point in points.values())
    return leading if keys <= search.confirm else None
