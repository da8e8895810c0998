"""Which part of the trade-off a panel of the Pareto figure shows."""

from __future__ import annotations

from collections.abc import Sequence

from seglock.results.study import Limits, Study
from seglock.results.trial import BaselineRecord, MeasuredTrial

_ZOOM_FROM = 0.62  # a second panel is drawn where it shows less than this share of an axis
_SHOWN_LIMITS = 3.0  # it reaches this many times as far as the limits

View = tuple[float, float, float, float]
"""Least and most unauthorised, least and most of the owner."""


def whole_view(study: Study) -> View:
    """All trials, baseline and floor, with a margin."""
    baseline = study.baseline
    xs = [found.unauthorised for found in study.measured]
    ys = [found.owner for found in study.measured]
    if baseline:
        xs.append(baseline.floor)
        ys += [*baseline.owner_miou, baseline.mean - study.limits.max_drop]
    return _padded(xs or [0.0, 1.0], ys or [0.0, 1.0])


def near_view(study: Study, whole: View) -> View | None:
    """The corner around the limits with the locks of the front; None where it is most of all."""
    baseline = study.baseline
    if baseline is None or not study.measured:
        return None
    lead = baseline.mean - baseline.floor
    reach = max(study.limits.max_regained, 0.1) * lead * _SHOWN_LIMITS
    depth = max(study.limits.max_drop, 0.02) * _SHOWN_LIMITS
    shown = [
        found
        for found in study.front_trials
        if found.trial.number == study.recommendation.chosen
        or (found.unauthorised <= baseline.floor + reach and found.owner >= baseline.mean - depth)
    ]
    xs = [found.unauthorised for found in shown]
    ys = [found.owner for found in shown]
    edge = baseline.floor + study.limits.max_regained * lead
    view = _padded(
        [*xs, baseline.floor, edge],
        [*ys, *baseline.owner_miou, baseline.mean - study.limits.max_drop],
    )
    shares = (
        (view[1] - view[0]) / (whole[1] - whole[0]),
        (view[3] - view[2]) / (whole[3] - whole[2]),
    )
    return view if shown and min(shares) < _ZOOM_FROM else None


def within_limits(
    limits: Limits, baseline: BaselineRecord, left: float, top: float
) -> tuple[list[float], list[float]]:
    """Corners (xs, ys) of what keeps both limits, from ``left`` and up to ``top``."""
    least = max(baseline.mean - limits.max_drop, baseline.floor)  # below it all is regained
    top = max(top, least)
    # regained <= r  is  unauthorised <= floor + r (owner - floor).
    edge = [
        baseline.floor + limits.max_regained * (owner - baseline.floor) for owner in (least, top)
    ]
    return [left, *edge, left], [least, least, top, top]


def is_in(found: MeasuredTrial, view: View) -> bool:
    return view[0] <= found.unauthorised <= view[1] and view[2] <= found.owner <= view[3]


def _padded(xs: Sequence[float], ys: Sequence[float]) -> View:
    wide = max(max(xs) - min(xs), 0.02)
    high = max(max(ys) - min(ys), 0.02)
    return (
        min(xs) - 0.2 * wide,
        max(xs) + 0.1 * wide,
        min(ys) - 0.1 * high,
        max(ys) + 0.14 * high,
    )
