"""The study's space: every point of it, a point from Optuna and back, a point's own params.

Optuna knows a parameter by the space's name for it: ``steps``, ``block_size``, ``fraction``,
``refuse``, ``lr``, ``weight_decay``, ``epochs``, ``image_side``. What has one choice only is no
parameter.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seglock.config import BASELINE, RangeParams, check_params
from seglock.config.search_locks import (
    PUBLISHED,
    enqueued_locks,
    lock_choices,
)
from seglock.search.point import Point
from seglock.steps import parse_step

if TYPE_CHECKING:
    from optuna import Trial

    from seglock.config import Params

Choices = list[Any] | RangeParams
_RECIPE = ("lr", "weight_decay", "epochs", "image_side")


def grid(params: Params) -> list[Point]:
    """All points of the space, in its order; of several that are the same lock, the first.

    None at all where a range has no end of points.
    """
    named = _choices(params, enqueued=False)
    if any(isinstance(choices, RangeParams) for choices in named.values()):
        return []
    found: dict[object, Point] = {}
    for values in itertools.product(*named.values()):
        point = _point(dict(zip(named, values, strict=True)))
        found.setdefault(identity(point), point)
    return list(found.values())


def identity(point: Point) -> tuple[object, ...]:
    """What makes two points the same: ``np-4-f50`` is ``np-4``."""
    steps = tuple((s.method, s.block_size, s.count) for s in map(parse_step, point.steps))
    return steps, point.refuse, point.lr, point.weight_decay, point.epochs, point.image_side


def planned_points(params: Params) -> list[Point]:
    """What is tried before a sampler is asked: what ``search.enqueue`` names, then the whole grid
    where that is the sampler.

    What is enqueued has params.yaml's recipe, or the nearest that the space has.
    """
    train, choices = params.train, _choices(params)
    own = (train.lr, train.weight_decay, train.epochs, params.data.image_side)
    recipe = {
        name: _nearest(choices[name], value) for name, value in zip(_RECIPE, own, strict=True)
    }
    locks = enqueued_locks(params.search.enqueue, _sides(params))
    planned = [Point(**asdict(lock), **recipe) for lock in locks]
    return planned + (grid(params) if params.search.sampler == "grid" else [])


def baseline_point(params: Params, epochs: int, image_side: int) -> Point:
    """The plain network of a cost, with params.yaml's learning rate and weight decay."""
    train = params.train
    return Point("", 1, None, train.lr, train.weight_decay, epochs, image_side)


def search_space(params: Params) -> dict[str, Choices]:
    """Optuna's parameters: each that has more than one choice, with its list or range.

    Enqueued locks are part of it, for Optuna knows one list a parameter for the whole study;
    hence a study whose ``search.enqueue`` has changed may be another study.
    """
    named = _choices(params)
    return {name: c for name, c in named.items() if isinstance(c, RangeParams) or len(c) > 1}


def suggest(trial: Trial, params: Params) -> Point:
    """The sampler's next point. Lists are categorical, ranges logarithmic."""

    def chosen(name: str, choices: Choices) -> Any:
        if isinstance(choices, RangeParams):
            return trial.suggest_float(name, choices.low, choices.high, log=True)
        return choices[0] if len(choices) == 1 else trial.suggest_categorical(name, choices)

    return _point({name: chosen(name, choices) for name, choices in _choices(params).items()})


def to_suggestions(point: Point, params: Params) -> dict[str, Any]:
    """What ``enqueue_trial`` needs for ``suggest`` to give this point of the space."""
    values = asdict(point)
    values["steps"] = values["pattern"]
    values["fraction"] = PUBLISHED if point.fraction is None else point.fraction
    return {name: values[name] for name in search_space(params)}


def apply_point(params: Params, point: Point, *, seed: int) -> Params:
    """The trial's own params: its recipe, image side and training seed in params.yaml's place.

    Of the locks the baseline stays, and the trial's own under its name; others might not fit its
    image side. Raises ConfigError like a file.
    """
    plain = params.model_dump()
    recipe = {name: getattr(point, name) for name in ("lr", "weight_decay", "epochs")}
    plain["train"] |= {**recipe, "seed": seed}
    plain["data"]["image_side"] = point.image_side
    plain["locks"] = {BASELINE: {"steps": []}}
    if point.steps:
        password = params.search.space.ffx_password
        plain["locks"][point.lock] = {
            "steps": list(point.steps),
            "ffx_password": password,
            "refuse": point.refuse or None,
        }
    return check_params(plain, where=point.lock)


def _choices(params: Params, *, enqueued: bool = True) -> dict[str, Choices]:
    """Every name of the space with its choices, those that are params.yaml's own included."""
    space = params.search.space
    sides = _sides(params)
    added = enqueued_locks(params.search.enqueue, sides) if enqueued else []
    patterns, blocks, percents, weights = lock_choices(dict(space), added, sides)
    own = params.train
    return {
        "steps": patterns,
        "block_size": blocks,
        "fraction": [PUBLISHED if percent is None else percent for percent in percents],
        "refuse": weights,
        "lr": space.lr or [own.lr],
        "weight_decay": space.weight_decay or [own.weight_decay],
        "epochs": space.epochs or [own.epochs],
        "image_side": sides,
    }


def _sides(params: Params) -> list[int]:
    return params.search.space.image_side or [params.data.image_side]


def _point(values: dict[str, Any]) -> Point:
    own = dict(values)
    fraction = None if own["fraction"] == PUBLISHED else own["fraction"]
    return Point(own.pop("steps"), **own | {"fraction": fraction})


def _nearest(choices: Choices, own: Any) -> Any:
    if isinstance(choices, RangeParams):
        return min(max(own, choices.low), choices.high)
    return min(choices, key=lambda choice: abs(choice - own))
