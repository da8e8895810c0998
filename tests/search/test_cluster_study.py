"""A whole study on a Ray cluster of which nodes and workers are killed: it ends with its trials."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglock.config import ResourceParams
from seglock.search.cluster import RayExecutor
from seglock.search.coordinator import run_search
from seglock.search.executor import TrialJob, TrialResult
from tests.processes import descendants
from tests.ray_cluster import Nodes
from tests.search.fakes import is_running, wait_for, write_whole
from tests.search.small_study import Silent, curve, result_of, study_params

TRIALS = 8


def formula(
    job: TrialJob, *, scratch: Path, on_epoch: Callable[[Any], bool], worker: str
) -> TrialResult:
    """A trial that takes a second; who computes it stands in the project's folder meanwhile."""
    at_work = Path(job.root) / "at-work" / job.id
    write_whole(at_work, str(os.getpid()))
    whole = result_of(job, curve("/".join(job.steps) or job.id, job.params["train"]["epochs"]))
    for row in whole.curve:
        time.sleep(0.3)
        on_epoch(row)
    at_work.unlink()
    return whole


class Killer(Silent):
    """Kills while trials are at work: first a worker, then a node."""

    def __init__(self, root: Path, cluster: Nodes) -> None:
        super().__init__()
        self._root = root
        self._cluster = cluster
        self.started = 0
        self.hit: list[str] = []

    def job_started(self, job: str, point: Any) -> None:
        self.started += job.startswith("trial")
        if self.started == 3 and not self.hit:
            name, process = wait_for(self._at_work, "a trial at work")[0]
            os.kill(process, signal.SIGKILL)
            self.hit.append(name)
        if self.started >= 5 and len(self.hit) == 1:
            node = self._cluster.nodes[1]
            time.sleep(0.3)
            theirs = descendants(node.raylet)
            self.hit += [name for name, process in self._at_work() if process in theirs]
            if len(self.hit) > 1:
                self._cluster.kill(node)

    def _at_work(self) -> list[tuple[str, int]]:
        files = (self._root / "at-work").glob("trial-*[0-9]")
        found = [(f.name, int(text)) for f in files if (text := _read(f))]
        return [(name, process) for name, process in found if is_running(process)]


def _read(file: Path) -> str:
    """What stands in a file; nothing where its trial has ended meanwhile."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def test_a_study_ends_with_its_trials_whoever_is_killed(
    ray_cluster: Nodes, study_root: Path
) -> None:
    (study_root / "at-work").mkdir()
    killer = Killer(study_root, ray_cluster)
    executor = RayExecutor(ray_cluster.address, resources=ResourceParams(), run=formula)
    outcome = run_search(study_params(TRIALS), study_root, executor=executor, observer=killer)
    assert len(killer.hit) == 2
    assert len(outcome.trials) == TRIALS == outcome.counts.complete
    assert outcome.counts.running == 0
    assert len({record.number for record in outcome.trials}) == TRIALS
    lost = [job for job, record in killer.ended if record is None and job.startswith("trial")]
    assert lost == killer.hit
    assert [said.split()[0] for said in killer.said] == lost
