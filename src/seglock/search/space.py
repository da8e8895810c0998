"""The study's space: every point of it, a point from Optuna and back, a point's own params.

Optuna knows a parameter by the space's name for it: ``steps``, ``block_size``, ``fraction``,
``lr``, ``weight_decay``, ``epochs``, ``image_side``. What has one choice only is no parameter.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seglock.config import BASELINE, RangeParams, check_params
from seglock.config.search_locks import (
    PUBLISHED,
    LockChoice,
    enqueued_locks,
    lock_choices,
    published_locks,
)
from seglock.errors import ConfigError
from seglock.search.point import Point
from seglock.steps import parse_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optuna import Trial

    from seglock.config import Params

Choices = list[Any] | RangeParams


def grid(params: Params) -> list[Point]:
    """All points of the space, in its order; of several that are the same lock, the first.

    Raises ConfigError for a range, which has no end of points.
    """
    named = _choices(params, enqueued=False)
    for name, choices in named.items():
        if isinstance(choices, RangeParams):
            raise ConfigError(
                f"search.space.{name} must be a list for a grid",
                got="a range",
                fix="write the values to try",
            )
    found: dict[object, Point] = {}
    for values in itertools.product(*named.values()):
        point = _point(dict(zip(named, values, strict=True)))
        found.setdefault(identity(point), point)
    return list(found.values())


def is_finite(params: Params) -> bool:
    """Whether the space is all lists, so that `grid` can name every point."""
    choices = _choices(params, enqueued=False).values()
    return not any(isinstance(some, RangeParams) for some in choices)


def identity(point: Point) -> tuple[object, ...]:
    """What makes two points the same: ``np-4-f50`` is ``np-4``."""
    steps = tuple((s.method, s.block_size, s.count) for s in map(parse_step, point.steps))
    return steps, point.lr, point.weight_decay, point.epochs, point.image_side


def published_points(params: Params) -> list[Point]:
    """The paper's locks whose block side divides every image side: its 24 where that is 256.

    The recipe is params.yaml's, or the nearest that the space has.
    """
    return _with_recipe(published_locks(_sides(params)), params)


def enqueued_points(params: Params) -> list[Point]:
    """What ``search.enqueue`` asks to be tried before anything else, with the same recipe."""
    return _with_recipe(enqueued_locks(params.search.enqueue, _sides(params)), params)


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
    values: dict[str, Any] = {}
    for name, choices in _choices(params).items():
        if isinstance(choices, RangeParams):
            values[name] = trial.suggest_float(name, choices.low, choices.high, log=True)
        else:
            values[name] = (
                choices[0] if len(choices) == 1 else trial.suggest_categorical(name, choices)
            )
    return _point(values)


def to_suggestions(point: Point, params: Params) -> dict[str, Any]:
    """What ``enqueue_trial`` needs for ``suggest`` to give this point.

    Raises ConfigError for a point outside the space and what was enqueued.
    """
    values = asdict(point)
    values["steps"] = values.pop("pattern")
    values["fraction"] = PUBLISHED if point.fraction is None else point.fraction
    for name, choices in _choices(params).items():
        if not _has(choices, values[name]):
            raise ConfigError(
                f"a trial's {name} must be in search.space",
                got=values[name],
                fix="add it there or enqueue the lock",
            )
    return {name: values[name] for name in search_space(params)}


def apply_point(params: Params, point: Point | None, *, seed: int) -> Params:
    """The trial's own params: its recipe, image side and training seed in params.yaml's place.

    Of the locks the baseline stays, and the trial's own under its name; others might not fit its
    image side. None is the baseline at params.yaml's own cost. Raises ConfigError like a file.
    """
    point = point or baseline_point(params, params.train.epochs, params.data.image_side)
    plain = params.model_dump()
    recipe = {name: getattr(point, name) for name in ("lr", "weight_decay", "epochs")}
    plain["train"] |= {**recipe, "seed": seed}
    plain["data"]["image_side"] = point.image_side
    plain["locks"] = {BASELINE: {"steps": []}}
    if point.steps:
        password = params.search.space.ffx_password
        plain["locks"][point.lock] = {"steps": list(point.steps), "ffx_password": password}
    return check_params(plain, where=point.lock)


def _choices(params: Params, *, enqueued: bool = True) -> dict[str, Choices]:
    """Every name of the space with its choices, those that are params.yaml's own included."""
    space = params.search.space
    sides = _sides(params)
    added = enqueued_locks(params.search.enqueue, sides) if enqueued else []
    patterns, blocks, percents = lock_choices(dict(space), added, sides)
    own = params.train
    return {
        "steps": patterns,
        "block_size": blocks,
        "fraction": [PUBLISHED if percent is None else percent for percent in percents],
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


def _with_recipe(locks: Iterable[LockChoice], params: Params) -> list[Point]:
    train = params.train
    own = (train.lr, train.weight_decay, train.epochs, params.data.image_side)
    named = dict(zip(("lr", "weight_decay", "epochs", "image_side"), own, strict=True))
    choices = _choices(params)
    recipe = {name: _nearest(choices[name], value) for name, value in named.items()}
    return [Point(lock.pattern, lock.block_size, lock.percent, **recipe) for lock in locks]


def _nearest(choices: Choices, own: Any) -> Any:
    if isinstance(choices, RangeParams):
        return min(max(own, choices.low), choices.high)
    return min(choices, key=lambda choice: abs(choice - own))


def _has(choices: Choices, value: Any) -> bool:
    if isinstance(choices, RangeParams):
        return bool(choices.low <= value <= choices.high)
    return value in choices
