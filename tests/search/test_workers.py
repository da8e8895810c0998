"""Worker processes of this machine: who ends with whom, what they share, and real trials in them.

What every executor must do is in tests/contracts/test_executors.py.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seglock.config import ResourceParams
from seglock.search import process as process_module
from seglock.search import workers as workers_module
from seglock.search.executor import Failed, Finished, Outcome, TrialJob, TrialResult
from seglock.search.process import Pipe, Process
from seglock.search.workers import InProcessExecutor, LocalExecutor, ask
from seglock.training import EpochRow
from tests.conftest import ROOT
from tests.search.fakes import fake_job, fake_run, is_running, wait_for
from tests.search.project import make_job, make_root

Make = Callable[..., LocalExecutor]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make an executor of fake jobs; it is closed at the end."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made: list[LocalExecutor] = []

    def build(workers: int = 1, **changes: Any) -> LocalExecutor:
        parts: dict[str, Any] = {"scratch": tmp_path / "work", "resources": ResourceParams()}
        made.append(LocalExecutor(workers, **parts | {"run": fake_run} | changes))
        return made[-1]

    yield build
    for executor in made:
        executor.close()


def go_on(job: str, row: EpochRow) -> bool:
    return False


def next_of(executor: LocalExecutor) -> Outcome:
    """The next outcome; there must be one."""
    ended = list[Outcome]()
    wait_for(lambda: ended.extend(executor.poll(go_on, 1.0)) or ended, "the end of a job")
    (outcome,) = ended
    return outcome


def finished(executor: LocalExecutor, job: TrialJob) -> TrialResult:
    executor.submit(job)
    outcome = next_of(executor)
    assert isinstance(outcome, Finished), outcome
    return outcome.result


# Processes


def test_a_process_serves_many_jobs_and_starts_with_the_first(make: Make, tmp_path: Path) -> None:
    executor = make(2)
    assert executor.processes == {}
    numbers = []
    for name in ("one", "two", "three"):
        started = tmp_path / name
        finished(executor, fake_job(name, started=str(started)))
        numbers.append(started.read_text())
    assert len(set(numbers)) == 1


def test_an_idle_worker_that_died_costs_no_job(make: Make, tmp_path: Path) -> None:
    executor = make()
    finished(executor, fake_job("one", started=str(tmp_path / "number")))
    number = int((tmp_path / "number").read_text())
    os.kill(number, signal.SIGKILL)
    wait_for(lambda: not is_running(number))
    finished(executor, fake_job("two", started=str(tmp_path / "number")))
    assert int((tmp_path / "number").read_text()) != number


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrialResult]:
    """A function that no other process finds."""

    def run(*_: object, **__: object) -> TrialResult:
        raise AssertionError

    module: Any = types.ModuleType("tests.search.no_such_module")
    module.run = run
    run.__module__, run.__qualname__ = module.__name__, "run"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return run


@pytest.fixture
def unseen(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalExecutor:
    """An executor whose only worker died idle, of which nothing is seen until it has a job."""
    monkeypatch.setattr(workers_module, "_is_gone", lambda process: False)
    executor = make()
    finished(executor, fake_job("one", started=str(tmp_path / "dead")))
    number = int((tmp_path / "dead").read_text())
    os.kill(number, signal.SIGKILL)
    wait_for(lambda: not is_running(number))
    return executor


def test_a_job_handed_to_a_dead_worker_is_its_successors(
    unseen: LocalExecutor, tmp_path: Path
) -> None:
    finished(unseen, fake_job("two", started=str(tmp_path / "number")))
    assert (tmp_path / "number").read_text() != (tmp_path / "dead").read_text()
    assert unseen.free == 1


def test_a_successor_that_cannot_begin_fails_the_job(
    unseen: LocalExecutor, nowhere: Callable[..., TrialResult]
) -> None:
    unseen._run = nowhere
    unseen.submit(fake_job("two"))
    outcome = next_of(unseen)
    assert isinstance(outcome, Failed)
    assert "No module named" in outcome.reason


def test_a_successor_that_cannot_start_fails_the_job(
    unseen: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> Process:
        raise OSError("no more processes")

    monkeypatch.setattr(Process, "start", start)
    unseen.submit(fake_job("two"))
    assert next_of(unseen) == Failed("two", "OSError: no more processes", False)
    assert unseen.free == 1


def test_a_job_that_kills_its_worker_is_not_begun_again(make: Make, tmp_path: Path) -> None:
    executor = make()
    for name in ("one", "two"):
        executor.submit(fake_job(name, started=str(tmp_path / name), die=2 * (name == "two")))
        outcome = next_of(executor)
    assert isinstance(outcome, Failed)
    assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text()


def test_a_worker_that_ends_says_how(
    make: Make, tmp_path: Path, nowhere: Callable[..., TrialResult]
) -> None:
    executor = make()
    child = tmp_path / "child"
    executor.submit(fake_job("one", child=str(child), die=1))
    outcome = next_of(executor)
    wait_for(lambda: not is_running(int(child.read_text())), "the end of what it had started")
    assert outcome == Failed(
        "one",
        "worker local-1 ended before its job did: killed by SIGKILL, as when memory runs out",
        permanent=False,
    )

    broken = make(scratch=tmp_path / "other", run=nowhere)
    broken.submit(fake_job("two"))
    outcome = next_of(broken)
    assert isinstance(outcome, Failed)
    assert "exit code 1, ModuleNotFoundError: No module named" in outcome.reason
    assert not outcome.permanent


def test_a_worker_that_cannot_start_fails_the_job(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    executor = make(scratch=tmp_path / "file" / "work")
    executor.submit(fake_job("one"))
    outcome = next_of(executor)
    assert isinstance(outcome, Failed)
    assert "Not a directory" in outcome.reason
    assert executor.free == 1


def test_scratch_is_emptied_by_the_first_job_and_not_before(make: Make, tmp_path: Path) -> None:
    left = tmp_path / "work" / "worker-9" / "trial-3-1" / "model.safetensors"
    left.parent.mkdir(parents=True)
    left.touch()
    idle = make()
    idle.close()  # a second command on a study that is in use never has a job
    here = InProcessExecutor(scratch=tmp_path / "work", run=fake_run)
    here.close()
    assert left.exists()
    here.submit(fake_job("one"))
    assert not left.exists()
    left.parent.mkdir(parents=True)
    finished(make(), fake_job("one"))
    assert not left.parent.exists()


def test_no_more_jobs_than_workers(make: Make, tmp_path: Path) -> None:
    executor = make()
    executor.submit(fake_job("one", gate=[1, str(tmp_path / "never")]))
    with pytest.raises(RuntimeError, match="none of the 1 workers is free"):
        executor.submit(fake_job("two"))


def test_ctrl_c_is_the_coordinators(make: Make, tmp_path: Path) -> None:
    executor = make()
    started, gate = tmp_path / "started", tmp_path / "gate"
    executor.submit(fake_job("one", started=str(started), gate=[2, str(gate)]))
    number = int(wait_for(lambda: started.exists() and started.read_text()))
    assert executor.processes == {"one": number}
    assert os.getsid(number) == number != os.getsid(0)
    os.kill(number, signal.SIGINT)
    gate.touch()
    assert isinstance(next_of(executor), Finished)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_coordinator(tmp_path: Path, how: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.search.coordinator_alone", str(tmp_path)]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as coordinator:
        said = tmp_path / "pids.json"
        wait_for(lambda: said.exists() or coordinator.poll() is not None, "the start")
        workers = json.loads(said.read_text())
        assert all(is_running(number) for number in workers)
        coordinator.send_signal(how)
        coordinator.wait(60)
    assert len(workers) == 3  # two, and what one of them had started
    wait_for(lambda: not any(is_running(number) for number in workers), "the workers' end")


def test_a_worker_notices_a_new_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another process still holds its pipe open, or it is in the midst of a job."""
    ended = []
    monkeypatch.setattr(process_module, "die", lambda: ended.append(True))
    monkeypatch.setattr(os, "getppid", iter([7, 7, 1]).__next__)
    monkeypatch.setattr(process_module.time, "sleep", lambda seconds: None)
    process_module._end_without(7)
    assert ended == [True]


def test_a_worker_that_fails_all_jobs_does_not_eat_them_up(make: Make, tmp_path: Path) -> None:
    executor, gate = make(2), tmp_path / "gate"
    executor.submit(fake_job("long", gate=[1, str(gate)]))
    executor.submit(fake_job("disk-1", error="disk"))
    assert isinstance(next_of(executor), Failed)
    assert executor.free == 0  # one is busy, the other rests
    gate.touch()
    assert isinstance(next_of(executor), Finished)
    assert executor.free == 1
    finished(executor, fake_job("second"))
    assert executor.free == 2  # its rest is over
    executor.submit(fake_job("disk-2", error="disk"))
    executor.submit(fake_job("disk-3", error="disk"))
    ended = list[Outcome]()
    wait_for(lambda: ended.extend(executor.poll(go_on, 1.0)) or len(ended) == 2)
    assert executor.free == 2  # nobody is left to wait for
    finished(executor, fake_job("third"))


def test_a_trial_that_fails_for_good_is_no_fault_of_its_worker(make: Make, tmp_path: Path) -> None:
    executor, gate = make(2), tmp_path / "gate"
    executor.submit(fake_job("long", gate=[1, str(gate)]))
    executor.submit(fake_job("bad", error="training"))
    assert isinstance(next_of(executor), Failed)
    assert executor.free == 1


# Messages


@pytest.fixture
def pipe() -> Iterator[tuple[Pipe, Pipe]]:
    """The coordinator's end, and a worker's."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield ours, theirs


def row(epoch: int) -> EpochRow:
    return {"epoch": epoch, "lr": 0.1, "train_loss": 1.0, "val_loss": 1.0, "val_miou": 0.5}


def test_a_stop_that_comes_late_is_obeyed_after_the_next_epoch(
    pipe: tuple[Pipe, Pipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "ANSWER_SECONDS", 0.0)
    ours, theirs = pipe
    assert not ask(theirs, "one", row(1))  # the coordinator is busy: go on
    ours.send(("one", 1, True))
    assert ask(theirs, "one", row(2))
    assert [ours.recv()[1]["epoch"] for _ in range(2)] == [1, 2]


def test_an_answer_to_another_job_or_epoch_is_not_taken_for_this_ones(
    pipe: tuple[Pipe, Pipe],
) -> None:
    ours, theirs = pipe
    for answer in (("one", 3, True), ("two", 1, False), ("two", 2, False), ("two", 3, True)):
        ours.send(answer)
    assert not ask(theirs, "two", row(2))
    assert ask(theirs, "two", row(3))


def test_what_decide_raises_loses_no_result(
    make: Make, pipe: tuple[Pipe, Pipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, script = pipe
    monkeypatch.setattr(Process, "start", lambda *_, **__: Scripted(ours))
    executor = make()
    executor.submit(fake_job("one"))
    result = fake_run(fake_job("one"), scratch=Path(), on_epoch=lambda row: False, worker="x")
    script.send(("one", result.curve[0]))
    script.send(Finished("one", result))
    script.close()

    def full_disk(job: str, row: EpochRow) -> bool:
        raise OSError(28, "our own journal")

    with pytest.raises(OSError, match="our own journal"):
        executor.poll(full_disk, 60.0)
    assert executor.poll(go_on, 60.0) == [Finished("one", result)]


class Scripted:
    """Stands in for a Process whose messages the test writes."""

    pid = 0

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def send(self, message: object) -> None:
        pass

    def end(self) -> str:
        return "as written"


# What workers share


def test_cores_are_shared(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglock.threads.available_cores", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert finished(make(2), fake_job("one", tell="threads")).device == "3"
    nine = make(9, scratch=tmp_path / "nine")
    assert finished(nine, fake_job("one", tell="threads")).device == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    chosen = make(2, scratch=tmp_path / "chosen")
    assert finished(chosen, fake_job("one", tell="threads")).device == "5"


@pytest.mark.parametrize(
    ("device", "seen"), [("auto", ["4", "6"]), ("cuda", ["4", "6"]), ("cuda:1", ["4,6"] * 2)]
)
def test_each_worker_sees_one_card(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, seen: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(workers_module, "share_cards", lambda *_: ["4", "6"])
    executor, gate = make(2), tmp_path / "gate"
    for name in ("one", "two"):
        job = fake_job(name, gate=[1, str(gate)], tell="environment")
        executor.submit(dataclasses.replace(job, params=job.params | {"train": {"device": device}}))
    gate.touch()
    results = dict[str, str]()
    while len(results) < 2:
        for outcome in executor.poll(go_on, 1.0):
            assert isinstance(outcome, Finished)
            results[outcome.job] = json.loads(outcome.result.device)["CUDA_VISIBLE_DEVICES"]
    assert [results["one"], results["two"]] == seen


def test_a_password_named_in_the_storage_stays_here(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_PASS", "a secret")
    job = fake_job("one", tell="environment")
    storage = {"search": {"storage": "postgresql://ann:$STUDY_PASS@db/studies"}}
    executor = make()
    told = finished(executor, dataclasses.replace(job, params=job.params | storage)).device
    assert "PATH" in json.loads(told)
    assert "a secret" not in told
    (process,) = [slot.process for slot in executor._slots if slot.process]
    assert b"a secret" not in Path(f"/proc/{process.pid}/environ").read_bytes()


# Real trials


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("project")
    return root, make_root(root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder whose worker-1 has 4 KiB of disk."""
    folder = tmp_path / "work" / "worker-1"
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted, which needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path / "work"
    subprocess.run(["umount", str(folder)], check=True)


def test_real_trials_with_a_full_disk_and_a_kill(
    project: tuple[Path, str], small_disk: Path
) -> None:
    executor = LocalExecutor(2, scratch=small_disk, resources=ResourceParams())
    killed: list[int] = []

    def decide(job: str, row: EpochRow) -> bool:
        if job == "killed" and not killed:
            killed.append(executor.processes["killed"])
            os.kill(killed[0], signal.SIGKILL)
        return False

    ended = dict[str, Outcome]()

    def wait(count: int, again: str = "") -> None:
        ended.pop(again, None)

        def poll() -> bool:
            ended.update({outcome.job: outcome for outcome in executor.poll(decide, 1.0)})
            return len(ended) == count

        wait_for(poll, f"the end of {count} jobs")

    try:
        executor.submit(make_job(*project, "full", "np-4"))
        executor.submit(make_job(*project, "baseline"))
        wait(2)
        full, baseline = ended["full"], ended["baseline"]
        assert isinstance(full, Failed)
        assert not full.permanent
        assert "no space left" in full.reason
        assert isinstance(baseline, Finished)
        assert [row["epoch"] for row in baseline.result.curve] == [1, 2, 3]
        assert executor.free == 1  # the worker without a disk rests

        executor.submit(make_job(*project, "full", "np-4"))
        wait(2, again="full")
        again = ended["full"]
        assert isinstance(again, Finished), again
        assert again.result.worker == "local-2"

        executor.submit(make_job(*project, "killed", "np-4", train={"epochs": 500}))
        wait(3)
        death = ended["killed"]
        assert isinstance(death, Failed)
        assert "killed by SIGKILL" in death.reason
        assert not is_running(killed[0])
        assert not list((small_disk / "worker-2").iterdir())  # what the dead one had written
    finally:
        executor.close()
