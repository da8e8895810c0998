"""An attack that was stopped goes on: what it did before is not done again."""

from __future__ import annotations

import contextlib

import pytest

from seglock.attacks import Budget, Meter, find, find_attack
from tests.attacks.scene import scene
from tests.contracts.test_attacks import Memory, stop_at

BUDGET = Budget(queries=80, seconds=600.0, labelled=(0.25, 0.5))


@pytest.mark.parametrize(
    "name", ["random-search", "hill-climb", "unsupervised", "exhaustive", "finetune"]
)
def test_what_was_done_is_not_done_again(name: str) -> None:
    made, attack, journal = scene("np-2"), find_attack(name), Memory()
    seen: list[int] = []

    def meter() -> Meter:
        return Meter(BUDGET, lambda done, _: seen.append(done), journal=journal, every=0)

    alone = Meter(BUDGET, lambda done, _: seen.append(done))
    find(attack, made.material(attack.tier), alone, 0)
    whole = len(seen)
    stopped = Meter(BUDGET, stop_at(min(60, alone.queries)), journal=journal, every=0)
    with contextlib.suppress(KeyboardInterrupt):
        find(attack, made.material(attack.tier), stopped, 0)
    assert journal
    seen.clear()
    resumed = meter()
    find(attack, made.material(attack.tier), resumed, 0)
    assert len(seen) < 0.75 * whole
    assert resumed.queries == alone.queries


def test_a_kill_costs_no_more_than_the_time_between_entries() -> None:
    now, journal = [0.0], Memory()
    meter = Meter(Budget(100, 1000.0), clock=lambda: now[0], journal=journal, every=5)
    written = []
    for second in range(12):
        now[0] = float(second)
        meter.keep("part", {}, {}, last=False)
        written.append(journal.get("part") and journal["part"].about["seconds"])
    assert written == [None] * 5 + [5.0] * 5 + [10.0] * 2


def test_what_a_stopped_run_spent_is_spent() -> None:
    now, journal = [0.0], Memory()
    budget = Budget(10, 8.0)
    first = Meter(budget, clock=lambda: now[0], journal=journal, every=0)
    first.spend(4)
    now[0] = 6.0
    first.keep("part", {}, {}, last=True)
    now[0] = 1000.0  # between the two runs
    second = Meter(budget, clock=lambda: now[0], journal=journal)
    assert second.recall("other") is None
    assert second.recall("part") is not None
    assert (second.queries, second.seconds, second.left) == (4, 6.0, 6)
    now[0] = 1002.0
    assert second.exhausted
