"""What a failure costs a trial: a retry of its own, or nothing where a machine took several."""

from __future__ import annotations

from typing import Any

from seglock.config import SearchParams
from seglock.search.dispatch import Dispatch
from seglock.search.ledger import Asked
from seglock.search.point import Point

POINT = Point("np", 4, 50, 0.1, 0.0, 3, 16)


class Requeued:
    """Stands in for the ledger: notes what is queued again, and whether it failed."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, bool]] = []

    def requeue(self, number: int, *, failed: bool) -> None:
        self.noted.append((number, failed))


def asked(number: int, failures: int = 0) -> Asked:
    return Asked(number, POINT, number, 1 + failures, failures)


def test_of_trials_lost_together_only_the_first_uses_up_a_retry() -> None:
    ledger: Any = Requeued()
    dispatch = Dispatch(ledger, SearchParams(retries=2))
    flying: list[Any] = [asked(0), asked(1), asked(2)]
    while flying:
        assert not dispatch.failed(flying[0], flying, permanent=False)
        flying.pop(0)
    for trial in list(dispatch.to_retry):
        dispatch.requeue(trial)
    assert ledger.noted == [(0, True), (1, False), (2, False)]


def test_a_later_failure_of_a_trial_that_was_lost_beside_another_counts() -> None:
    ledger: Any = Requeued()
    dispatch = Dispatch(ledger, SearchParams(retries=2))
    first, beside = asked(0), asked(1)
    dispatch.failed(first, [first, beside], permanent=False)
    dispatch.failed(beside, [beside], permanent=False)
    dispatch.to_retry.clear()
    again = Asked(2, POINT, line=1, attempt=2, failures=0)
    dispatch.failed(again, [again], permanent=False)
    dispatch.requeue(again)
    assert ledger.noted == [(2, True)]
