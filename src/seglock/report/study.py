"""data/search/study.json as types: what a trade-off search found."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seglock import files
from seglock.errors import ReportError
from seglock.report.schema import RunId, Section, checked

STUDY_FILE = Path("data/search/study.json")
_FIX = "run dvc repro search"


class Thief(Section):
    """Whose attacks ``unauthorised`` counts, beside plain images and wrong keys; each a budget."""

    tier: str
    attacks: tuple[str, ...]
    queries: int
    seconds: float
    labelled: float

    @property
    def text(self) -> str:
        """In words, for labels and captions."""
        queries = "1 query" if self.queries == 1 else f"{self.queries} queries"
        return f"strongest attack up to {self.tier}, {queries}, {self.seconds:g} s each"


class About(Section):
    """What all trials of a study share."""

    dataset: str
    dataset_digest: str | None = None
    image_side: int
    classes: tuple[str, ...]
    model: str
    split: str
    epochs: int
    wrong_keys: int | None = None
    thief: Thief | None = None

    @property
    def unauthorised_text(self) -> str:
        """What ``unauthorised`` is, as an axis says it."""
        whose = self.thief.text if self.thief else "mean IoU without the key"
        return f"unauthorised: {whose}"


class Limits(Section):
    """What a recommended lock may cost its owner, and leave to a thief."""

    max_drop: float
    max_regained: float


class Baseline(Section):
    """The plain network at one cost (epochs, image side), one mean IoU a seed."""

    epochs: int
    image_side: int
    seeds: tuple[int, ...]
    owner_miou: tuple[float, ...]
    floor: float
    mean: float
    spread: float


class Stopped(Section):
    """Which rule ended a trial, and after which epoch."""

    rule: str
    epoch: int
    reason: str


class Trial(Section):
    """One trial. Figures are mean IoU, 0 to 1, None where nothing was measured."""

    number: int
    state: Literal["complete", "stopped", "failed"]
    lock: str
    steps: tuple[str, ...]
    method: str
    block_size: int
    fraction: str
    lr: float
    weight_decay: float
    epochs: int
    image_side: int
    owner_miou: float | None = None
    unauthorised: float | None = None
    drop: float | None = None
    regained: float | None = None
    strongest: str | None = None
    strongest_tier: str | None = None
    key_space_bits: float | None = None
    run_id: RunId | None = None
    seconds: float | None = None
    stopped: Stopped | None = None
    reason: str | None = None

    @property
    def strongest_text(self) -> str | None:
        """Whose figure ``unauthorised`` is; None in a study without attacks."""
        return f"{self.strongest} ({self.strongest_tier})" if self.strongest else None

    @property
    def recipe(self) -> tuple[object, ...]:
        """What trials have in common that differ in nothing but their keys."""
        return self.steps, self.lr, self.weight_decay, self.epochs, self.image_side


class Measured(Section):
    """A complete trial's figures, both there."""

    trial: Trial
    owner: float
    unauthorised: float


class Hypervolume(Section):
    """The area between the front and one reference (owner, unauthorised), after each trial."""

    reference: tuple[float, float] | None
    values: tuple[tuple[int, float], ...]


class Hypervolumes(Section):
    """Against both references: thief at the floor, thief at the baseline."""

    floor: Hypervolume
    baseline: Hypervolume


class Counts(Section):
    """How the trials ended; ``running`` are those of a study that still goes on."""

    complete: int
    stopped: int
    failed: int
    running: int = 0


class Nearest(Section):
    """The lock that breaks the limits least, where none keeps them."""

    trial: int
    lock: str
    steps: tuple[str, ...]
    drop: float | None
    regained: float


class Recommendation(Section):
    """Which lock, and why; where undecided, the candidate if there is one."""

    status: Literal["recommended", "none", "undecided", "empty"]
    trial: int | None = None
    lock: str | None = None
    steps: tuple[str, ...] | None = None
    reason: str
    nearest: Nearest | None = None

    @property
    def chosen(self) -> int | None:
        """The trial to point at: the recommended one, the candidate, or the nearest."""
        if self.trial is None and self.nearest is not None:
            return self.nearest.trial
        return self.trial


class Saved(Section):
    """What stopping trials early saved, in epochs."""

    stopped: int
    epochs_saved: int
    epochs_full: int


class Study(Section):
    """study.json: the whole of one study."""

    study: str
    storage: str
    asked: int
    about: About
    objective: str
    sampler: str
    seed: int
    pruner: str
    limits: Limits
    baselines: tuple[Baseline, ...]
    trials: tuple[Trial, ...]
    counts: Counts
    front: tuple[int, ...]
    hypervolume: Hypervolumes
    importances: dict[str, dict[str, float]] | None = None
    importances_reason: str | None = None
    recommendation: Recommendation
    early_stopping: Saved
    run_id: RunId | None = None

    @property
    def is_empty(self) -> bool:
        """True where no trial has been made."""
        return not self.trials

    @property
    def baseline(self) -> Baseline | None:
        """The plain network at params.yaml's own cost, else at the first that was measured."""
        for group in self.baselines:
            if (group.epochs, group.image_side) == (self.about.epochs, self.about.image_side):
                return group
        return self.baselines[0] if self.baselines else None

    @property
    def measured(self) -> list[Measured]:
        """The trials that ended with figures, in order."""
        return [
            Measured(trial=trial, owner=trial.owner_miou, unauthorised=trial.unauthorised)
            for trial in self.trials
            if trial.state == "complete"
            and trial.owner_miou is not None
            and trial.unauthorised is not None
        ]

    @property
    def front_trials(self) -> list[Measured]:
        """The trials that no other beats in both figures, by what they leave to a thief."""
        chosen = [found for found in self.measured if found.trial.number in self.front]
        return sorted(chosen, key=lambda found: (found.unauthorised, found.owner))

    def same_lock(self, number: int) -> list[Measured]:
        """The measured trials of one trial's lock and recipe: each had a key of its own."""
        chosen = self.trial(number)
        return [
            found
            for found in self.measured
            if chosen is not None and found.trial.recipe == chosen.recipe
        ]

    def trial(self, number: int | None) -> Trial | None:
        """The trial of that number, if there is one."""
        return next((trial for trial in self.trials if trial.number == number), None)


def read_study_file(root: Path) -> Study | None:
    """The study of the project at ``root``; None where none was asked for or none has a trial.

    Raises ReportError, naming the stage to run, for a damaged file.
    """
    path = root / STUDY_FILE
    if not path.exists():
        return None
    study = check_study(files.read_json(path, error=ReportError, fix=_FIX), where=str(path))
    return None if study.is_empty else study


def require_same_data(study: Study, digest: str | None) -> None:
    """Refuse a study of other data than the rest of a report; raises ReportError."""
    if digest is not None and study.about.dataset_digest not in (None, digest):
        raise ReportError(
            f"{STUDY_FILE} must be about the data of data/evaluations",
            got=f"dataset digest {study.about.dataset_digest} beside {digest}",
            fix=_FIX,
        )


def check_study(values: object, *, where: str = "study") -> Study:
    """Validate study.json's plain values; raises ReportError naming ``where`` and the faults."""
    study = checked(Study, values, where=where, fix=_FIX)
    known = {found.trial.number for found in study.measured}
    strangers = [number for number in study.front if number not in known]
    if strangers:
        raise ReportError(
            f"{where} must be whole", got=f"front: no complete trial {strangers[0]}", fix=_FIX
        )
    return study
