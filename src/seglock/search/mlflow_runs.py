"""The study in MLflow: one parent run, and a child for each baseline and each trial's attempt.

Only the coordinator records, with explicit run ids. A store that goes away while a study runs does
not stop it: what it lacks at the end is told from study.json.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.config import BASELINE
from seglock.errors import SeglockError
from seglock.results.metrics import access_metrics, epoch_metrics, study_metrics, trial_metrics
from seglock.results.standing import LockLimits, LockStanding
from seglock.search.measured import baseline_name
from seglock.search.study import RUN_ID, StudyLog
from seglock.steps import lock_text
from seglock.tracking import NOTE

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.results.study import Study
    from seglock.results.trial import TrialRecord
    from seglock.search.point import Point
    from seglock.search.settings import Settings
    from seglock.tracking import RunTracker, Status
    from seglock.training import EpochRow

_PARAMS = ("lock", "method", "lr", "weight_decay", "epochs", "image_side")


@dataclass
class StudyRuns:
    """The runs of one study. Nothing is begun before it is needed: a study that has all its
    trials makes no run."""

    log: StudyLog
    params: Params
    settings: Settings
    root: Path
    _parent: RunTracker | None = None
    _children: dict[str, RunTracker] = field(default_factory=dict)

    @property
    def parent(self) -> RunTracker:
        """The study's run, begun or taken up; runs that a dead coordinator left are ended."""
        if self._parent is None:
            self._parent = self._begin()
        return self._parent

    @property
    def begun(self) -> bool:
        """Whether this command made or took up a run."""
        return self._parent is not None

    def _begin(self) -> RunTracker:
        from seglock.tracking import open_run

        # A run of that name is looked for in the store: a study has one, whoever was killed when.
        known = self.log.attribute(RUN_ID)
        name, about = self.settings.name, self.settings.about
        parent = open_run(
            self.params.tracking, name=name, tags=_data_tags(name, about) | {"kind": "study"},
            root=self.root, run_id=known or f"local-{self.log.id}",
        )  # fmt: skip
        self._parent = parent
        parent.whole = parent.whole or known is None  # then nothing was told of it before
        self.log.remember(RUN_ID, parent.run_id)
        parent.end_children()
        sections = {"search", "model", "train"}
        described = self.params.model_dump(
            mode="json", include=sections, exclude={"search": {"storage"}}
        )
        parent.log_params(described)
        parent.log_dataset(about["dataset"], about["dataset_digest"], use="search")
        return parent

    def begin(self, job: str, point: Point) -> str:
        """Begin a job's run; returns its id."""
        tracker = self._child(job, f"{job} · {point.lock}", {"lock": point.lock})
        named = {"lock": point.lock, "steps": point.steps, "method": point.pattern or point.lock}
        tracker.log_params(_params(vars(point) | named | {"fraction": point.share}))
        return tracker.run_id

    def take_up(self, job: str, run_id: str | None) -> None:
        """Go on with the run of a job whose result an earlier coordinator left."""
        self._child(job, job, {}, run_id)

    def _child(
        self, job: str, name: str, tags: dict[str, str], run_id: str | None = None
    ) -> RunTracker:
        tags = _data_tags(self.settings.name, self.settings.about) | tags
        tags |= _job_tags(job, self.params.train.seed)
        child = self._children[job] = self.parent.child(name, tags, run_id)
        about = self.settings.about
        child.log_dataset(about["dataset"], about["dataset_digest"], use="search")
        return child

    def epoch(self, job: str, row: EpochRow) -> None:
        """Record one epoch of a job."""
        self._children[job].log_metrics(epoch_metrics(row), step=row["epoch"])

    def end_trial(self, job: str, record: TrialRecord) -> None:
        """End a trial's run with its figures, its key's id and hash, and how it ended."""
        _end_trial(self._children.pop(job), record, LockLimits.of(self.params.search))

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

    def finish(self, study: Study, outputs: Path | None) -> None:
        """Record how the study stands, with its output files, and what an earlier command could
        not tell."""
        if self.parent.whole:
            _tell_standing(self.parent, study)
        else:
            tell_study(self.parent, study)
        if outputs is not None:
            self.parent.log_artifact(outputs)

    def close(self, status: Status) -> None:
        """End every run that is open. No error keeps another run from its end: where one could not
        be ended (a full disk), the next command does it."""
        last = [*self._children.values()] + ([self._parent] if self._parent else [])
        self._children, self._parent = {}, None
        for tracker in last:
            with contextlib.suppress(SeglockError, OSError):
                tracker.close(status)


def tell_study(run: RunTracker, study: Study) -> None:
    """Tell a study's run how it stands, and its children what they may lack, from study.json.

    Of a training's curve study.json has the validation mean IoU.
    """
    _tell_standing(run, study)
    tags = _data_tags(study.study, study.about.document())
    for trial in study.trials:
        job = f"trial-{trial.number}-{trial.attempt}"
        if trial.run_id:
            child = run.child(f"{job} · {trial.lock}", tags | _job_tags(job), trial.run_id)
            child.log_params(_params(trial.document()))
            _tell_curve(child, trial.curve)
            _end_trial(child, trial, LockLimits.of(study.limits))
    for group in study.baselines:
        for index, run_id in enumerate(group.run_ids):
            if not run_id:
                continue
            job = baseline_name((group.epochs, group.image_side), index)
            own = _job_tags(job, group.seeds[0])
            child = run.child(f"{job} · {BASELINE}", tags | own, run_id)
            figures = {"owner_miou": group.owner_miou[index], "floor": group.floor}
            child.log_metrics(access_metrics(figures), again=True)
            _tell_curve(child, group.curves[index])
            child.close("FINISHED")
    run.whole = True


def _tell_standing(run: RunTracker, study: Study) -> None:
    found = study.recommendation
    run.log_metrics(study_metrics(study), again=True)
    run.set_tags(
        {
            "recommendation": found.status,
            "recommended_lock": found.lock or "none",
            "reason": found.reason,
            NOTE: f"Study **{study.study}**: {found.status}. {found.reason}.",
        }
    )


def _tell_curve(run: RunTracker, curve: Sequence[float]) -> None:
    for epoch, miou in enumerate(curve, start=1):
        run.log_metrics(epoch_metrics({"val_miou": miou}), step=epoch, again=True)


def _end_trial(run: RunTracker, trial: TrialRecord, limits: LockLimits) -> None:
    run.log_metrics(trial_metrics(trial, limits), again=True)
    if trial.attacks:
        run.log_table("attacks", [{"attack": n, **one} for n, one in trial.attacks.items()])
    tags = {
        "lock": trial.lock,
        "state": trial.state,
        "key_id": trial.key_id or "none",
        "key_hash": trial.key_hash or "none",
        "worker": trial.worker or "none",
    }
    if trial.strongest_text:
        tags["strongest"] = trial.strongest_text
    if trial.stopped:
        tags |= {"stopped": trial.stopped.rule, "reason": trial.stopped.reason}
    if trial.reason:
        tags["reason"] = trial.reason
    if trial.objectives is not None:
        tags["holds"] = LockStanding.of_trial(trial, limits).verdict
    run.set_tags(tags | {NOTE: _words(trial, tags)})
    run.lasted = trial.seconds
    run.close("FAILED" if trial.state == "failed" else "FINISHED")


def _words(trial: TrialRecord, tags: Mapping[str, str]) -> str:
    """The run's description: what was tried, and what came of it."""
    what = f"**{lock_text(trial.lock)}**, a trial under a key of its own, which is kept nowhere"
    if trial.objectives is None:
        return f"{what}: {trial.state}, {tags.get('reason', 'without a reason')}."
    return (
        f"{what}.\n\nVerdict by the limits of the study: **{tags['holds']}**. The owner has "
        f"{trial.owner_miou:.4f}, a drop of {trial.drop:.4f}; others have {trial.unauthorised:.4f} "
        f"and regain {trial.lost:.4f} of the lead."
    )


def _data_tags(study: str, about: Mapping[str, Any]) -> dict[str, str]:
    return {"study": study} | {n: str(about[n]) for n in ("dataset", "dataset_digest", "model")}


def _job_tags(job: str, seed: int = 0) -> dict[str, str]:
    """What a job's id says of it; ``seed``: params.yaml's, from which baselines count."""
    kind, *numbers = job.split("-")
    tags = {"job": job, "kind": kind}
    if kind == "trial":
        return tags | dict(zip(("trial", "attempt"), numbers, strict=True))
    return tags | {"seed": str(seed + int(numbers[-1]))}


def _params(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a child's run has been given.

    A baseline has no block side, fraction or refusal. MLflow's parallel coordinates then leave it
    out of a chart over them; a word in their place would make the block side's axis one of words.
    """
    found = {name: about[name] for name in _PARAMS} | {"steps": " ".join(about["steps"]) or "none"}
    if about["steps"]:
        found |= {name: about[name] for name in ("block_size", "fraction", "refuse")}
    return found
