"""What ends a coordinator that waits for another one, or that another one has overtaken."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from seglock.errors import BusyError
from seglock.search import interrupts
from seglock.search import lease as leases
from seglock.search.coordinator import run_search
from seglock.search.lease import LEASE
from seglock.search.ledger import Ledger
from seglock.search.settings import study_folder, study_settings
from seglock.search.storage import Patience, open_storage
from seglock.search.study import StudyLog
from seglock.tracking import guard, list_runs
from tests.search.small_study import FakeExecutor, Silent, study_params
from tests.search.test_kill import trials_of

HELD = {"token": "x", "beat": 3, "host": "elsewhere", "machine": "other", "pid": 1}


@contextlib.contextmanager
def another(root: Path, url: str) -> Iterator[Ledger]:
    """The study's accounts as another coordinator has them."""
    params, patience = study_params(2, storage=url), Patience(5.0)
    with contextlib.closing(open_storage(url, root, patience)) as storage:
        settings = study_settings(params, root)
        yield Ledger(StudyLog.begin(storage, settings, params.search, patience), params)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Ctrl-C comes, once, when something first waits; how long each wait would have been."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(interrupts.time, "sleep", sleep)
    return waits


def run(root: Path, **search: Any) -> None:
    run_search(study_params(2, **search), root, executor=FakeExecutor(), observer=Silent())


def test_ctrl_c_ends_the_wait_for_another_coordinators_lease(
    study_root: Path, interrupted: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 1.0)
    url = f"sqlite:///{study_root}/studies.db"
    with another(study_root, url) as ledger:
        ledger.log.remember(LEASE, HELD)
        with pytest.raises(SystemExit) as stopped:
            run(study_root, storage=url)
        assert stopped.value.code == 130
        assert len(interrupted) == 1
        assert ledger.log.attribute(LEASE) == HELD
        assert ledger.log.trials() == []


def test_ctrl_c_ends_the_wait_for_the_guard_of_a_dead_coordinator(
    study_root: Path, interrupted: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WAIT", 1.0)
    folder = study_folder(study_root, "small")
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / ".guard.lock"), pytest.raises(SystemExit) as stopped:
        run(study_root)
    assert stopped.value.code == 130
    assert len(interrupted) == 1
    assert list_runs(study_root) == []


@pytest.mark.parametrize("says", ["process 1 on elsewhere", "trial 0, which was computed here"])
def test_a_study_taken_over_between_two_beats_is_left_to_the_other(
    study_root: Path, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 60.0)
    url = f"sqlite:///{study_root}/studies.db"

    class Overtaken(FakeExecutor):
        def poll(self, decide: Any, timeout: float) -> Any:
            outcomes = super().poll(decide, timeout)
            if self.seen[-1].steps:
                with another(study_root, url) as ledger:
                    ledger.requeue_running()  # as on its start: what was running is queued again
                    if "elsewhere" in says:
                        ledger.log.remember(LEASE, HELD)
            return outcomes

    executor = Overtaken()
    with pytest.raises(BusyError, match=says):
        run_search(study_params(2, storage=url), study_root, executor=executor, observer=Silent())
    assert executor.closed == 1
    states = [trial.state.name for trial in trials_of(study_root, storage=url)]
    assert states == ["FAIL", "WAITING"]
