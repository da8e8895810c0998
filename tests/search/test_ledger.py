"""Each trial is asked for once and told once, though any answer of the storage may be lost."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from seglock.errors import BusyError
from seglock.search import coordinator
from seglock.search.coordinator import run_search
from seglock.search.ledger import Ledger
from seglock.search.settings import study_settings
from seglock.search.storage import Patience, open_storage
from seglock.search.study import StudyLog, noted
from tests.search.small_study import FakeExecutor, Silent, curve, study_params
from tests.search.test_kill import assert_whole, trials_of

MEASURED = {
    "owner_miou": 0.5, "unauthorised": 0.21, "drop": 0.01, "regained": 0.1, "curve": [],
    "key_space_bits": 96.0,
}  # fmt: skip
OpenLedger = Callable[..., Ledger]


class Losing:
    """A storage whose calls fail now and then: before they are done, or when only the answer is
    lost."""

    def __init__(self, storage: Any, share: float, seed: int) -> None:
        self._storage = storage
        self._moments = random.Random(seed)
        self._share = share
        self.lost: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if not callable(found) or name.startswith("_"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            if self._moments.random() < self._share:
                raise OperationalError("before", None, Exception("server closed the connection"))
            answer = found(*arguments, **named)
            if self._moments.random() < self._share:
                self.lost[name] += 1
                raise OperationalError("after", None, Exception("server closed the connection"))
            return answer

        return call


@pytest.fixture
def open_ledger() -> Iterator[Callable[..., Ledger]]:
    """Opens a study's accounts, each time as another coordinator would; closed at the end."""
    with contextlib.ExitStack() as stack:

        def opened(root: Path, **search: Any) -> Ledger:
            params, patience = study_params(**search), Patience(5.0)
            settings = study_settings(params, root)
            (root / "study").mkdir(exist_ok=True)
            storage = stack.enter_context(open_storage(None, root / "study", patience))
            return Ledger(StudyLog.begin(storage, settings, params.search, patience), params)

        yield opened


@pytest.mark.parametrize("seed", range(3))
def test_lost_answers_neither_lose_nor_repeat_a_trial(
    study_root: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing: list[Losing] = []
    real = coordinator.open_storage

    @contextlib.contextmanager
    def unreliable(url: str | None, folder: Path, patience: Patience) -> Iterator[Any]:
        with real(url, folder, patience) as storage:
            losing.append(Losing(storage, 0.06, seed))
            yield losing[-1]

    monkeypatch.setattr("seglock.search.coordinator.open_storage", unreliable)
    monkeypatch.setattr("seglock.search.interrupts.time.sleep", lambda seconds: None)
    failing = random.Random(seed)

    def fails(job: Any, before: int) -> Any:
        from seglock.search.executor import Failed

        lost = job.steps and failing.random() < 0.15
        return Failed(job.id, "its worker was killed", permanent=False) if lost else None

    executor = FakeExecutor(3, fails=fails)
    run_search(study_params(10, retries=20), study_root, executor=executor, observer=Silent())
    assert_whole(study_root, 10, retries=20)
    assert losing[0].lost["create_new_trial"] + losing[0].lost["set_trial_state_values"] > 0


def test_a_trial_told_twice_counts_once(study_root: Path, open_ledger: OpenLedger) -> None:
    ledger = open_ledger(study_root)
    asked = ledger.ask()
    assert asked is not None
    for _ in range(2):
        ledger.complete(asked.number, MEASURED)
        ledger.fail(asked.number, "too late")
        ledger.requeue(asked.number, failed=True)
    assert [record.state for record in ledger.log.records()] == ["complete"]
    assert len(ledger.log.trials()) == 1


def test_a_copy_carries_the_point_and_the_history_of_its_trial(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root)
    first = ledger.ask()
    assert first is not None
    ledger.requeue(first.number, failed=True)
    second = ledger.ask()
    assert second is not None
    ledger.requeue(second.number, failed=False)
    third = ledger.ask()
    assert third is not None
    assert (third.point, third.line) == (first.point, first.number)
    assert (third.attempt, third.failures) == (3, 1)
    assert third.job == "trial-2-3"
    ledger.complete(third.number, MEASURED)
    assert [record.attempt for record in ledger.log.records()] == [3]


@pytest.mark.parametrize("call", ["started", "report"])
def test_a_trial_that_another_coordinator_ended_is_not_ours_any_more(
    study_root: Path, open_ledger: OpenLedger, call: str
) -> None:
    search = {"objective": "scalar", "pruner": "median"}
    ledger = open_ledger(study_root, **search)
    asked = ledger.ask()
    assert asked is not None
    open_ledger(study_root, **search).requeue_running()
    with pytest.raises(BusyError, match="a trial that another one has ended"):
        if call == "started":
            ledger.started(asked.number, "run")
        else:
            ledger.report(asked.number, 1, 0.5)


def test_constraints_and_values_are_as_the_limits_say(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root, max_drop=0.02, max_regained=0.15)
    numbers = []
    for values in ({}, {"regained": None, "drop": 0.05}):
        asked = ledger.ask()
        assert asked is not None
        ledger.complete(asked.number, MEASURED | values)
        numbers.append(asked.number)
    stopped = ledger.ask()
    assert stopped is not None
    ledger.stop(stopped.number, {"curve": [0.1], "drop": None}, behind=0.3)
    trials = ledger.log.trials()
    assert trials[0].values == [0.5, 0.21]
    assert trials[0].constraints == pytest.approx(
        {"drop": -0.01, "regained": -0.05, "key_bits": -0.5}
    )
    assert trials[1].constraints == pytest.approx(
        {"drop": 0.03, "regained": 0.85, "key_bits": -0.5}
    )
    assert trials[2].constraints == pytest.approx({"drop": 0.28})
    assert [record.state for record in ledger.log.records()] == ["complete", "complete", "stopped"]


def figures(lock: str) -> dict[str, Any]:
    """np-4 is the best under its first key only, then shf-4."""
    order = {"np-4": 0.01, "shf-4": 0.05}
    return MEASURED | {"regained": order.get(lock, 0.1)}


def test_the_last_trials_repeat_the_lock_that_leads_then(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root, trials=9, confirm=3, enqueue=["np-4", "shf-4"])
    asked = []
    for _ in range(9):
        one = ledger.ask()
        assert one is not None
        found = figures(one.point.lock)
        if one.point.lock in asked and one.point.lock == "np-4":
            found |= {"regained": 0.9}  # its second key breaks the limit
        ledger.complete(one.number, found)
        asked.append(one.point.lock)
    assert asked[:2] == ["np-4", "shf-4"]
    assert len(set(asked[:6])) == 6
    assert asked[6:] == ["np-4", "shf-4", "shf-4"]


def test_what_leads_is_repeated_so_often_and_no_more(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root, trials=4, confirm=1, enqueue=["np-4"])
    asked = []
    for trials in (4, 4, 4, 4, 6, 6):
        ledger.search = ledger.search.model_copy(update={"trials": trials})
        one = ledger.ask()
        assert one is not None
        ledger.complete(one.number, figures(one.point.lock))
        asked.append(one.point.lock)
    assert asked.count("np-4") == 2
    assert asked[3] == "np-4"
    assert len(set(asked)) == 5


def test_nothing_is_repeated_where_no_lock_keeps_the_limits(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root, trials=6, confirm=6)
    asked = []
    for _ in range(6):
        one = ledger.ask()
        assert one is not None
        ledger.complete(one.number, MEASURED | {"drop": 0.5})
        asked.append(one.point.lock)
    assert len(set(asked)) == 6


def test_a_lock_that_is_enqueued_by_another_name_is_not_tried_twice(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    space = {"steps": ["np"], "block_size": [2, 4]}
    ledger = open_ledger(
        study_root, sampler="grid", enqueue=["np-4-f50"], space=space, trials=9, confirm=0
    )
    asked = []
    while (one := ledger.ask()) is not None:
        ledger.complete(one.number, MEASURED)
        asked.append(one.point.lock)
    assert asked == ["np-4-f50", "np-2"]


def test_one_objective_is_the_owner_less_the_weighted_rest(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root, objective="scalar", weight=0.5)
    asked = ledger.ask()
    assert asked is not None
    ledger.complete(asked.number, MEASURED)
    assert ledger.log.trials()[0].values == pytest.approx([0.5 - 0.5 * 0.21])


@pytest.mark.parametrize(("sampler", "trials"), [("random", 5), ("tpe", 13), ("nsga2", 18)])
def test_a_study_that_was_stopped_asks_what_it_would_have_asked(
    study_root: Path, open_ledger: OpenLedger, sampler: str, trials: int
) -> None:
    def points(root: Path, stops: int) -> list[Any]:
        asked = []
        for index in range(trials):
            if index == 0 or (stops and index >= trials - 4):
                ledger = open_ledger(root, sampler=sampler)
            one = ledger.ask()
            assert one is not None
            found = MEASURED | {"owner_miou": curve(one.point.lock, 1)[0]}
            ledger.complete(one.number, found)
            asked.append(one.point)
        return asked

    for name in ("whole", "stopped"):
        (study_root / name / "data").mkdir(parents=True)
        (study_root / name / "data" / "prepared").symlink_to(study_root / "data" / "prepared")
    whole, stopped = points(study_root / "whole", 0), points(study_root / "stopped", 1)
    assert whole == stopped
    assert len(set(whole)) > 3


def test_what_is_enqueued_comes_first_and_a_grid_ends(study_root: Path) -> None:
    space = {"steps": ["np"], "block_size": [2, 4]}
    params = study_params(9, sampler="grid", space=space, enqueue=["shf-8", "np-4"])
    executor = FakeExecutor(2)
    outcome = run_search(params, study_root, executor=executor, observer=Silent())
    assert [trial.lock for trial in outcome.trials] == ["shf-8", "np-4", "np-2"]
    assert outcome.asked == 3  # all there is
    assert outcome.counts.running == 0
    again = run_search(params, study_root, executor=FakeExecutor(), observer=Silent())
    assert len(again.trials) == 3


def test_another_coordinators_unfinished_ask_is_swept_away(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root)
    ledger.log.study.ask()  # killed here: it has no parameters yet
    later = open_ledger(study_root)
    asked = later.ask()
    assert asked is not None
    assert asked.number == 1
    later.complete(asked.number, MEASURED)
    assert [record.number for record in later.log.records()] == [1]
    assert [trial.state.name for trial in later.log.trials()] == ["FAIL", "COMPLETE"]


def test_records_are_what_was_measured(study_root: Path) -> None:
    params = study_params(2, enqueue=["np-4", "shf-2"])
    outcome = run_search(params, study_root, executor=FakeExecutor(), observer=Silent())
    record, group = outcome.trials[0], outcome.baselines[0]
    expected = curve("np-4", 3)
    assert (record.lock, record.method, record.block_size) == ("np-4", "np", 4)
    assert record.fraction == "published"
    assert record.curve == tuple(expected)
    assert record.owner_miou == expected[-1]
    assert record.drop == pytest.approx(group.mean - expected[-1])
    assert record.unauthorised == pytest.approx(0.22)
    assert record.plain == pytest.approx(0.2)
    assert record.plain_bn == pytest.approx(0.21)
    assert (record.incorrect_mean, record.incorrect_p95) == pytest.approx((0.2, 0.22))
    assert record.regained == pytest.approx(0.02 / (expected[-1] - 0.2))
    assert (record.floor, record.key_id, record.worker) == (0.2, "ab" * 8, "fake")
    assert group.seeds == (0, 1)
    assert group.owner_miou == (curve("baseline-0", 3)[-1], curve("baseline-1", 3)[-1])
    assert {noted(t)["run_id"] for t in trials_of(study_root, enqueue=["np-4", "shf-2"])} == {
        t.run_id for t in outcome.trials
    }


def test_a_trial_that_was_put_aside_as_a_duplicate_gets_no_copy(
    study_root: Path, open_ledger: OpenLedger
) -> None:
    ledger = open_ledger(study_root)
    asked = ledger.ask()
    assert asked is not None
    # then it was killed
    ledger.log.study._storage.set_trial_system_attr(1, "seglock.superseded", True)
    later = open_ledger(study_root)
    later.requeue_running()
    assert [trial.state.name for trial in later.log.trials()] == ["FAIL"]
