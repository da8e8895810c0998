"""The study in MLflow: one parent run, and a child for each baseline and each trial's attempt.

Only the coordinator records, with explicit run ids. A store that goes away while a study runs does
not stop it: what it lacks stays in the journals.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import SeglockError
from seglock.results.metrics import access_metrics, epoch_metrics, trial_metrics
from seglock.search.study import RUN_ID, StudyLog

if TYPE_CHECKING:
    from seglock.config import TrackingParams
    from seglock.results.study import Study
    from seglock.results.trial import TrialRecord
    from seglock.search.point import Point
    from seglock.tracking import Tracker
    from seglock.tracking.guard import Guard
    from seglock.tracking.protocol import Status
    from seglock.training import EpochRow

PARENT = "mlflow.parentRunId"


@dataclass
class StudyRuns:
    """The runs of one study. Nothing is begun before it is needed: a study that has all its
    trials makes no run and starts no guard."""

    log: StudyLog
    params: TrackingParams
    root: Path
    folder: Path
    name: str
    settings: Mapping[str, Any]
    about: Mapping[str, Any]
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    _parent: Tracker | None = None
    _guard: Guard | None = None
    _children: dict[str, Tracker] = field(default_factory=dict)

    @property
    def parent(self) -> Tracker:
        """The study's run, begun or taken up; runs that a dead coordinator left are ended."""
        if self._parent is None:
            self._parent = self._begin()
        return self._parent

    @property
    def begun(self) -> bool:
        """Whether this command made or took up a run."""
        return self._parent is not None

    def _begin(self) -> Tracker:
        from seglock.tracking import open_run
        from seglock.tracking.guard import SESSION, Guard, end_children

        # The guard first: from the first run on there is someone to end it.
        self._guard = Guard(
            self.session, root=self.root, params=self.params, folder=self.folder,
            sleep=self.log.patience.sleep,
        )  # fmt: skip
        # A run of that name is looked for in the store: a study has one, whoever was killed when.
        known = self.log.attribute(RUN_ID) or f"local-{self.log.id}"
        tags = {SESSION: self.session, "study": self.name, "kind": "study", **self._data_tags()}
        parent = open_run(self.params, name=self.name, tags=tags, root=self.root, run_id=known)
        self._parent = parent
        self.log.remember(RUN_ID, parent.run_id)
        self._end_journals(parent.run_id)
        if not parent.run_id.startswith("local-"):  # then the store knows its children
            end_children(self.root, self.params.timeout_seconds, parent.run_id)
        parent.log_params(self.settings)
        parent.log_dataset(self.about["dataset"], self.about["dataset_digest"], use="search")
        return parent

    def _end_journals(self, parent: str) -> None:
        """Children of dead coordinators that this machine's journals know as running."""
        from seglock.tracking import Journal, list_runs, sync_run

        for run in list_runs(self.root):
            with contextlib.suppress(SeglockError):
                header = Journal.at(self.root, run.run_id).header
                if not run.ended and header.tags.get(PARENT) == parent:
                    sync_run(run.run_id, root=self.root, params=self.params)

    def _data_tags(self) -> dict[str, str]:
        return {name: str(self.about[name]) for name in ("dataset", "dataset_digest", "model")}

    def begin(self, job: str, point: Point, tags: Mapping[str, str]) -> str:
        """Begin a job's run; returns its id."""
        tracker = self._child(job, f"{job} · {point.lock}", tags)
        tracker.log_params(_params(point))
        return tracker.run_id

    def take_up(self, job: str, run_id: str | None, tags: Mapping[str, str]) -> str:
        """Go on with the run of a job whose result an earlier coordinator left."""
        return self._child(job, job, tags, run_id).run_id

    def _child(
        self, job: str, name: str, tags: Mapping[str, str], run_id: str | None = None
    ) -> Tracker:
        from seglock.tracking import open_run
        from seglock.tracking.guard import SESSION

        tags = {
            SESSION: self.session,
            PARENT: self.parent.run_id,
            "study": self.name,
            "job": job,
            **self._data_tags(),
            **tags,
        }
        # Whether the store answers was asked when the study began; from here on it may go away.
        patient = self.params.model_copy(update={"required": False})
        tracker = open_run(patient, name=name, tags=tags, root=self.root, run_id=run_id, quiet=True)
        self._children[job] = tracker
        return tracker

    def epoch(self, job: str, row: EpochRow) -> None:
        """Record one epoch of a job."""
        self._children[job].log_metrics(epoch_metrics(row), step=row["epoch"])

    def end_trial(self, job: str, record: TrialRecord) -> None:
        """End a trial's run with its figures, its key's id and hash, and how it ended."""
        tracker = self._children[job]
        tracker.log_metrics(trial_metrics(record.document()))
        tags = {
            "state": record.state,
            "key_id": record.key_id or "none",
            "key_hash": record.key_hash or "none",
            "worker": record.worker or "none",
        }
        if record.strongest:
            tags["strongest"] = f"{record.strongest} ({record.strongest_tier})"
        if record.stopped:
            tags |= {"stopped": record.stopped.rule, "reason": record.stopped.reason}
        if record.reason:
            tags["reason"] = record.reason
        tracker.set_tags(tags)
        self.end(job, "FAILED" if record.state == "failed" else "FINISHED")

    def end_baseline(self, job: str, figures: Mapping[str, float]) -> None:
        """End a baseline's run with its figures.

        It has no drop: that is measured from all seeds, the last of which may still run.
        """
        self._children[job].log_metrics(access_metrics(figures))
        self.end(job, "FINISHED")

    def end(self, job: str, status: Status, reason: str | None = None) -> None:
        """End a job's run."""
        tracker = self._children.pop(job, None)
        if tracker is not None:
            if reason is not None:
                tracker.set_tags({"reason": reason})
            tracker.close(status)

    def finish(self, outcome: Study, outputs: Path | None) -> None:
        """Record how the study stands, with its output files."""
        from seglock.search.outcome import metrics

        self.parent.log_metrics(metrics(outcome))
        found = outcome.recommendation
        self.parent.set_tags(
            {
                "recommendation": found.status,
                "recommended_lock": found.lock or "none",
                "reason": found.reason,
            }
        )
        if outputs is not None:
            self.parent.log_artifact(outputs)

    def close(self, status: Status) -> None:
        """End every run that is open, and the guard. No error keeps another run from its end."""
        failed = False
        for job in list(self._children):
            failed |= not self._quietly(self._children.pop(job), status)
        if self._parent is not None:
            failed |= not self._quietly(self._parent, status)
            self._parent = None
        if self._guard is not None and not failed:
            self._guard.dismiss()
        # Where a run could not be ended (a full disk), the guard tries when this process is gone.

    def _quietly(self, tracker: Tracker, status: Status) -> bool:
        try:
            tracker.close(status)
        except (SeglockError, OSError):
            return False
        return True


def _params(point: Point) -> dict[str, Any]:
    """What a child's run has been given.

    A baseline has neither block side nor fraction. MLflow's parallel coordinates then leave it
    out of a chart over them; a word in their place would make the block side's axis one of words.
    """
    found = {
        "lock": point.lock,
        "method": point.pattern or point.lock,
        "steps": " ".join(point.steps) or "none",
        "lr": point.lr,
        "weight_decay": point.weight_decay,
        "epochs": point.epochs,
        "image_side": point.image_side,
    }
    if point.pattern:
        found["block_size"] = point.block_size
        found["fraction"] = "published" if point.fraction is None else str(point.fraction)
    return found
