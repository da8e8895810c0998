from __future__ import annotations

from typing import Any

import pytest

from seglock.config import RefusedShares, RefuseParams, check_params
from seglock.errors import ConfigError


def lock(refuse: Any, **model: Any) -> Any:
    locks = {"baseline": {"steps": []}, "np-4": {"steps": ["np-4"], "refuse": refuse}}
    return check_params({"locks": locks, "model": model}).locks["np-4"].refuse


@pytest.mark.parametrize("weight", [0.2, 1, 0])
def test_a_number_alone_is_the_weight(weight: float) -> None:
    assert lock(weight) == lock({"weight": float(weight)}) == RefuseParams(weight=weight)


def test_without_it_a_lock_refuses_nothing() -> None:
    assert lock(None) is None


def test_its_parts() -> None:
    given = {
        "weight": 0.1, "ramp_epochs": 3, "every": 2, "target": "prior", "batch_statistics": 0.25,
        "shares": {"plain": 0.2, "wrong": 0.3, "near": 0.5},
    }  # fmt: skip
    refuse = lock(given)
    assert refuse.shares == RefusedShares(plain=0.2, wrong=0.3, near=0.5)
    assert refuse.model_dump() == given


@pytest.mark.parametrize(
    ("refuse", "says"),
    [
        (-0.1, "locks.np-4.refuse.weight: must be greater than or equal to 0"),
        (10.5, "locks.np-4.refuse.weight: must be less than or equal to 10"),
        (True, "locks.np-4.refuse"),
        ({"weight": 0.1, "target": "constnat"}, "did you mean 'constant'?"),
        ({"weight": 0.1, "shares": {"near": 0.2}}, "refuse.shares must add up to 1, got 1.2"),
        ({"weight": 0.1, "every": 0}, "locks.np-4.refuse.every"),
        ({"weight": 0.1, "batch_statistics": 1.5}, "locks.np-4.refuse.batch_statistics"),
        ({"weigth": 0.1}, "weight"),
        ({}, "locks.np-4.refuse.weight: must be given"),
    ],
)
def test_what_is_wrong_is_said(refuse: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lock(refuse)
    assert says in str(caught.value)


@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_a_draw_of_batch_statistics_needs_batch_norm(norm: str) -> None:
    assert lock({"weight": 0.1}, norm=norm) == RefuseParams(weight=0.1)
    assert lock({"weight": 0.1, "batch_statistics": 0.0}, norm=norm).batch_statistics == 0
    with pytest.raises(ConfigError) as caught:
        lock({"weight": 0.1, "batch_statistics": 0.5}, norm=norm)
    assert (
        "locks.np-4.refuse.batch_statistics needs model.norm: batch, "
        f"got 0.5 with norm={norm}; set it to 0"
    ) in str(caught.value)


def test_a_refusal_needs_a_lock() -> None:
    with pytest.raises(ConfigError) as caught:
        check_params({"locks": {"baseline": {"steps": [], "refuse": 0.1}}, "data": {"sied": 1}})
    text = str(caught.value)
    assert "locks.baseline.refuse needs a lock: without steps nobody is to be refused" in text
    assert "sied" in text  # every fault at once
