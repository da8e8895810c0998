"""A point's lock: its name, and steps that parse."""

from __future__ import annotations

import pytest

from seglock.search.point import Point
from seglock.steps import parse_step


@pytest.mark.parametrize(
    ("pattern", "fraction", "steps"),
    [
        ("np", None, ("np-8",)),
        ("shf", 25, ("shf-8-f25",)),
        ("np+shf+ffx", 5, ("np-8-f5", "shf-8-f5", "ffx-8-f5")),
        ("", None, ()),
    ],
)
def test_steps_and_name(pattern: str, fraction: int | None, steps: tuple[str, ...]) -> None:
    point = Point(pattern, 8, fraction, 0.1, 0.0, 12, 64)
    assert point.steps == steps
    assert point.lock == ("_".join(steps) or "baseline")
    assert [str(parse_step(step)) for step in point.steps] == list(steps)


@pytest.mark.parametrize(
    ("weight", "name"),
    [
        (0.0, "np-8"),
        (0.1, "np-8_refuse-0-1"),
        (10.0, "np-8_refuse-10"),
        (2.5, "np-8_refuse-2-5"),
        (0.00001, "np-8_refuse-0-00001"),
    ],
)
def test_what_refuses_says_so_in_its_name(weight: float, name: str) -> None:
    assert Point("np", 8, None, 0.1, 0.0, 12, 64, refuse=weight).lock == name
