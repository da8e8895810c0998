from __future__ import annotations

import pytest

from seglock.results.trial import TrialRecord
from seglock.search.importance import importances
from tests.search.records import make_stopped, make_trial


def by_block(number: int, step: str, lr: float) -> TrialRecord:
    """A trial whose owner follows from the block side alone, and the thief from the rate."""
    side = int(step.split("-")[1])
    return make_trial(number, 0.6 - side / 100, lr, step=step, lr=lr)


GRID = [
    by_block(number, step, lr)
    for number, (step, lr) in enumerate(
        (f"{method}-{side}", lr)
        for method in ("np", "shf")
        for side in (2, 4, 16)
        for lr in (0.1, 0.2, 0.4)
    )
]


def test_the_parameter_that_decides_an_objective_has_the_largest_share() -> None:
    shares, reason = importances(GRID, seed=0)

    assert reason is None
    assert shares is not None
    assert list(shares) == ["owner_miou", "unauthorised"]
    assert next(iter(shares["owner_miou"])) == "block_size"
    assert next(iter(shares["unauthorised"])) == "lr"
    for found in shares.values():
        assert set(found) == {"steps", "block_size", "lr"}
        assert sum(found.values()) == pytest.approx(1)
        assert max(found.values()) > 0.9


def test_the_same_seed_gives_the_same_shares() -> None:
    noisy = [r.model_copy(update={"owner_miou": (r.number * 7919 % 100) / 100}) for r in GRID]

    assert importances(noisy, seed=1) == importances(noisy[::-1], seed=1)
    assert importances(noisy, seed=1) != importances(noisy, seed=2)


def test_only_complete_trials_count() -> None:
    shares, reason = importances(
        [*GRID[:1], make_stopped(40), make_trial(41, state="failed")], seed=0
    )

    assert (shares, reason) == (None, "needs two complete trials, there are 1")


def test_two_trials_are_enough() -> None:
    assert importances([GRID[0], GRID[3]], seed=0)[0] == {"owner_miou": {"block_size": 1.0}}


def test_a_space_that_was_not_varied_has_no_shares() -> None:
    shares, reason = importances([make_trial(0, 0.5, 0.2), make_trial(1, 0.4, 0.3)], seed=0)

    assert shares is None
    assert reason is not None
    assert "two values" in reason


def test_figures_that_never_change_have_no_shares() -> None:
    shares, reason = importances([make_trial(0), make_trial(1, step="np-8")], seed=0)

    assert shares is None
    assert reason is not None
    assert "differ" in reason
