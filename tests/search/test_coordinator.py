"""What the coordinator does with results, failures, baselines and stops."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from seglock.data import PreparedData, prepare_dataset
from seglock.errors import ConfigError, TrackingError, TrainingError
from seglock.search.coordinator import read_study, run_search
from seglock.search.executor import Failed, TrialJob
from seglock.search.study import noted
from seglock.search.workers import InProcessExecutor
from seglock.tracking import RunRecord
from tests.search.small_study import FakeExecutor, Silent, curve, study_params
from tests.search.test_kill import assert_whole, trials_of


def run(root: Path, executor: FakeExecutor | None = None, **search: Any) -> Any:
    observer = Silent()
    outcome = run_search(
        study_params(**search), root, executor=executor or FakeExecutor(), observer=observer
    )
    return outcome, observer


def test_a_study_goes_on_to_the_number_that_is_asked_for(study_root: Path) -> None:
    executor = FakeExecutor(2)
    first, _ = run(study_root, executor, trials=3)
    assert len(first.trials) == 3
    assert executor.closed == 1
    more, _ = run(study_root, executor, trials=5)
    assert [trial.number for trial in more.trials] == list(range(5))
    assert more.run_id == first.run_id
    same, _ = run(study_root, executor, trials=4)
    assert len(same.trials) == 5 == same.asked
    assert len(executor.seen) == 2 + 5  # the baselines once
    assert_whole(study_root, 5)


def test_a_grid_ends_with_its_points(study_root: Path) -> None:
    space = {"steps": ["shf", "np"], "block_size": [2, 4]}
    search = {"sampler": "grid", "space": space, "trials": 30}
    outcome, _ = run(study_root, **search)
    assert (len(outcome.trials), outcome.asked) == (4, 4)
    assert read_study(study_params(**search), study_root).asked == 4


def test_baselines_of_a_cost_come_before_its_trials(study_root: Path) -> None:
    executor = FakeExecutor(3)
    space = {"steps": ["np"], "block_size": [2, 4, 8], "epochs": [2, 3]}
    outcome, _ = run(study_root, executor, trials=7, space=space, baseline_seeds=3)
    done: set[str] = set()
    for job in executor.seen:
        cost = f"e{job.params['train']['epochs']}-s{job.params['data']['image_side']}"
        if job.steps:
            assert {f"baseline-{cost}-{seed}" for seed in range(3)} <= done
            assert job.params["train"]["seed"] == 0
        done.add(job.id)
    assert len([job for job in executor.seen if not job.steps]) == 6
    assert {(group.epochs, group.seeds) for group in outcome.baselines} == {
        (2, (0, 1, 2)),
        (3, (0, 1, 2)),
    }
    job = next(job for job in executor.seen if job.steps)
    assert job.root == str(study_root)
    assert job.data_digest == outcome.about.dataset_digest


def failing(*names: str, times: int = 99, permanent: bool = False) -> Any:
    """Fail the jobs whose lock or id has one of the names, so many times each."""
    counts: dict[str, int] = {}

    def fails(job: TrialJob, before: int) -> Failed | None:
        lock = "_".join(job.steps) or job.id
        if any(name in lock for name in names):
            counts[lock] = counts.get(lock, 0) + 1
            if counts[lock] <= times:
                return Failed(job.id, "its worker was killed", permanent=permanent)
        return None

    return fails


def test_a_worker_that_dies_costs_only_its_trial_and_that_is_tried_again(study_root: Path) -> None:
    executor = FakeExecutor(2, fails=failing("np-4", "baseline-e3-s16-1", times=1))
    outcome, observer = run(study_root, executor, trials=3, enqueue=["np-4", "np-2", "shf-2"])
    assert [t.lock for t in outcome.trials if t.attempt == 2] == ["np-4"]
    assert dict(outcome.counts) == {"complete": 3, "stopped": 0, "failed": 0, "running": 0}
    assert any("it is tried again" in text for text in observer.said)
    assert_whole(study_root, 3, enqueue=["np-4", "np-2", "shf-2"])


def test_a_trial_that_kills_every_worker_is_given_up_and_counts(study_root: Path) -> None:
    executor = FakeExecutor(fails=failing("np-4"))
    enqueue = ["np-4", "np-2", "shf-2", "shf-4"]
    outcome, _ = run(study_root, executor, trials=4, enqueue=enqueue, retries=2)
    assert dict(outcome.counts) == {"complete": 3, "stopped": 0, "failed": 1, "running": 0}
    failed = next(trial for trial in outcome.trials if trial.state == "failed")
    assert (failed.lock, failed.attempt) == ("np-4", 3)
    assert failed.reason == "its worker was killed"
    # Not three times in a row: another trial is tried between.
    order = ["_".join(job.steps) for job in executor.seen if job.steps]
    assert order.index("np-2") == 1


def test_what_would_fail_anywhere_is_not_tried_again(study_root: Path) -> None:
    executor = FakeExecutor(fails=failing("np", permanent=True))
    enqueue = ["np-4", "np-2", "np-8", "shf-4"]
    outcome, _ = run(study_root, executor, trials=4, enqueue=enqueue)
    assert dict(outcome.counts) == {"complete": 1, "stopped": 0, "failed": 3, "running": 0}
    assert len(executor.seen) == 2 + 4


@pytest.mark.parametrize(("workers", "retries"), [(1, 2), (2, 2), (1, 0)])
def test_three_failures_in_a_row_stop_the_study(
    study_root: Path, workers: int, retries: int
) -> None:
    executor = FakeExecutor(workers, fails=failing("np", "shf", "ffx"))
    with pytest.raises(TrainingError, match="3 failures in a row") as stopped:
        run(study_root, executor, trials=5, retries=retries)
    assert "its worker was killed" in str(stopped.value)
    # Of trials that were under way together, one failure counts: so many more are seen.
    assert 3 <= len([job for job in executor.seen if job.steps]) <= 3 * workers
    states = [trial.state.name for trial in trials_of(study_root)]
    assert "RUNNING" not in states
    assert "WAITING" in states
    assert all(run.status != "RUNNING" for run in RunRecord.every(study_root))
    outcome, _ = run(study_root, trials=5)
    assert outcome.counts.complete == 5 - (1 if retries == 0 else 0)
    assert outcome.counts.running == 0


def test_a_lost_node_with_many_trials_does_not_stop_the_study(study_root: Path) -> None:
    class Node(FakeExecutor):
        lost = False

        def poll(self, decide: Any, timeout: float) -> Any:
            if self.lost or len(self.jobs) < 5 or not all(job.steps for job in self.jobs):
                return super().poll(decide, timeout)
            self.lost, jobs, self.jobs = True, self.jobs, []
            return [Failed(job.id, "its node was lost", permanent=False) for job in jobs]

    executor = Node(workers=5)
    outcome, observer = run(study_root, executor, trials=6, retries=0)
    assert executor.lost
    assert outcome.counts.complete == 6 - 1  # with no retries, the one that counts is given up
    assert outcome.counts.failed == 1
    assert len([text for text in observer.said if "its node was lost" in text]) == 4
    # The others had bad luck, which uses up nothing.
    again = [n for trial in trials_of(study_root) if "retry_of" in (n := noted(trial))]
    assert [attributes["failures"] for attributes in again] == [0] * 4


def test_without_baselines_there_is_no_study(study_root: Path) -> None:
    for permanent, tries in ((True, 1), (False, 3)):
        executor = FakeExecutor(fails=failing("baseline", permanent=permanent))
        with pytest.raises(TrainingError, match="the plain network must be trainable at 3 epochs"):
            run(study_root, executor, trials=2, retries=2, baseline_seeds=1)
        assert len(executor.seen) == tries
    assert run(study_root, trials=2, baseline_seeds=1)[0].counts.complete == 2


def test_a_failure_beside_a_result_does_not_cost_the_result(study_root: Path) -> None:
    class Both(FakeExecutor):
        def poll(self, decide: Any, timeout: float) -> Any:
            both = super().poll(decide, timeout)
            return both + (super().poll(decide, timeout) if self.jobs else [])

    executor = Both(2, fails=failing("baseline-e3-s16-0", permanent=True))
    with pytest.raises(TrainingError):
        run(study_root, executor, trials=2)
    assert len(executor.seen) == 2
    again = FakeExecutor()
    run(study_root, again, trials=2)
    assert [job.id for job in again.seen if not job.steps] == ["baseline-e3-s16-0"]


def slow(job: TrialJob) -> list[float]:
    """NP at 2 learns nothing at all, everything else like the baselines."""
    epochs = job.params["train"]["epochs"]
    return [0.01] * epochs if job.steps == ("np-2",) else curve("same", epochs)


def test_a_trial_that_falls_behind_is_stopped(study_root: Path) -> None:
    search = {"trials": 3, "margin": 0.05, "warmup_epochs": 1, "enqueue": ["np-2", "shf-2"]}
    search |= {"space": {"steps": ["shf"], "block_size": [2, 4], "epochs": [4]}}
    search |= {"pruner": "baseline"}
    outcome, _ = run(study_root, FakeExecutor(curve=slow), **search)
    assert dict(outcome.counts) == {"complete": 2, "stopped": 1, "failed": 0, "running": 0}
    stopped = outcome.trials[0]
    assert (stopped.lock, stopped.state, stopped.owner_miou) == ("np-2", "stopped", None)
    assert stopped.stopped is not None
    assert (stopped.stopped.rule, stopped.stopped.epoch) == ("behind", 2)
    assert stopped.curve == (0.01, 0.01)
    assert trials_of(study_root, **search)[0].state.name == "PRUNED"


@pytest.mark.parametrize(
    ("pruner", "trials"), [("median", 7), ("successive_halving", 7), ("hyperband", 14)]
)
def test_optunas_pruners_stop_trials_of_one_objective(
    study_root: Path, pruner: str, trials: int
) -> None:
    search = {"trials": trials, "objective": "scalar", "pruner": pruner, "warmup_epochs": 1}
    search["space"] = {"steps": ["np"], "block_size": [2, 4, 8], "epochs": [9]}
    search["enqueue"] = ["np-4", "np-8", "shf-4", "shf-8", "ffx-4", "ffx-8", "np-2"]
    outcome, _ = run(study_root, FakeExecutor(curve=slow), **search)
    assert len(outcome.trials) == trials
    stopped = [trial for trial in outcome.trials if trial.state == "stopped"]
    assert stopped
    assert pruner == "hyperband" or outcome.trials[6] in stopped
    for trial in stopped:
        assert trial.stopped is not None
        assert trial.stopped.rule == "pruner"
        assert 1 < trial.stopped.epoch == len(trial.curve) < 9


def test_a_job_that_stops_by_itself_is_no_result(study_root: Path) -> None:
    class Stopping(FakeExecutor):
        def _run(self, job: TrialJob, decide: Any) -> Any:
            from dataclasses import replace

            whole = super()._run(job, decide)
            first = job.id == "trial-0-1"
            return replace(whole, scores=None, stopped_at=1) if first else whole

    outcome, observer = run(study_root, Stopping(), trials=2)
    assert outcome.counts.complete == 2
    assert any("not by the study" in text for text in observer.said)


def test_a_changed_space_under_the_same_name_is_refused(study_root: Path) -> None:
    run(study_root, trials=2)
    changed = {"space": {"steps": ["shf", "np"], "block_size": [2, 4]}, "wrong_keys": 9}
    for command in (read_study, lambda params, root: run(root, trials=3, **changed)):
        with pytest.raises(ConfigError) as refused:
            command(study_params(3, **changed), study_root)
        text = str(refused.value)
        assert 'search.space.steps: ["shf", "np", "ffx"] -> ["shf", "np"]' in text
        assert "search.space.block_size: [2, 4, 8, 16] -> [2, 4]" in text
        assert "search.wrong_keys: 8 -> 9" in text
        assert "train" not in text
    # What is no part of it may change.
    outcome, _ = run(study_root, trials=3, sampler="nsga2", max_drop=0.5, seed=4, workers=2)
    assert len(outcome.trials) == 3


def test_a_changed_dataset_under_the_same_name_is_refused(study_root: Path) -> None:
    run(study_root, trials=2)
    before = PreparedData.open(study_root / "data" / "prepared").digest
    data = study_params(2).data.model_copy(update={"val_split": 5})
    prepared = prepare_dataset(data, study_root / "data" / "raw", study_root / "data" / "prepared")
    executor = FakeExecutor()
    for command in (read_study, lambda params, root: run(root, executor, trials=3)):
        with pytest.raises(ConfigError) as refused:
            command(study_params(3), study_root)
        _, *listed = str(refused.value).partition(";")[0].splitlines()
        assert listed == [f"  data.digest: {before} -> {prepared.digest}"]
    assert executor.seen == []


def test_a_tracking_store_that_must_answer_is_asked_before_anything(study_root: Path) -> None:
    params = study_params(2)
    strict = params.model_copy(
        update={"tracking": params.tracking.model_copy(update={"required": True})}
    )
    executor = FakeExecutor()
    with pytest.raises(TrackingError):
        run_search(strict, study_root, executor=executor, observer=Silent())
    assert not executor.seen
    assert trials_of(study_root) == []


class Interrupting(Silent):
    """Sends this process a signal while an epoch is recorded; ``heard`` has the epochs that were
    recorded to their end."""

    def __init__(self, job: str, epoch: int, number: signal.Signals) -> None:
        super().__init__()
        self.moment = (job, epoch)
        self.number = number
        self.heard: list[tuple[str, int]] = []

    def epoch(self, job: str, row: Any) -> None:
        if (job, row["epoch"]) == self.moment:
            os.kill(os.getpid(), self.number)
        self.heard.append((job, row["epoch"]))


def test_ctrl_c_waits_for_what_is_half_done(study_root: Path) -> None:
    """It comes while an epoch is recorded: the record is whole, then the study stops."""

    observer = Interrupting("trial-1-1", 2, signal.SIGINT)
    executor = FakeExecutor()
    with pytest.raises(SystemExit) as stopped:
        run_search(study_params(4), study_root, executor=executor, observer=observer)
    assert stopped.value.code == 130
    assert observer.heard[-1] == ("trial-1-1", 2)
    assert executor.closed == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    states = [(trial.state.name, noted(trial).get("retry_of")) for trial in trials_of(study_root)]
    assert states == [("COMPLETE", None), ("FAIL", None), ("WAITING", 1)]
    run(study_root, trials=4)
    assert_whole(study_root, 4)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_in_this_process_ends_with_the_epoch(
    study_root: Path, number: signal.Signals
) -> None:
    scratch = study_root / "scratch"
    observer = Interrupting("trial-0-1", 1, number)
    with pytest.raises(SystemExit) as stopped:
        run_search(
            study_params(2, baseline_seeds=1),
            study_root,
            executor=InProcessExecutor(scratch=scratch),
            observer=observer,
        )
    assert stopped.value.code == 130
    assert observer.heard[-1] == ("trial-0-1", 1)
    assert list(scratch.iterdir()) == []
    states = [trial.state.name for trial in trials_of(study_root, baseline_seeds=1)]
    assert states == ["FAIL", "WAITING"]


def test_outputs_are_written_while_the_studys_run_is_open(study_root: Path) -> None:
    open_runs: list[bool] = []

    def finish(outcome: Any) -> Path:
        open_runs.append(any(run.status == "RUNNING" for run in RunRecord.every(study_root)))
        folder = study_root / "data" / "search"
        folder.mkdir(exist_ok=True)
        (folder / "study.json").write_text("{}")
        return folder

    outcome = run_search(
        study_params(2), study_root, executor=FakeExecutor(), observer=Silent(), finish=finish
    )
    assert open_runs == [True]
    assert outcome.seconds is not None
    (record,) = RunRecord.every(study_root)
    assert record.run_id == outcome.run_id
    assert list(record.results) == ["data/search/study.json"]
    assert all(run.status != "RUNNING" for run in RunRecord.every(study_root))
