"""One contract, every executor: another one is tested by an entry in KINDS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from seglock.config import ResourceParams
from seglock.search.cluster import RayExecutor
from seglock.search.executor import Decide, Executor, Failed, Finished, Outcome, TrialJob
from seglock.search.trial import RunTrial
from seglock.search.workers import InProcessExecutor, LocalExecutor
from seglock.training import EpochRow
from tests.conftest import ROOT
from tests.search.fakes import fake_job, fake_run, is_running, wait_for

WORKERS = 2


@dataclass(frozen=True)
class Kind:
    """How to make one: from the test's request (for fixtures), a scratch folder and a function.

    ``isolated``: jobs run in processes of their own, ``WORKERS`` at once. ``lag``: a stop may be
    obeyed one epoch late.
    """

    name: str
    make: Callable[[pytest.FixtureRequest, Path, RunTrial], Executor]
    isolated: bool = True
    lag: bool = False


def in_process(request: pytest.FixtureRequest, scratch: Path, run: RunTrial) -> Executor:
    return InProcessExecutor(scratch=scratch, run=run)


def local(request: pytest.FixtureRequest, scratch: Path, run: RunTrial) -> Executor:
    return LocalExecutor(WORKERS, scratch=scratch, resources=ResourceParams(), run=run)


def ray(request: pytest.FixtureRequest, scratch: Path, run: RunTrial) -> Executor:
    cluster = request.getfixturevalue("ray_cluster")
    return RayExecutor(cluster.address, resources=ResourceParams(), run=run)


KINDS = [
    Kind("in-process", in_process, isolated=False),
    Kind("local", local),
    Kind("ray", ray, lag=True),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def executor(
    kind: Kind, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Executor]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where a worker finds tests.search.fakes
    monkeypatch.setenv("SEGLOCK_KEY_MAIN", "a secret")
    monkeypatch.setenv("PGPASSWORD", "a secret")
    made = kind.make(request, tmp_path / "work", fake_run)
    yield made
    made.close()


def go_on(job: str, row: EpochRow) -> bool:
    return False


def drive(executor: Executor, jobs: list[TrialJob], decide: Decide = go_on) -> dict[str, Outcome]:
    """Compute all jobs as a coordinator would; each must come back exactly once."""
    waiting, ended = list(jobs), dict[str, Outcome]()

    def step() -> bool:
        while waiting and executor.free:
            executor.submit(waiting.pop(0))
        for outcome in executor.poll(decide, timeout=1.0):
            job = outcome.result.job if isinstance(outcome, Finished) else outcome.job
            assert job == outcome.job
            assert job not in ended, f"{job} came back twice"
            ended[job] = outcome
        return len(ended) == len(jobs)

    wait_for(step, "the end of all jobs")
    assert ended.keys() == {job.id for job in jobs}
    assert executor.poll(decide, timeout=0.0) == []
    return ended


def test_each_job_comes_back_once_with_its_own_result(executor: Executor, kind: Kind) -> None:
    jobs = [fake_job(f"trial-{i}", epochs=i + 1) for i in range(5)]
    rows: dict[str, list[EpochRow]] = {}

    def decide(job: str, row: EpochRow) -> bool:
        rows.setdefault(job, []).append(row)
        return False

    ended = drive(executor, jobs, decide)
    for count, job in enumerate(jobs, 1):
        outcome = ended[job.id]
        assert isinstance(outcome, Finished)
        assert outcome.result.job == job.id
        assert [row["epoch"] for row in outcome.result.curve] == list(range(1, count + 1))
        assert outcome.result.curve == tuple(rows[job.id])
        assert outcome.result.scores == {"owner_miou": 1 / 7, "plain": {"iou": {"a": None}}}
        assert outcome.result.key_space_bits == 1 / 9
        assert outcome.result.worker
    workers = {o.result.worker for o in ended.values() if isinstance(o, Finished)}
    assert len(workers) <= WORKERS if kind.isolated else len(workers) == 1


def test_nothing_to_do_is_no_wait(executor: Executor) -> None:
    assert executor.free >= 1
    assert executor.poll(go_on, timeout=3600.0) == []


def test_stopped_where_decide_says_so(executor: Executor, kind: Kind) -> None:
    def decide(job: str, row: EpochRow) -> bool:
        return job == "bad" and row["epoch"] >= 2

    ended = drive(executor, [fake_job("bad", epochs=9), fake_job("good", epochs=4)], decide)
    bad, good = ended["bad"], ended["good"]
    assert isinstance(bad, Finished)
    assert bad.result.scores is None
    assert bad.result.stopped_at in ((2, 3) if kind.lag else (2,))
    assert len(bad.result.curve) == bad.result.stopped_at
    assert isinstance(good, Finished)
    assert (good.result.stopped_at, len(good.result.curve)) == (None, 4)


def test_a_job_that_fails_says_why_and_whether_for_good(executor: Executor) -> None:
    kinds = ("training", "disk", "odd")
    ended = drive(executor, [*(fake_job(k, error=k) for k in kinds), fake_job("sound")])
    assert ended["training"] == Failed(
        "training", "the loss must be finite, got nan; lower the learning rate", permanent=True
    )
    assert ended["disk"] == Failed(
        "disk", "OSError: [Errno 28] No space left on device", permanent=False
    )
    assert ended["odd"] == Failed(
        "odd", "ZeroDivisionError: what nobody thought of", permanent=False
    )
    assert isinstance(ended["sound"], Finished)


def test_what_decide_raises_gets_out_and_is_no_failure_of_the_job(executor: Executor) -> None:
    def full_disk(job: str, row: EpochRow) -> bool:
        raise OSError(28, "our own journal")

    executor.submit(fake_job("one"))

    def raised() -> bool:
        try:
            assert executor.poll(full_disk, timeout=1.0) == []
        except OSError as error:
            return error.strerror == "our own journal"
        return False

    wait_for(raised, "an epoch")


def test_free_counts_what_can_be_taken(executor: Executor, kind: Kind, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    places = executor.free
    assert places == (WORKERS if kind.isolated else 1)
    for number in range(places):
        executor.submit(fake_job(f"trial-{number}", gate=[1, str(gate)]))
        assert executor.free == places - number - 1
    if kind.isolated:
        assert executor.poll(go_on, timeout=0.1) == []
        assert executor.free == 0
    gate.touch()
    ended = list[Outcome]()
    wait_for(lambda: ended.extend(executor.poll(go_on, 1.0)) or len(ended) == places)
    assert executor.free == places


isolated = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.isolated], ids=lambda kind: kind.name, indirect=True
)


@isolated
def test_a_worker_killed_takes_its_own_job_only(executor: Executor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    executor.submit(fake_job("killed", die=2))
    executor.submit(fake_job("spared", gate=[2, str(gate)]))
    ended = wait_for(lambda: executor.poll(go_on, timeout=1.0), "the death")
    (failed,) = ended
    assert isinstance(failed, Failed)
    assert (failed.job, failed.permanent) == ("killed", False)
    assert "\n" not in failed.reason
    gate.touch()
    (spared,) = wait_for(lambda: executor.poll(go_on, timeout=1.0), "the other's end")
    assert isinstance(spared, Finished)
    assert spared.job == "spared"
    wait_for(lambda: executor.free == WORKERS, "the replacement")
    again = drive(executor, [fake_job("killed"), fake_job("more")])
    assert all(isinstance(outcome, Finished) for outcome in again.values())


def test_after_close_nothing_runs_and_nothing_comes_back(
    executor: Executor, kind: Kind, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    executor.submit(fake_job("one", started=str(started), gate=[2, str(tmp_path / "never")]))
    if kind.isolated:
        process = int(wait_for(lambda: started.exists() and started.read_text()))
        executor.close()
        wait_for(lambda: not is_running(process), "the end of its process")
    else:
        executor.close()
        assert not started.exists()
    assert executor.poll(go_on, timeout=0.0) == []
    executor.close()


@isolated
def test_a_worker_knows_no_secret(executor: Executor) -> None:
    (outcome,) = drive(executor, [fake_job("one", tell="environment")]).values()
    assert isinstance(outcome, Finished)
    environment = json.loads(outcome.result.device)
    assert "PATH" in environment
    assert "a secret" not in environment.values()
