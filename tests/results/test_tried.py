"""A lock of a study over its keys: the means, how far they are apart, and the worst of them."""

from __future__ import annotations

import pytest

from seglock.results.standing import LockLimits
from seglock.results.tried import tried_locks
from tests.search.records import FLOOR, PLAIN, make_stopped, make_trial

LIMITS = LockLimits(drop=0.025, regained=0.15, bits=64)


def test_trials_that_differ_in_their_keys_are_one_lock() -> None:
    records = [make_trial(2, 0.58, 0.2), make_trial(0, 0.6, 0.1), make_trial(1, step="np-8")]
    lock, other = tried_locks([*records, make_stopped(3, "dominated")])
    assert [trial.number for trial in lock.trials] == [0, 2]
    assert (lock.owner.mean, lock.owner.half) == pytest.approx((0.59, 0.01))
    assert lock.unauthorised == pytest.approx((0.15, 0.1, 0.2))
    assert lock.drop.mean == pytest.approx(PLAIN - 0.59)
    assert lock.regained.most == pytest.approx((0.2 - FLOOR) / (0.58 - FLOOR))
    assert (other.first.lock, other.regained.half) == ("np-8", 0.0)


def test_a_lock_is_as_good_as_its_worst_key() -> None:
    (lock,) = tried_locks([make_trial(0, 0.59, FLOOR), make_trial(1, 0.57, 0.3)])
    assert lock.broken(LIMITS) == ("drop", "T0")
    assert lock.verdict(LIMITS) == "broken: T0"
    (good,) = tried_locks([make_trial(0, 0.59, FLOOR)])
    assert (good.broken(LIMITS), good.verdict(LIMITS)) == ((), "not attacked")
    (once,) = tried_locks([make_trial(0, 0.59, FLOOR), make_stopped(1, "behind")])
    assert (once.broken(LIMITS), once.verdict(LIMITS)) == (("behind",), "a key was behind")
